/* What the schema cannot say is checked here: the form of topic filters, and that placeholders have a
 * wildcard. */
#include "settings.h"

#include <stdio.h>
#include <string.h>

static pst_status read_broker(settings *s, const char *path, pst_error *error)
{
    settings_broker *b = &s->brokers[s->n_brokers++];
    const char *url = s->host->config_text(s->host, path);
    char place[300];
    b->place.where = path;
    b->tls = url && !strncmp(url, "mqtts://", 8);
    if (!url || (!b->tls && strncmp(url, "mqtt://", 7) != 0))
        url = "mqtt://";
    snprintf(place, sizeof place, "%s", url + (b->tls ? 8 : 7));
    size_t len = strlen(place);
    if (len && place[len - 1] == '/')
        place[len - 1] = '\0';
    return tcp_place_parse(place, b->tls ? "8883" : "1883", &b->place)
               ? PST_OK
               : pst_fail(error, PST_E_CONFIG, path, "mqtt://host:port or mqtts://host:port is expected");
}

static pst_status read_brokers(settings *s, pst_error *error)
{
    static const char *const paths[] = {"/broker", "/fallbacks/0", "/fallbacks/1", "/fallbacks/2"};
    size_t n = 1 + s->host->config_count(s->host, "/fallbacks");
    if (n > SETTINGS_BROKERS_MAX)
        return pst_fail(error, PST_E_CONFIG, "/fallbacks", "at most %d of them", SETTINGS_BROKERS_MAX - 1);
    pst_status st = PST_OK;
    for (size_t i = 0; !st && i < n; i++)
        st = read_broker(s, paths[i], error);
    s->return_us = s->host->config_int(s->host, "/return_s") * 1000000;
    s->shared_sessions = s->host->config_flag(s->host, "/shared_sessions");
    return st;
}

static pst_status read_filters(settings *s, pst_error *error)
{
    char path[64];
    s->n_filters = s->host->config_count(s->host, "/topics");
    for (size_t i = 0; i < s->n_filters && i < SETTINGS_FILTERS_MAX; i++) {
        snprintf(path, sizeof path, "/topics/%zu", i);
        s->filters[i] = s->host->config_text(s->host, path);
        if (!s->filters[i] || !mqtt_filter_valid(s->filters[i]))
            return pst_fail(error, PST_E_CONFIG, path,
                            "%.200s is no topic filter: + and # stand for whole levels",
                            s->filters[i] ? s->filters[i] : "");
    }
    return s->n_filters <= SETTINGS_FILTERS_MAX
               ? PST_OK
               : pst_fail(error, PST_E_CONFIG, "/topics", "at most %d topic filters", SETTINGS_FILTERS_MAX);
}

/* ---- follow ---- */

static unsigned wildcards(const char *filter)
{
    unsigned n = 0;
    for (const char *c = filter ? filter : ""; *c; c++)
        n += *c == '+';
    return n;
}

/* {1} … {9} name wildcards that there are; filled in, the text is a filter, or (not `filter`) a topic. */
static bool template_valid(const char *text, unsigned n_wildcards, bool filter)
{
    char filled[1024];
    size_t n = 0;
    for (const char *c = text; *c; c++) {
        if (n + 1 >= sizeof filled)
            return false;
        bool place = *c == '{' && c[1] >= '1' && c[1] <= '9' && c[2] == '}';
        if (place && (unsigned)(c[1] - '0') > n_wildcards)
            return false;
        filled[n++] = place ? 'x' : *c;
        c += place ? 2 : 0;
    }
    filled[n] = '\0';
    return mqtt_filter_valid(filled) && (filter || !strpbrk(filled, "+#"));
}

static const char *text_at(const settings *s, const char *path, const char *key)
{
    char whole[96];
    snprintf(whole, sizeof whole, "%s/%s", path, key);
    return s->host->config_text(s->host, whole);
}

static pst_status read_follow_one(settings *s, const char *path, settings_follow *f, pst_error *error)
{
    char at[96];
    f->seen = text_at(s, path, "seen");
    f->publish = text_at(s, path, "publish");
    f->payload = text_at(s, path, "payload");
    snprintf(at, sizeof at, "%s/every_s", path);
    f->every_us = s->host->config_int(s->host, at) * 1000000;
    snprintf(at, sizeof at, "%s/topics", path);
    f->n_topics = s->host->config_count(s->host, at);
    unsigned n = wildcards(f->seen);
    if (f->seen && !mqtt_filter_valid(f->seen))
        return pst_fail(error, PST_E_CONFIG, path, "%.200s is no topic filter", f->seen);
    if (f->publish && (!template_valid(f->publish, n, false) || f->every_us <= 0))
        return pst_fail(
            error, PST_E_CONFIG, path,
            "publish must be a topic without wildcards, with every_s beside it, and {1} the first + of seen");
    for (size_t i = 0; i < f->n_topics && i < SETTINGS_FOLLOW_FILTERS_MAX; i++) {
        snprintf(at, sizeof at, "%s/topics/%zu", path, i);
        f->topics[i] = s->host->config_text(s->host, at);
        if (!f->topics[i] || !template_valid(f->topics[i], n, true))
            return pst_fail(error, PST_E_CONFIG, at,
                            "a topic filter is expected, in which {1} is the first + of seen");
    }
    return f->n_topics <= SETTINGS_FOLLOW_FILTERS_MAX
               ? PST_OK
               : pst_fail(error, PST_E_CONFIG, path, "at most %d topic filters", SETTINGS_FOLLOW_FILTERS_MAX);
}

static pst_status read_follow(settings *s, pst_error *error)
{
    char path[64];
    pst_status st = PST_OK;
    s->n_follow = s->host->config_count(s->host, "/follow");
    if (s->n_follow > SETTINGS_FOLLOW_MAX)
        return pst_fail(error, PST_E_CONFIG, "/follow", "at most %d of them", SETTINGS_FOLLOW_MAX);
    for (size_t i = 0; !st && i < s->n_follow; i++) {
        snprintf(path, sizeof path, "/follow/%zu", i);
        st = read_follow_one(s, path, &s->follow[i], error);
    }
    return st;
}

pst_status settings_read(const pst_host *host, settings *s, pst_error *error)
{
    *s = (settings){.host = host};
    const char *version = host->config_text(host, "/version"), *payload = host->config_text(host, "/payload");
    s->version = version && !strcmp(version, "3.1.1") ? MQTT_3_1_1 : MQTT_5;
    s->sparkplug = payload && !strcmp(payload, "sparkplug_b");
    s->user = host->config_text(host, "/user");
    s->has_password = host->config_has(host, "/password");
    s->client_id = host->config_text(host, "/client_id");
    s->qos = (uint8_t)host->config_int(host, "/qos");
    s->in_flight = (uint16_t)host->config_int(host, "/in_flight");
    s->patience_s = (uint16_t)host->config_int(host, "/patience_s");
    s->expiry_s = (uint32_t)host->config_int(host, "/session_expiry_s");
    s->packet_max = (size_t)host->config_int(host, "/max_packet_bytes");
    pst_status st = read_brokers(s, error);
    if (!st)
        st = read_filters(s, error);
    return st ? st : read_follow(s, error);
}
