#include "flow/alert_message.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/text.h"
#include "base/utc.h"
#include "control/delivery.h"

static const char *const severity_names[] = {"info", "warning", "critical"};

static const char *event_name(alert_event event)
{
    return event == ALERT_FIRED ? "firing" : "resolved";
}

/* {"device_id":"p1","site":"a"} → device_id=p1, site=a */
static const char *labels_for_people(arena *a, const char *labels)
{
    text out = {0};
    const char *key;
    json_t *v, *object = json_loads(labels, 0, NULL);
    json_object_foreach(object, key, v)
    {
        char *plain = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
        text_printf(&out, "%s%s=%s", out.len ? ", " : "", key, plain ? plain : json_string_value(v));
        free(plain);
    }
    json_decref(object);
    const char *copy = arena_string(a, text_or_empty(&out));
    text_free(&out);
    return copy;
}

static void add_html(text *out, const char *s)
{
    for (; *s; s++) {
        const char *entity = *s == '&'   ? "&amp;"
                             : *s == '<' ? "&lt;"
                             : *s == '>' ? "&gt;"
                             : *s == '"' ? "&quot;"
                                         : NULL;
        if (entity)
            text_add(out, entity);
        else
            text_add_char(out, *s);
    }
}

static const char *title_of(arena *a, const flow_plan *plan, const defined_alert *rule,
                            const alert_told *told)
{
    const char *who = labels_for_people(a, told->labels);
    return arena_printf(a, "[%s] %s %s%s%s (%s)", severity_names[rule->severity], rule->object.title,
                        event_name(told->event), *who ? ": " : "", who, plan->definition->workspace);
}

typedef struct fact {
    const char *name, *text;
} fact;

static uint32_t facts_of(arena *a, const flow_plan *plan, const defined_alert *rule, const alert_told *told,
                         fact out[8])
{
    char at[UTC_TEXT_SIZE], since[UTC_TEXT_SIZE];
    uint32_t n = 0;
    const defined_metric *metric = definition_metric(plan->definition, rule->metric);
    utc_format(told->at_us, at);
    utc_format(told->episode_us, since);
    out[n++] = (fact){"Workspace", plan->definition->workspace};
    out[n++] = (fact){"Alert", rule->object.key};
    out[n++] = (fact){"State", event_name(told->event)};
    out[n++] = (fact){"Labels", labels_for_people(a, told->labels)};
    out[n++] =
        (fact){"Metric", metric && metric->unit ? arena_printf(a, "%s (%s)", rule->metric, metric->unit)
                                                : rule->metric};
    if (!isnan(told->value))
        out[n++] = (fact){"Value", arena_printf(a, "%g", told->value)};
    out[n++] = (fact){"At", arena_string(a, at)};
    if (told->episode_us)
        out[n++] = (fact){"Since", arena_string(a, since)};
    return n;
}

static json_t *message_of(arena *a, const flow_plan *plan, const defined_alert *rule, const alert_told *told)
{
    fact facts[8];
    text plain = {0}, html = {0};
    const char *title = title_of(a, plan, rule, told);
    uint32_t n = facts_of(a, plan, rule, told, facts);
    text_add(&html, "<html><body><h3>");
    add_html(&html, title);
    text_add(&html, "</h3><table>");
    for (uint32_t i = 0; i < n; i++) {
        text_printf(&plain, "%-10s %s\n", facts[i].name, facts[i].text);
        text_printf(&html, "<tr><td>%s</td><td>", facts[i].name);
        add_html(&html, facts[i].text);
        text_add(&html, "</td></tr>");
    }
    text_add(&html, "</table></body></html>");
    json_t *labels = json_loads(told->labels, 0, NULL);
    json_t *value = isnan(told->value) ? json_null() : json_real(told->value);
    json_t *m =
        json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:s, s:s, s:s, s:o, s:o, s:s}", "workspace",
                  plan->definition->workspace, "alert", rule->object.key, "event", event_name(told->event),
                  "severity", (int)rule->severity, "at_us", (json_int_t)told->at_us, "episode_us",
                  (json_int_t)told->episode_us, "title", title, "text", plain.data, "html", html.data,
                  "labels", labels ? labels : json_object(), "value", value, "metric", rule->metric);
    text_free(&plain);
    text_free(&html);
    return m;
}

/* The same event to the same notifier is the same delivery, however often it is computed. */
static const char *delivery_id(arena *a, const flow_plan *plan, const defined_alert *rule,
                               const alert_told *told, const char *notifier)
{
    char hex[DIGEST_TEXT_SIZE];
    const char *name =
        arena_printf(a, "%s\n%s\n%s\n%lld\n%s\n%s", plan->definition->workspace_id, rule->object.key,
                     told->labels, (long long)told->episode_us, event_name(told->event), notifier);
    digest_text(hex, name, strlen(name));
    return arena_printf(a, "dlv_%s", hex);
}

status_class alert_message_queue(const flow_plan *plan, const defined_alert *rule, const alert_told *told,
                                 connection *control, arena *a, status *st)
{
    json_t *message = message_of(a, plan, rule, told);
    char *dumped = json_dumps(message, JSON_COMPACT);
    status_class class = STATUS_OK;
    for (uint32_t i = 0; i < rule->notify.n && class == STATUS_OK; i++) {
        const char *notifier = rule->notify.items[i];
        delivery d = {.id = delivery_id(a, plan, rule, told, notifier),
                      .wid = plan->wid,
                      .alert = rule->object.key,
                      .labels = told->labels,
                      .event = event_name(told->event),
                      .notifier = notifier,
                      .message = dumped};
        class = delivery_add(control, &d, st);
    }
    free(dumped);
    json_decref(message);
    return class;
}
