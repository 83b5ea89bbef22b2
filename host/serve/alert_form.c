/* Sorted by the time of the last change. */
#include "serve/alert_form.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/resource.h"

void alert_form_id(const char *rule, const char *labels, char out[ALERT_ID_SIZE])
{
    uint8_t hash[16];
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof hash);
    crypto_generichash_update(&state, (const unsigned char *)rule, strlen(rule) + 1);
    crypto_generichash_update(&state, (const unsigned char *)labels, strlen(labels));
    crypto_generichash_final(&state, hash, sizeof hash);
    snprintf(out, ALERT_ID_SIZE, "al_");
    sodium_bin2hex(out + 3, 33, hash, sizeof hash);
}

static const char *severity_word(alert_severity severity)
{
    static const char *const words[] = {
        [SEVERITY_INFO] = "info", [SEVERITY_WARNING] = "warning", [SEVERITY_CRITICAL] = "critical"};
    return words[severity];
}

json_t *alert_form(const alert_record *r, const definition *d)
{
    char id[ALERT_ID_SIZE];
    const defined_alert *rule = d ? definition_alert(d, r->alert) : NULL;
    json_t *labels = json_loads(r->labels, 0, NULL);
    alert_form_id(r->alert, r->labels, id);
    json_t *v = json_pack("{s:s,s:s,s:s,s:o,s:s,s:s,s:s?}", "id", id, "rule", r->alert, "title",
                          rule ? rule->object.title : r->alert, "labels", labels ? labels : json_object(),
                          "state", r->phase, "severity", rule ? severity_word(rule->severity) : "info",
                          "acked_by", r->acked_by);
    json_object_set_new(v, "value", isfinite(r->value) ? json_real(r->value) : json_null());
    json_object_set_new(v, "since", resource_time_json(r->since_us));
    return v;
}

static int compare_records(const void *left, const void *right)
{
    const alert_record *a = left, *b = right;
    return a->since_us > b->since_us ? -1 : a->since_us < b->since_us;
}

static bool is_open(const alert_record *r)
{
    return strcmp(r->phase, "ok") != 0;
}

status_class alert_forms(connection *c, int32_t wid, const definition *d, bool open, json_t **ret, status *st)
{
    alert_record *found;
    uint32_t n;
    arena *a = arena_create(0);
    status_class class = alert_states_read(c, wid, NULL, a, &found, &n, st);
    if (class == STATUS_OK) {
        if (n > 1)
            qsort(found, n, sizeof *found, compare_records);
        *ret = json_array();
        for (uint32_t i = 0; i < n; i++)
            if (!open || is_open(&found[i]))
                json_array_append_new(*ret, alert_form(&found[i], d));
    }
    arena_free(a);
    return class;
}
