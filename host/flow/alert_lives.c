#include "flow/alert_lives.h"

#include <string.h>

#include "base/name.h"
#include "control/alert_state.h"
#include "flow/alert.h"

typedef struct life {
    const char *labels;
    alert_life life;
    int64_t received_us;
    bool changed;
} life;

struct alert_lives {
    arena *arena;
    const defined_alert *rule;
    int32_t wid;
    life *lives;
    uint32_t n, cap;
    uint32_t *slots; /* open addressing by labels: number + 1 */
    uint32_t n_slots;
    alert_told *told;
    uint32_t n_told, cap_told;
};

enum { FIRST_SLOTS = 64 };

static uint32_t *slot_of(const alert_lives *l, const char *labels)
{
    uint32_t i = (uint32_t)name_hash(labels, strlen(labels)) & (l->n_slots - 1);
    while (l->slots[i] && strcmp(l->lives[l->slots[i] - 1].labels, labels) != 0)
        i = (i + 1) & (l->n_slots - 1);
    return &l->slots[i];
}

static void grow(alert_lives *l)
{
    uint32_t cap = l->cap ? l->cap * 2 : FIRST_SLOTS / 2;
    life *lives = arena_zero(l->arena, cap, sizeof *lives);
    if (l->n)
        memcpy(lives, l->lives, l->n * sizeof *lives);
    l->lives = lives;
    l->cap = cap;
    l->n_slots = cap * 2;
    l->slots = arena_zero(l->arena, l->n_slots, sizeof *l->slots);
    for (uint32_t i = 0; i < l->n; i++)
        *slot_of(l, lives[i].labels) = i + 1;
}

static life *add(alert_lives *l, const char *labels)
{
    if (l->n == l->cap)
        grow(l);
    life *new = &l->lives[l->n++];
    *new = (life){.labels = labels};
    *slot_of(l, labels) = l->n;
    return new;
}

static void restore(alert_lives *l, const alert_record *r)
{
    life *one = add(l, r->labels);
    alert_life *life = &one->life;
    if (!alert_phase_parse(r->phase, &life->phase) || !alert_phase_parse(r->before, &life->before_silence))
        life->phase = life->before_silence = ALERT_OK; /* written by a newer version that knows more phases */
    life->since_us = r->since_us;
    life->episode_us = r->episode_us;
    life->last_us = r->last_us;
    life->value = r->value;
    one->received_us = r->received_us;
}

status_class alert_lives_read(connection *control, int32_t wid, const defined_alert *rule, arena *a,
                              alert_lives **out, status *st)
{
    alert_record *records;
    uint32_t n;
    status_class class = alert_states_read(control, wid, rule->object.key, a, &records, &n, st);
    if (class != STATUS_OK)
        return class;
    alert_lives *l = arena_zero(a, 1, sizeof *l);
    l->arena = a;
    l->rule = rule;
    l->wid = wid;
    grow(l);
    for (uint32_t i = 0; i < n; i++)
        restore(l, &records[i]);
    *out = l;
    return STATUS_OK;
}

int64_t alert_lives_last(const alert_lives *l, const char *labels)
{
    uint32_t number = *slot_of(l, labels);
    return number && l->lives[number - 1].life.last_us ? l->lives[number - 1].life.last_us : INT64_MIN;
}

static void tell(alert_lives *l, const life *one, alert_event event, int64_t at_us, int64_t episode_us)
{
    if (event == ALERT_NOTHING)
        return;
    if (l->n_told == l->cap_told) {
        uint32_t cap = l->cap_told ? l->cap_told * 2 : 16;
        alert_told *more = arena_zero(l->arena, cap, sizeof *more);
        if (l->n_told)
            memcpy(more, l->told, l->n_told * sizeof *more);
        l->told = more;
        l->cap_told = cap;
    }
    l->told[l->n_told++] = (alert_told){event, one->labels, at_us, episode_us, one->life.value};
}

bool alert_lives_feed(alert_lives *l, const char *labels, int64_t at_us, double value, int64_t now_us)
{
    uint32_t number = *slot_of(l, labels);
    if (!number && l->n >= ALERT_LABELS_MAX)
        return false;
    life *one = number ? &l->lives[number - 1] : add(l, arena_string(l->arena, labels));
    int64_t episode_us = one->life.episode_us, last_us = one->life.last_us;
    alert_event event = alert_step(l->rule, &one->life, at_us, value);
    if (one->life.last_us == last_us)
        return true; /* nothing new */
    one->received_us = now_us;
    one->changed = true;
    tell(l, one, event, at_us, event == ALERT_FIRED ? one->life.episode_us : episode_us);
    return true;
}

void alert_lives_pass(alert_lives *l, const char *labels, int64_t at_us)
{
    uint32_t number = *slot_of(l, labels);
    if (!number && l->n >= ALERT_LABELS_MAX)
        return;
    life *one = number ? &l->lives[number - 1] : add(l, arena_string(l->arena, labels));
    if (one->life.last_us >= at_us)
        return;
    one->life.last_us = at_us;
    one->changed = true;
}

void alert_lives_silence(alert_lives *l, int64_t now_us)
{
    for (uint32_t i = 0; i < l->n; i++) {
        life *one = &l->lives[i];
        alert_phase phase = one->life.phase;
        alert_event event = alert_silence(l->rule, &one->life, one->received_us, now_us);
        one->changed = one->changed || one->life.phase != phase;
        tell(l, one, event, now_us, one->life.episode_us);
    }
}

int64_t alert_lives_next_silence(const alert_lives *l, int64_t now_us)
{
    int64_t next_us = INT64_MAX;
    if (l->rule->no_data_after_us == DEFINITION_ANY)
        return next_us;
    for (uint32_t i = 0; i < l->n; i++) {
        int64_t us = l->lives[i].received_us + l->rule->no_data_after_us;
        next_us = us > now_us && us < next_us ? us : next_us;
    }
    return next_us;
}

uint32_t alert_lives_told(const alert_lives *l, const alert_told **out)
{
    *out = l->told;
    return l->n_told;
}

static alert_record record_of(const alert_lives *l, const life *one)
{
    return (alert_record){.alert = l->rule->object.key,
                          .labels = one->labels,
                          .phase = alert_phase_name(one->life.phase),
                          .before = alert_phase_name(one->life.before_silence),
                          .since_us = one->life.since_us,
                          .episode_us = one->life.episode_us,
                          .last_us = one->life.last_us,
                          .received_us = one->received_us,
                          .value = one->life.value};
}

status_class alert_lives_save(alert_lives *l, connection *control, status *st)
{
    alert_record *changed = arena_zero(l->arena, l->n + 1, sizeof *changed);
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n; i++)
        if (l->lives[i].changed)
            changed[n++] = record_of(l, &l->lives[i]);
    return alert_states_save(control, l->wid, changed, n, l->arena, st);
}
