#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pst_status read_devices(watch *w, const pst_host *host, pst_error *error)
{
    char path[64];
    w->n = host->config_count(host, "/devices");
    if (!w->n || w->n > WATCH_DEVICES_MAX)
        return pst_fail(error, PST_E_CONFIG, "/devices", "1 to %d devices", WATCH_DEVICES_MAX);
    for (size_t i = 0; i < w->n; i++) {
        snprintf(path, sizeof path, "/devices/%zu/name", i);
        w->devices[i].name = host->config_text(host, path);
        snprintf(path, sizeof path, "/devices/%zu/unit", i);
        w->devices[i].unit = (uint8_t)host->config_int(host, path);
    }
    return PST_OK;
}

pst_status watch_make(watch *w, const pst_host *host, const map *map, int64_t timeout_us, bool numbered,
                      pst_error *error)
{
    *w = (watch){.map = map, .timeout_us = timeout_us, .numbered = numbered};
    pst_status st = read_devices(w, host, error);
    if (st)
        return st;
    w->why = calloc(w->n * map->n_blocks, sizeof *w->why);
    return w->why ? PST_OK : pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
}

void watch_free(watch *w)
{
    free(w->why);
    w->why = NULL;
}

void watch_opened(watch *w)
{
    for (size_t i = 0; i < w->n; i++) {
        device *d = &w->devices[i];
        memset(d->due_us, 0, sizeof d->due_us);
        d->answers = false;
        d->misses = 0;
    }
    w->heard = false;
    w->misses = 0;
}

/* ---- When ---- */

/* For `n` that are silent. */
static int64_t pause_us(const watch *w, size_t n)
{
    return WATCH_PAUSE * w->timeout_us * (int64_t)(n > 0 ? n : 1);
}

/* How much silence is waited for: groups, and devices that are left alone as a whole. */
static size_t count_silent(const watch *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++)
        n += w->devices[i].misses >= WATCH_SUSPECT ? 1u : (unsigned)__builtin_popcount(w->devices[i].late);
    return n;
}

/* Further away than it can be is a clock that was set back. */
bool watch_due(const watch *w, const device *d, size_t group, int64_t now_us)
{
    int64_t left = d->due_us[group] - now_us;
    return left <= 0 || left > w->map->groups[group].every_us + pause_us(w, w->n * w->map->n_groups);
}

int64_t watch_next_due(const watch *w)
{
    int64_t due_us = INT64_MAX;
    for (size_t i = 0; i < w->n * w->map->n_groups; i++) {
        int64_t one_us = w->devices[i / w->map->n_groups].due_us[i % w->map->n_groups];
        due_us = one_us < due_us ? one_us : due_us;
    }
    return due_us;
}

void watch_begin(const watch *w, device *d, size_t group, int64_t now_us)
{
    int64_t every_us = w->map->groups[group].every_us;
    d->due_us[group] = now_us - now_us % every_us + every_us;
}

/* A device with one group only has no second chance. */
static unsigned chances(const watch *w)
{
    return w->map->n_groups < WATCH_SUSPECT ? 1 : WATCH_SUSPECT;
}

void watch_answered(watch *w, device *d, size_t group, int64_t now_us)
{
    for (size_t g = 0; d->misses >= chances(w) && g < w->map->n_groups; g++)
        if (g != group)
            d->due_us[g] = now_us; /* it is back */
    d->late &= ~(1u << group);
    d->misses = 0;
    d->answers = w->heard = true;
    w->misses = 0;
}

void watch_silent(watch *w, device *d, size_t group, int64_t now_us)
{
    d->misses++;
    d->late |= 1u << group;
    bool gone = d->misses >= chances(w);
    w->misses += !w->heard || (gone && d->answers);
    d->answers = d->answers && !gone;
    int64_t own_us = now_us + pause_us(w, count_silent(w)),
            others_us = gone          ? own_us
                        : w->numbered ? 0
                                      : now_us + WATCH_QUIET * w->timeout_us;
    for (size_t g = 0; g < w->map->n_groups; g++) {
        int64_t due_us = g == group ? own_us : others_us;
        d->due_us[g] = d->due_us[g] > due_us ? d->due_us[g] : due_us;
    }
}

/* ---- How they are ---- */

bool watch_note(watch *w, const device *d, size_t block, const char *why)
{
    const char **was = &w->why[(size_t)(d - w->devices) * w->map->n_blocks + block];
    bool news = why && *was != why;
    *was = why;
    return news;
}

bool watch_is_dead(const watch *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++)
        n += w->devices[i].answers;
    if (!w->heard)
        return w->misses >= (w->n * chances(w) < WATCH_MISSES ? w->n * chances(w) : WATCH_MISSES);
    return w->misses && (!n || w->misses >= WATCH_MISSES);
}

static size_t silent_words(const watch *w, char *out, size_t cap)
{
    size_t n = 0;
    const device *first = NULL;
    for (size_t i = w->n; i--;)
        if (w->devices[i].late) {
            first = &w->devices[i];
            n++;
        }
    int len = first ? snprintf(out, cap, "%zu of %zu devices leave requests unanswered, %.60s among them", n,
                               w->n, first->name)
                    : 0;
    return len > 0 && (size_t)len < cap ? (size_t)len : 0;
}

void watch_words(const watch *w, char *out, size_t cap)
{
    *out = '\0';
    size_t len = silent_words(w, out, cap), n_blocks = w->map->n_blocks;
    for (size_t i = 0; i < w->n * n_blocks; i++) {
        const map_block *b = &w->map->blocks[i % n_blocks];
        if (!w->why[i] || w->devices[i / n_blocks].late)
            continue;
        snprintf(out + len, cap - len, "%s%.60s, %s %u to %u: %.80s", len ? "; " : "",
                 w->devices[i / n_blocks].name, frame_table_name(b->table), b->from, b->from + b->n - 1u,
                 w->why[i]);
        return;
    }
}
