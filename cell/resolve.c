/* getaddrinfo as the plugin and its libraries see it: the program's own definition goes before the C
 * library's, so names are resolved by the broker, and only those that the plugin's config holds. Literal
 * addresses and services are turned into addresses here. In a cell without a door the C library's own is
 * called. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cell/door.h"

enum { PORT_MAX = 65535 };

typedef int (*getaddrinfo_function)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
typedef void (*freeaddrinfo_function)(struct addrinfo *);

typedef struct kind {
    int type, protocol;
} kind;

static const kind kinds[] = {{SOCK_STREAM, IPPROTO_TCP}, {SOCK_DGRAM, IPPROTO_UDP}};

static bool fits(const struct addrinfo *hints, const kind *k)
{
    return (!hints->ai_socktype || hints->ai_socktype == k->type) &&
           (!hints->ai_protocol || hints->ai_protocol == k->protocol);
}

/* -1 = unknown */
static int port_of(const char *service, const struct addrinfo *hints)
{
    char *end = NULL, names[1024];
    struct servent entry, *found = NULL;
    if (!service || !*service)
        return 0;
    unsigned long port = strtoul(service, &end, 10);
    if (end && !*end)
        return port <= PORT_MAX ? (int)port : -1;
    if (hints->ai_flags & AI_NUMERICSERV)
        return -1;
    const char *protocol = hints->ai_socktype == SOCK_DGRAM ? "udp" : "tcp";
    if (getservbyname_r(service, protocol, &entry, names, sizeof names, &found) != 0 || !found)
        return -1;
    return ntohs((uint16_t)found->s_port);
}

static bool add_literal(const char *literal, door_answer *out)
{
    door_address *a = &out->addresses[out->n];
    a->family = AF_INET;
    if (inet_pton(AF_INET, literal, a->bytes) != 1) {
        a->family = AF_INET6;
        if (inet_pton(AF_INET6, literal, a->bytes) != 1)
            return false;
    }
    out->n++;
    return true;
}

/* EAI_…; the addresses of the node, of any family. */
static int look_up(const char *node, const struct addrinfo *hints, door_answer *out)
{
    memset(out, 0, sizeof *out);
    if (!node) {
        bool any = hints->ai_flags & AI_PASSIVE;
        return add_literal(any ? "::" : "::1", out) && add_literal(any ? "0.0.0.0" : "127.0.0.1", out)
                   ? 0
                   : EAI_FAIL;
    }
    if (add_literal(node, out))
        return 0;
    return hints->ai_flags & AI_NUMERICHOST ? EAI_NONAME : door_resolve(node, hints->ai_family, out);
}

/* One block an entry: the entry, its address, its name. */
static struct addrinfo *make(const door_address *a, const kind *k, int port, const char *name)
{
    typedef struct block {
        struct addrinfo info;
        struct sockaddr_storage address;
    } block;
    block *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    memcpy(&four.sin_addr, a->bytes, sizeof four.sin_addr);
    memcpy(&six.sin6_addr, a->bytes, sizeof six.sin6_addr);
    bool is_four = a->family == AF_INET;
    memcpy(&b->address, is_four ? (void *)&four : (void *)&six, is_four ? sizeof four : sizeof six);
    b->info = (struct addrinfo){.ai_family = a->family,
                                .ai_socktype = k->type,
                                .ai_protocol = k->protocol,
                                .ai_addrlen = is_four ? sizeof four : sizeof six,
                                .ai_addr = (struct sockaddr *)&b->address,
                                .ai_canonname = name ? strdup(name) : NULL};
    return &b->info;
}

__attribute__((visibility("default"))) void freeaddrinfo(struct addrinfo *list)
{
    if (!door_is_open()) {
        freeaddrinfo_function theirs = (freeaddrinfo_function)dlsym(RTLD_NEXT, "freeaddrinfo");
        theirs(list);
        return;
    }
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list->ai_canonname);
        free(list);
        list = next;
    }
}

static struct addrinfo *build(const door_answer *found, const struct addrinfo *hints, int port,
                              const char *node)
{
    struct addrinfo *first = NULL, **last = &first;
    for (uint32_t i = 0; i < found->n; i++)
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            const door_address *a = &found->addresses[i];
            if ((hints->ai_family && hints->ai_family != a->family) || !fits(hints, &kinds[k]))
                continue;
            *last = make(a, &kinds[k], port, hints->ai_flags & AI_CANONNAME && !first ? node : NULL);
            if (!*last)
                break;
            last = &(*last)->ai_next;
        }
    return first;
}

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *given, struct addrinfo **out)
{
    static const struct addrinfo none;
    const struct addrinfo *hints = given ? given : &none;
    if (!door_is_open()) {
        getaddrinfo_function theirs = (getaddrinfo_function)dlsym(RTLD_NEXT, "getaddrinfo");
        return theirs(node, service, given, out);
    }
    door_answer found;
    int port = port_of(service, hints), error;
    if (!node && !service)
        return EAI_NONAME;
    if (port < 0)
        return EAI_SERVICE;
    if ((error = look_up(node, hints, &found)) != 0)
        return error;
    *out = build(&found, hints, port, node);
    return *out ? 0 : EAI_NONAME;
}
