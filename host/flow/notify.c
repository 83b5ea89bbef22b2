#include "flow/notify.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/random.h"
#include "control/delivery.h"

enum { CLAIM_LIMIT = 20, LABELS_MAX = 64, TRIES_MAX = 60 };
static const int64_t lease_us = 120 * INT64_C(1000000), first_pause_us = 5 * INT64_C(1000000),
                     longest_pause_us = 1800 * INT64_C(1000000);

static int64_t pause_us(int64_t attempt, uint32_t asked_ms)
{
    int64_t pause = first_pause_us;
    for (int64_t i = 1; i < attempt && pause < longest_pause_us; i++)
        pause *= 2;
    pause = pause > longest_pause_us ? longest_pause_us : pause;
    pause += (int64_t)random_below((uint64_t)pause / 10 + 1);
    return pause > (int64_t)asked_ms * 1000 ? pause : (int64_t)asked_ms * 1000;
}

static size_t read_labels(const json_t *labels, arena *a, instance_header out[LABELS_MAX])
{
    const char *key;
    json_t *v;
    size_t n = 0;
    json_object_foreach((json_t *)labels, key, v)
    {
        if (n == LABELS_MAX)
            break;
        char *plain = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
        out[n++] = (instance_header){key, plain ? arena_string(a, plain) : json_string_value(v)};
        free(plain);
    }
    return n;
}

static const char *text_of(const json_t *message, const char *key)
{
    const char *s = json_string_value(json_object_get(message, key));
    return s ? s : "";
}

static status_class send_one(instance *plugin, const delivery *d, const json_t *message, instance_call *call,
                             arena *a, instance_delivery *out, status *st)
{
    instance_header labels[LABELS_MAX];
    json_t *at = json_object_get(message, "at_us");
    instance_message m = {.severity = (int)json_integer_value(json_object_get(message, "severity")),
                          .at_us = json_integer_value(at),
                          .delivery_id = d->id,
                          .title = text_of(message, "title"),
                          .text = text_of(message, "text"),
                          .html = json_string_value(json_object_get(message, "html")),
                          .json = d->message,
                          .labels = labels};
    m.n_labels = read_labels(json_object_get(message, "labels"), a, labels);
    return instance_send(plugin, call, &m, out, st);
}

/* One message to be sent: the whole batch, if its sending kills the plugin. */
typedef struct sending {
    instance *plugin;
    const delivery *d;
    const json_t *message;
    arena *arena;
    instance_delivery *out;
    uint32_t poison;
} sending;

static status_class send_again(void *arg, uint32_t first, uint32_t n, instance_call *call, status *st)
{
    sending *s = arg;
    (void)first, (void)n;
    return send_one(s->plugin, s->d, s->message, call, s->arena, s->out, st);
}

static void on_poison(void *arg, uint32_t row, text *json_out)
{
    sending *s = arg;
    (void)row;
    text_add(json_out, s->d->message);
}

/* A plugin that died over the message gets it once more, in a fresh cell; if it dies again it is the message.
 */
static status_class send_carefully(const notify_parts *p, sending *s, instance_call *call, status *st)
{
    status_class class = send_one(s->plugin, s->d, s->message, call, s->arena, s->out, st);
    if (class == STATUS_OK || !instance_call_suspicious(call))
        return class;
    const char *stage = arena_printf(s->arena, "notifier:%s", s->d->notifier);
    poison_hunt hunt = {.place = {p->ward, s->plugin, stage, stage},
                        .n_rows = 1,
                        .run = send_again,
                        .on_poison = on_poison,
                        .arg = s};
    class = poison_hunt_run(&hunt, call, 0, st);
    if (class != STATUS_OK || !hunt.n_poison)
        return class;
    char name[INSTANCE_PLUGIN_MAX];
    instance_plugin(s->plugin, name, sizeof name);
    s->poison = hunt.n_poison;
    return status_set(st, STATUS_INVALID, "the message kills the plugin %s (%s), %u attempts", name,
                      call->cause, hunt.tries + 1);
}

static bool is_final(const sending *s, plugin_fault fault, int64_t attempt)
{
    if (fault == PLUGIN_FAULT_UNLOADED || fault == PLUGIN_FAULT_DIED)
        return s->poison > 0; /* an operator will load it again, or it recovers: the delivery waits */
    return s->poison || fault == PLUGIN_FAULT_CONFIG || fault == PLUGIN_FAULT_DATA ||
           fault == PLUGIN_FAULT_UNSUPPORTED || attempt >= TRIES_MAX;
}

/* A plugin that is held back after it died says itself when. */
static int64_t pause_after(const instance_call *call, int64_t attempt)
{
    if (call->fault != PLUGIN_FAULT_DIED || !call->retry_after_ms)
        return pause_us(attempt, call->retry_after_ms);
    int64_t asked = (int64_t)call->retry_after_ms * 1000;
    return asked < first_pause_us * 2 ? asked : first_pause_us * 2; /* it may be released before its time */
}

static status_class record_failure(const notify_parts *p, const sending *s, const instance_call *call,
                                   const status *why, notify_result *out, status *st)
{
    log_status(LOG_LEVEL_WARN, "notify", "a delivery was not made", why);
    if (is_final(s, call->fault, s->d->attempt)) {
        out->failed++;
        return delivery_failed(p->control, s->d, why->text, st);
    }
    out->retried++;
    return delivery_retry(p->control, s->d, why->text, pause_after(call, s->d->attempt), st);
}

static status_class deliver(const notify_parts *p, const delivery *d, arena *a, notify_result *out,
                            status *st)
{
    status why;
    instance_call call = {.work_id = d->id};
    instance_delivery done = {0};
    sending s = {.plugin = p->notifier(p->arg, d->notifier, &why), .d = d, .arena = a, .out = &done};
    json_t *message = json_loads(d->message, 0, NULL);
    s.message = message;
    status_class class = s.plugin ? send_carefully(p, &s, &call, &why) : why.class;
    json_decref(message);
    if (class != STATUS_OK)
        return record_failure(p, &s, &call, &why, out, st);
    out->sent++;
    log_info("notify", "delivered", LOG_TEXT("delivery", d->id), LOG_TEXT("notifier", d->notifier),
             LOG_TEXT("event", d->event));
    return delivery_sent(p->control, d, done.external_id, st);
}

status_class notify_step(const notify_parts *parts, notify_result *out, status *st)
{
    delivery *due;
    uint32_t n;
    arena *a = arena_create(0);
    *out = (notify_result){0};
    status_class class = deliveries_claim(parts->control, parts->wid, CLAIM_LIMIT, lease_us, a, &due, &n, st);
    for (uint32_t i = 0; i < n && class == STATUS_OK; i++) {
        class = deliver(parts, &due[i], a, out, st);
        if (class == STATUS_CONFLICT)
            class = STATUS_OK; /* another host has it now */
    }
    if (class == STATUS_OK)
        class = deliveries_next(parts->control, parts->wid, &out->next_in_us, st);
    arena_free(a);
    return class;
}
