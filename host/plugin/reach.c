/* A walk over the config with the schemas that apply to each value. */
#include "plugin/reach.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NESTING_MAX = 32 };

static const struct {
    const char *scheme;
    uint16_t port;
} ports[] = {{"http", 80},   {"https", 443}, {"ws", 80},      {"wss", 443},    {"smtp", 25},
             {"smtps", 465}, {"mqtt", 1883}, {"mqtts", 8883}, {"tcp", 0},      {"ftp", 21},
             {"ftps", 990},  {"amqp", 5672}, {"amqps", 5671}, {"redis", 6379}, {"nats", 4222}};

typedef struct walk {
    const json_t *root;
    broker_reach *out;
    size_t n;
} walk;

/* ---- One text ---- */

static bool set_host(broker_reach *out, const char *host, size_t len)
{
    *out = (broker_reach){0};
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    } else if (len && host[len - 1] == '.') {
        len--;
    }
    if (!len || len >= sizeof out->host)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isgraph((unsigned char)host[i]) || strchr("/\\?#@", host[i]))
            return false;
        out->host[i] = (char)tolower((unsigned char)host[i]);
    }
    return true;
}

/* [text, text + len) is "host", "host:port", "[v6]", "[v6]:port" or, without a port, a bare "v6". */
static bool take_authority(const char *text, size_t len, bool *port_given, broker_reach *out)
{
    const char *colon = memrchr(text, ':', len), *bracket = memrchr(text, ']', len);
    bool bare_six = colon && text[0] != '[' && memchr(text, ':', (size_t)(colon - text));
    bool port = colon && !bare_six && (!bracket || colon > bracket);
    size_t host = port ? (size_t)(colon - text) : len;
    unsigned long number = 0;
    *port_given = port && host + 1 < len;
    for (size_t i = host + 1; i < len; i++) {
        if (!isdigit((unsigned char)text[i]) ||
            (number = number * 10 + (unsigned long)(text[i] - '0')) > 65535)
            return false;
    }
    if (!set_host(out, text, host))
        return false;
    out->port = (uint16_t)number;
    return true;
}

bool reach_of_address(const char *text, broker_reach *out)
{
    bool port_given;
    return take_authority(text, strlen(text), &port_given, out);
}

bool reach_of_url(const char *text, broker_reach *out)
{
    size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    bool port_given;
    if (!scheme || !isalpha((unsigned char)text[0]) || strncmp(text + scheme, "://", 3) != 0)
        return false;
    const char *authority = text + scheme + 3;
    size_t len = strcspn(authority, "/?#\\ \t\r\n");
    const char *user = memrchr(authority, '@', len);
    if (user) {
        len -= (size_t)(user + 1 - authority);
        authority = user + 1;
    }
    if (!take_authority(authority, len, &port_given, out))
        return false;
    for (size_t i = 0; !port_given && i < sizeof ports / sizeof ports[0]; i++)
        if (strlen(ports[i].scheme) == scheme && !strncasecmp(ports[i].scheme, text, scheme))
            out->port = ports[i].port;
    return true;
}

/* ---- The config ---- */

static void add(walk *w, const broker_reach *more)
{
    for (size_t i = 0; i < w->n; i++)
        if (!memcmp(&w->out[i], more, sizeof *more))
            return;
    if (w->n < BROKER_REACH_MAX)
        w->out[w->n++] = *more;
}

static const json_t *resolve(const walk *w, const json_t *schema)
{
    static const char definitions[] = "#/$defs/";
    const char *reference = json_string_value(json_object_get(schema, "$ref"));
    if (!reference || strncmp(reference, definitions, sizeof definitions - 1) != 0)
        return schema;
    const json_t *defs = json_object_get(w->root, "$defs");
    const json_t *there = json_object_get(defs, reference + sizeof definitions - 1);
    return there ? there : schema;
}

static bool is_host_format(const char *format)
{
    static const char *const formats[] = {"hostname", "idn-hostname", "ipv4", "ipv6"};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (!strcmp(format, formats[i]))
            return true;
    return false;
}

/* `beside` is the object that the text stands in. */
static void take_text(walk *w, const json_t *schema, const char *text, const json_t *beside)
{
    const char *format = json_string_value(json_object_get(schema, "format"));
    broker_reach r;
    if (format && !strcmp(format, "penstock-secret"))
        return; /* a reference; its value counts when it is handed out */
    if (reach_of_url(text, &r)) {
        add(w, &r);
    } else if (format && !strcmp(format, REACH_FORMAT_ADDRESS)) {
        if (reach_of_address(text, &r))
            add(w, &r);
    } else if (format && is_host_format(format) && set_host(&r, text, strlen(text))) {
        json_int_t port = json_integer_value(json_object_get(beside, "port"));
        r.port = port > 0 && port <= 65535 ? (uint16_t)port : 0;
        add(w, &r);
    }
}

static void visit(walk *w, const json_t *schema, const json_t *value, const json_t *beside, int depth);

static void visit_object(walk *w, const json_t *schema, const json_t *value, int depth)
{
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)value, key, member)
    {
        const json_t *of_key = json_object_get(json_object_get(schema, "properties"), key);
        visit(w, of_key ? of_key : json_object_get(schema, "additionalProperties"), member, value, depth + 1);
    }
}

static void visit(walk *w, const json_t *given, const json_t *value, const json_t *beside, int depth)
{
    static const char *const branches[] = {"allOf", "anyOf", "oneOf"};
    const json_t *schema = resolve(w, given);
    if (depth > NESTING_MAX)
        return;
    for (size_t b = 0; b < sizeof branches / sizeof branches[0]; b++) {
        const json_t *list = json_object_get(schema, branches[b]);
        for (size_t i = 0; i < json_array_size(list); i++)
            visit(w, json_array_get(list, i), value, beside, depth + 1);
    }
    if (json_is_string(value))
        take_text(w, schema, json_string_value(value), beside);
    else if (json_is_object(value))
        visit_object(w, schema, value, depth);
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
        const json_t *first = json_array_get(json_object_get(schema, "prefixItems"), i);
        visit(w, first ? first : json_object_get(schema, "items"), json_array_get(value, i), beside,
              depth + 1);
    }
}

size_t reach_of_config(const json_t *schema, const json_t *config, broker_reach ret[BROKER_REACH_MAX])
{
    walk w = {.root = schema, .out = ret};
    visit(&w, schema, config, NULL, 0);
    return w.n;
}
