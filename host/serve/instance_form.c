#include "serve/instance_form.h"

#include <string.h>

#include "base/clock.h"
#include "serve/resource.h"

static json_t *retry_json(const instance_state *s)
{
    int64_t left = s->retry_at_us - clock_monotonic_us();
    bool held = s->condition == INSTANCE_WAITING || s->condition == INSTANCE_QUARANTINED;
    return held && s->retry_at_us ? json_real(left > 0 ? (double)left / 1e6 : 0) : json_null();
}

static json_t *metrics_json(const instance_state *s)
{
    json_t *v = json_object();
    for (size_t i = 0; i < s->n_metrics; i++)
        json_object_set_new(v, s->metrics[i].metric->name, json_real(s->metrics[i].value));
    return v;
}

/* NULL before the first start: nothing was applied yet. */
static json_t *sandbox_json(const instance_state *s)
{
    json_t *v = s->sandbox && *s->sandbox ? json_loads(s->sandbox, JSON_DECODE_ANY, NULL) : NULL;
    return v ? v : json_null();
}

static void set_counts(json_t *v, const instance_state *s)
{
    const struct {
        const char *name;
        uint64_t n;
    } counts[] = {{"calls", s->calls},
                  {"failures", s->failures},
                  {"starts", s->starts},
                  {"swaps", s->swaps},
                  {"deaths", s->deaths},
                  {"suspects", s->suspects},
                  {"dead_letters", s->poisons},
                  {"recycles", s->recycles},
                  {"evictions", s->evictions},
                  {"denials", s->denials},
                  {"rows", s->rows_out},
                  {"rejects", s->rejects_out},
                  {"memory_bytes", (uint64_t)s->memory_bytes}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        json_object_set_new(v, counts[i].name, json_integer((json_int_t)counts[i].n));
}

json_t *instance_json(const instance_state *s, const char *current)
{
    json_t *v =
        json_pack("{s:s,s:s,s:s,s:s,s:b,s:s,s:i,s:b}", "workspace", s->workspace, "name", s->name, "version",
                  s->version, "hash", s->hash, "current", !strcmp(s->hash, current), "condition",
                  instance_condition_name(s->condition), "pid", (int)s->pid, "source_open", s->source_open);
    set_counts(v, s);
    json_object_set_new(v, "last_death",
                        s->last_death && *s->last_death ? json_string(s->last_death) : json_null());
    json_object_set_new(v, "last_denial",
                        s->last_denial && *s->last_denial ? json_string(s->last_denial) : json_null());
    json_object_set_new(v, "trouble", s->trouble && *s->trouble ? json_string(s->trouble) : json_null());
    json_object_set_new(v, "last_death_at", resource_time_json(s->last_death_us));
    json_object_set_new(v, "retry_in_seconds", retry_json(s));
    json_object_set_new(v, "call_seconds", json_real((double)s->call_us / 1e6));
    json_object_set_new(v, "sandbox", sandbox_json(s));
    json_object_set_new(v, "metrics", metrics_json(s));
    return v;
}

void instance_sum_add(instance_sum *sum, const instance_state *s)
{
    sum->instances++;
    sum->running += s->pid > 0;
    sum->quarantined += s->condition == INSTANCE_QUARANTINED;
    sum->deaths += s->deaths;
    sum->suspects += s->suspects;
    sum->poisons += s->poisons;
    sum->recycles += s->recycles;
}

json_t *instance_sum_json(const instance_sum *sum)
{
    return json_pack("{s:i,s:i,s:i,s:I,s:I,s:I,s:I}", "instances", (int)sum->instances, "running",
                     (int)sum->running, "quarantined", (int)sum->quarantined, "deaths",
                     (json_int_t)sum->deaths, "suspects", (json_int_t)sum->suspects, "dead_letters",
                     (json_int_t)sum->poisons, "recycles", (json_int_t)sum->recycles);
}
