/* One table of ranges that are not public, and comparisons by bits. */
#include "loop/broker_rules.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};

typedef struct private_range {
    uint8_t address[4];
    unsigned bits;
} private_range;

static const private_range private_4[] = {
    {{0}, 8},          /* this host */
    {{10}, 8},         /* RFC 1918 */
    {{100, 64}, 10},   /* carrier-grade NAT */
    {{127}, 8},        /* loopback */
    {{169, 254}, 16},  /* link-local, also where clouds keep their metadata */
    {{172, 16}, 12},   /* RFC 1918 */
    {{192, 0, 0}, 24}, /* protocol assignments */
    {{192, 168}, 16},  /* RFC 1918 */
    {{198, 18}, 15},   /* benchmarks */
    {{224}, 4},        /* multicast */
    {{240}, 4},        /* reserved, broadcast */
};

static const broker_range private_6[] = {
    {{0}, 127},                           /* unspecified, loopback */
    {{0xfc}, 7},                          /* unique-local */
    {{0xfe, 0x80}, 9},                    /* link-local, site-local */
    {{0xff}, 8},                          /* multicast */
    {{0x20, 0x02}, 16},                   /* 6to4: an IPv4 address in disguise */
    {{0x00, 0x64, 0xff, 0x9b, 0, 1}, 48}, /* local NAT64 */
};

static void map_4(const void *address, uint8_t *out)
{
    memcpy(out, mapped, sizeof mapped);
    memcpy(out + sizeof mapped, address, 4);
}

bool broker_address_read(const void *socket_address, socklen_t len, broker_address *out)
{
    struct sockaddr_in six_or_four = {0};
    struct sockaddr_in6 six = {0};
    if (len < sizeof six_or_four)
        return false;
    memcpy(&six_or_four, socket_address, sizeof six_or_four);
    if (six_or_four.sin_family == AF_INET) {
        map_4(&six_or_four.sin_addr, out->bytes);
        out->port = ntohs(six_or_four.sin_port);
        return true;
    }
    if (six_or_four.sin_family != AF_INET6 || len < offsetof(struct sockaddr_in6, sin6_scope_id))
        return false;
    memcpy(&six, socket_address, len < sizeof six ? len : sizeof six);
    memcpy(out->bytes, &six.sin6_addr, 16);
    out->port = ntohs(six.sin6_port);
    return true;
}

bool broker_address_parse(const char *literal, broker_address *out)
{
    char bare[INET6_ADDRSTRLEN];
    size_t len = strlen(literal);
    uint8_t four[4];
    *out = (broker_address){0};
    if (inet_pton(AF_INET, literal, four) == 1) {
        map_4(four, out->bytes);
        return true;
    }
    bool bracketed = len > 2 && literal[0] == '[' && literal[len - 1] == ']';
    snprintf(bare, sizeof bare, "%.*s", (int)(bracketed ? len - 2 : len), literal + bracketed);
    return len < sizeof bare + 2 && inet_pton(AF_INET6, bare, out->bytes) == 1;
}

void broker_address_text(const broker_address *a, char *out, size_t size)
{
    char words[INET6_ADDRSTRLEN] = "";
    bool four = !memcmp(a->bytes, mapped, sizeof mapped);
    inet_ntop(four ? AF_INET : AF_INET6, a->bytes + (four ? sizeof mapped : 0), words, sizeof words);
    snprintf(out, size, four ? "%s:%u" : "[%s]:%u", words, a->port);
}

bool broker_range_make(int family, const uint8_t *address, unsigned bits, broker_range *out)
{
    if (bits > (family == AF_INET ? 32 : 128))
        return false;
    if (family == AF_INET) {
        map_4(address, out->bytes);
        out->bits = bits + 96;
    } else {
        memcpy(out->bytes, address, 16);
        out->bits = bits;
    }
    return true;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return !rest || !((a[whole] ^ b[whole]) >> (8 - rest));
}

/* A range of few bits that covers ::ffff:0:0/96 as IPv6 does not grant IPv4 with it. */
bool broker_range_contains(const broker_range *r, const broker_address *a)
{
    bool four = !memcmp(a->bytes, mapped, sizeof mapped);
    return same_bits(r->bytes, a->bytes, r->bits) && (!four || r->bits >= 96);
}

static bool private_four(const uint8_t *address)
{
    for (size_t i = 0; i < sizeof private_4 / sizeof private_4[0]; i++)
        if (same_bits(private_4[i].address, address, private_4[i].bits))
            return true;
    return false;
}

bool broker_address_private(const broker_address *a)
{
    if (!memcmp(a->bytes, mapped, sizeof mapped) || !memcmp(a->bytes, nat64, sizeof nat64))
        return private_four(a->bytes + 12);
    for (size_t i = 0; i < sizeof private_6 / sizeof private_6[0]; i++)
        if (same_bits(private_6[i].bytes, a->bytes, private_6[i].bits))
            return true;
    return false;
}

bool broker_reach_names(const broker_reach *r, const char *host)
{
    size_t len = strlen(host);
    if (len && host[len - 1] == '.')
        len--;
    return strlen(r->host) == len && !strncasecmp(r->host, host, len);
}

bool broker_reach_port(const broker_reach *r, uint16_t port)
{
    return !r->port || r->port == port;
}

/* Libraries know this name without asking for it (RFC 6761). */
static bool is_localhost(const char *host, const broker_address *a)
{
    static const uint8_t six[16] = {[15] = 1}, four[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1};
    size_t len = strlen(host);
    bool names = !strcmp(host, "localhost") || (len > 10 && !strcmp(host + len - 10, ".localhost"));
    return names && (!memcmp(a->bytes, six, 16) || !memcmp(a->bytes, four, 16));
}

bool broker_reach_is(const broker_reach *r, const broker_address *a)
{
    if (broker_reach_port(r, a->port) && is_localhost(r->host, a))
        return true;

    broker_address literal;
    return broker_reach_port(r, a->port) && broker_address_parse(r->host, &literal) &&
           !memcmp(literal.bytes, a->bytes, sizeof a->bytes);
}
