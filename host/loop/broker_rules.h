/* Which address a plugin may reach: the places that its config names, as far as their addresses are public or
 * lie in a range that the platform granted. Pure functions over values; any thread. */
#ifndef PENSTOCK_LOOP_BROKER_RULES_H
#define PENSTOCK_LOOP_BROKER_RULES_H
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define BROKER_HOST_MAX 256
#define BROKER_REACH_MAX 64
#define BROKER_RANGES_MAX 64

/* IPv4 is kept as ::ffff:a.b.c.d, so that one form of it is one address. */
typedef struct broker_address {
    uint8_t bytes[16];
    uint16_t port;
} broker_address;

typedef struct broker_range {
    uint8_t bytes[16];
    uint32_t bits; /* of 128; an IPv4 /8 has 104 */
} broker_range;

/* A place that the config names. */
typedef struct broker_reach {
    char host[BROKER_HOST_MAX]; /* name in lower case without a dot at its end, or a literal address */
    uint16_t port;              /* 0 = any */
    uint16_t unused;            /* 0; they travel in arrays */
} broker_reach;

/* False for other families and short lengths. */
bool broker_address_read(const void *socket_address, socklen_t len, broker_address *out);
/* An address without a port: "192.0.2.1", "2001:db8::1", "[2001:db8::1]". */
bool broker_address_parse(const char *literal, broker_address *out);
/* "192.0.2.1:80", "[2001:db8::1]:80" */
void broker_address_text(const broker_address *a, char *out, size_t size);
/* `bits` counts from the start of the family's address; false if it has too many. */
bool broker_range_make(int family, const uint8_t *address, unsigned bits, broker_range *out);
bool broker_range_contains(const broker_range *r, const broker_address *a);
/* Loopback, private, link-local, unique-local, carrier-grade NAT, multicast, reserved: what is not the public
 * internet. NAT64 addresses are judged by the IPv4 address inside. */
bool broker_address_private(const broker_address *a);

/* True for the literal itself and for names as DNS compares them. */
bool broker_reach_names(const broker_reach *r, const char *host);
/* r is a literal, or localhost: address and port. */
bool broker_reach_is(const broker_reach *r, const broker_address *a);
bool broker_reach_port(const broker_reach *r, uint16_t port);
#endif
