/* Things are few and looked up by going through them; a message costs one comparison of its topic with each
 * `seen`. State: "things" has a line "seen TAB parts" each, "filters" a line for each subscription. */
#include "follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char things_key[] = "things";
enum { KEY_MAX = 40 };

void follow_init(follow *f, const settings *set)
{
    *f = (follow){.set = set, .state = set->host->get_service(set->host, PST_SERVICE_STATE)};
}

void follow_free(follow *f)
{
    free(f->things);
    f->things = NULL;
    f->n = 0;
}

/* ---- Texts ---- */

/* The n-th part, from 1. */
static mqtt_span part_of(const char *parts, unsigned n)
{
    while (--n && *parts) {
        parts += strcspn(parts, "/");
        parts += *parts == '/';
    }
    return (mqtt_span){parts, strcspn(parts, "/")};
}

/* Placeholders filled in; false: too long. */
static bool fill_in(const char *text, const char *parts, char *out, size_t cap)
{
    size_t n = 0;
    for (const char *c = text; *c; c++) {
        mqtt_span piece = {c, 1};
        if (*c == '{' && c[1] >= '1' && c[1] <= '9' && c[2] == '}') {
            piece = part_of(parts, (unsigned)(c[1] - '0'));
            c += 2;
        }
        if (n + piece.len + 1 > cap)
            return false;
        memcpy(out + n, piece.data, piece.len);
        n += piece.len;
    }
    out[n] = '\0';
    return true;
}

/* What the + of a filter that fits matched. */
static bool parts_of(const char *filter, mqtt_span topic, char out[FOLLOW_TEXT_MAX])
{
    const char *at = topic.data, *end = topic.data + topic.len;
    size_t n = 0;
    out[0] = '\0';
    for (; *filter && *filter != '#';
         filter += filter[strcspn(filter, "/")] ? strcspn(filter, "/") + 1 : strcspn(filter, "/")) {
        const char *slash = memchr(at, '/', (size_t)(end - at)), *stop = slash ? slash : end;
        if (*filter == '+') {
            if (n + (size_t)(stop - at) + 2 > FOLLOW_TEXT_MAX)
                return false;
            n += (size_t)snprintf(out + n, FOLLOW_TEXT_MAX - n, "%s%.*s", n ? "/" : "", (int)(stop - at), at);
        }
        at = slash ? slash + 1 : end;
    }
    return true;
}

/* ---- Things ---- */

static follow_thing *find(const follow *f, const settings_follow *rule, const char *parts)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->things[i].rule == rule && !strcmp(f->things[i].parts, parts))
            return &f->things[i];
    return NULL;
}

/* NULL: no room. */
static follow_thing *add(follow *f, const settings_follow *rule, const char *parts)
{
    if (!f->things)
        f->things = calloc(FOLLOW_SEEN_MAX, sizeof *f->things);
    if (!f->things || f->n == FOLLOW_SEEN_MAX) {
        if (!f->full_told)
            f->set->host->log(f->set->host, PST_LOG_WARN, "more things are seen than can be followed: 1000",
                              NULL, 0);
        f->full_told = true;
        return NULL;
    }
    follow_thing *t = &f->things[f->n++];
    t->rule = rule;
    t->due_us = 0;
    snprintf(t->parts, sizeof t->parts, "%s", parts);
    return t;
}

static void subscribe(const follow_thing *t, session *s)
{
    char filter[1024];
    const char *one = filter;
    for (size_t i = 0; i < t->rule->n_topics; i++)
        if (fill_in(t->rule->topics[i], t->parts, filter, sizeof filter))
            session_subscribe(s, &one, 1);
}

void follow_see(follow *f, session *s, mqtt_span topic)
{
    char parts[FOLLOW_TEXT_MAX];
    for (size_t i = 0; i < f->set->n_follow; i++) {
        const settings_follow *rule = &f->set->follow[i];
        if (!rule->seen || !mqtt_filter_fits(rule->seen, topic.data, topic.len) ||
            !parts_of(rule->seen, topic, parts) || find(f, rule, parts))
            continue;
        follow_thing *t = add(f, rule, parts);
        if (t)
            subscribe(t, s);
        f->unsaved = f->unsaved || t;
    }
}

/* ---- What is kept ---- */

/* Each broker has its own subscriptions. */
static void filters_key(const session *s, char out[KEY_MAX])
{
    if (s->set->shared_sessions || s->broker == &s->set->brokers[0])
        snprintf(out, KEY_MAX, "filters");
    else
        snprintf(out, KEY_MAX, "filters-%016llx", (unsigned long long)s->owner);
}

static size_t keep_get(const follow *f, const pst_call *call, const char *key,
                       char out[PST_STATE_VALUE_MAX + 1])
{
    pst_error error = {.struct_size = sizeof error};
    size_t len = 0;
    uint64_t version = 0;
    if (!f->state ||
        f->state->get(f->set->host, call, key, out, PST_STATE_VALUE_MAX, &len, &version, &error) != PST_OK ||
        !version)
        len = 0;
    out[len] = '\0';
    return len;
}

static void keep_put(const follow *f, const pst_call *call, const char *key, const char *text, size_t len)
{
    pst_error error = {.struct_size = sizeof error};
    if (f->state &&
        f->state->put(f->set->host, call, key, (pst_bytes){text, len}, PST_STATE_ANY, 0, NULL, &error))
        f->set->host->log(f->set->host, PST_LOG_WARN,
                          "what is followed could not be kept; it is seen anew after a restart", NULL, 0);
}

typedef struct lines {
    char text[PST_STATE_VALUE_MAX + 1];
    size_t len;
    bool full;
} lines;

static void line_add(lines *l, const char *a, const char *tab, const char *b)
{
    size_t more = strlen(a) + strlen(tab) + strlen(b) + 1;
    if (l->len + more > PST_STATE_VALUE_MAX) {
        l->full = true;
        return;
    }
    l->len += (size_t)snprintf(l->text + l->len, sizeof l->text - l->len, "%s%s%s\n", a, tab, b);
}

static bool line_in(const lines *l, const char *line, size_t len)
{
    for (const char *at = l->text; *at; at += strcspn(at, "\n") + 1)
        if (strcspn(at, "\n") == len && !memcmp(at, line, len))
            return true;
    return false;
}

static void all_things(const follow *f, lines *out)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->things[i].rule->seen)
            line_add(out, f->things[i].rule->seen, "\t", f->things[i].parts);
}

static void all_filters(const follow *f, lines *out)
{
    char filter[1024];
    for (size_t i = 0; i < f->set->n_filters; i++)
        line_add(out, f->set->filters[i], "", "");
    for (size_t i = 0; i < f->n; i++)
        for (size_t k = 0; k < f->things[i].rule->n_topics; k++)
            if (fill_in(f->things[i].rule->topics[k], f->things[i].parts, filter, sizeof filter))
                line_add(out, filter, "", "");
}

static void keep_all(follow *f, const session *s, const pst_call *call, lines *scratch)
{
    char key[KEY_MAX];
    filters_key(s, key);
    scratch->len = 0;
    all_things(f, scratch);
    keep_put(f, call, things_key, scratch->text, scratch->len);
    scratch->len = 0;
    all_filters(f, scratch);
    keep_put(f, call, key, scratch->text, scratch->len);
    f->unsaved = false;
}

static void recall_things(follow *f, const char *text)
{
    for (const char *at = text; *at;) {
        size_t len = strcspn(at, "\n"), seen = strcspn(at, "\t");
        char parts[FOLLOW_TEXT_MAX];
        for (size_t i = 0; seen < len && i < f->set->n_follow; i++) {
            const settings_follow *rule = &f->set->follow[i];
            if (!rule->seen || strlen(rule->seen) != seen || memcmp(rule->seen, at, seen) != 0)
                continue;
            snprintf(parts, sizeof parts, "%.*s", (int)(len - seen - 1), at + seen + 1);
            if (!find(f, rule, parts))
                add(f, rule, parts);
        }
        at += len + (at[len] == '\n');
    }
}

/* The broker keeps a session's subscriptions: those that nobody wants any more are taken back. */
static void take_back(const follow *f, session *s, const char *was, lines *wanted)
{
    char filter[1024];
    wanted->len = 0;
    wanted->text[0] = '\0';
    all_filters(f, wanted);
    for (const char *at = was; *at && !wanted->full;) {
        size_t len = strcspn(at, "\n");
        if (len && len < sizeof filter && !line_in(wanted, at, len)) {
            snprintf(filter, sizeof filter, "%.*s", (int)len, at);
            session_unsubscribe(s, filter);
        }
        at += len + (at[len] == '\n');
    }
}

pst_status follow_begin(follow *f, session *s, const pst_call *call, pst_error *error)
{
    char key[KEY_MAX];
    lines *scratch = calloc(1, sizeof *scratch);
    char *was = calloc(1, PST_STATE_VALUE_MAX + 1);
    if (!scratch || !was) {
        free(scratch);
        free(was);
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for what is followed");
    }
    f->n = 0;
    session_subscribe(s, f->set->filters, f->set->n_filters);
    for (size_t i = 0; i < f->set->n_follow; i++)
        if (!f->set->follow[i].seen)
            add(f, &f->set->follow[i], "");
    keep_get(f, call, things_key, was);
    recall_things(f, was);
    for (size_t i = 0; i < f->n; i++)
        subscribe(&f->things[i], s);
    filters_key(s, key);
    keep_get(f, call, key, was);
    if (s->resumed)
        take_back(f, s, was, scratch);
    scratch->len = 0;
    all_filters(f, scratch);
    if (strcmp(was, scratch->text) != 0)
        keep_all(f, s, call, scratch);
    free(scratch);
    free(was);
    return PST_OK;
}

static void publish(const follow *f, const follow_thing *t, session *s)
{
    char topic[1024], payload[4096];
    if (fill_in(t->rule->publish, t->parts, topic, sizeof topic) &&
        fill_in(t->rule->payload ? t->rule->payload : "", t->parts, payload, sizeof payload))
        outgoing_publish(&s->out, f->set->version, topic, payload, strlen(payload));
}

void follow_tick(follow *f, session *s, const pst_call *call)
{
    int64_t now_us = f->set->host->now_us(f->set->host);
    for (size_t i = 0; i < f->n; i++) {
        follow_thing *t = &f->things[i];
        if (!t->rule->publish || now_us < t->due_us)
            continue;
        publish(f, t, s);
        t->due_us = now_us + t->rule->every_us;
    }
    lines *scratch = f->unsaved ? calloc(1, sizeof *scratch) : NULL;
    if (scratch)
        keep_all(f, s, call, scratch);
    free(scratch);
}
