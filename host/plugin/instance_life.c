/* Life and death of an instance's cell: how it is stopped and replaced, what its death means for the call it
 * was in, for back-off and quarantine, and who is told. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "plugin/instance_private.h"

/* ---- Telling ---- */

static void tell(instance *in, const char *verb, const char *what)
{
    log_warn("plugin", verb, LOG_TEXT("workspace", in->workspace), LOG_TEXT("instance", in->name),
             LOG_TEXT("plugin", in->plugin->id), LOG_TEXT("hash", in->plugin->hash),
             LOG_TEXT("reason", what));
    if (in->watcher.on_event)
        in->watcher.on_event(in->watcher.self, in->name, verb, what);
}

static void tell_quarantine(instance *in, const char *reason)
{
    char text[400];
    snprintf(text, sizeof text,
             "%s %s (%.12s): %.256s; tried again every ten minutes, at once with a new file", in->plugin->id,
             in->plugin->version, in->plugin->hash, reason);
    tell(in, "quarantine", text);
}

/* ---- Death ---- */

static plugin_death death_of(cell_fate fate)
{
    static const plugin_death deaths[] = {
        [CELL_LIVES] = PLUGIN_DEATH_NONE,    [CELL_SIGNALLED] = PLUGIN_DEATH_SIGNAL,
        [CELL_EXITED] = PLUGIN_DEATH_EXIT,   [CELL_HUNG] = PLUGIN_DEATH_HANG,
        [CELL_BROKEN] = PLUGIN_DEATH_BROKEN, [CELL_TOO_BIG] = PLUGIN_DEATH_MEMORY};
    return deaths[fate];
}

static void put_into_call(instance_call *call, plugin_death death, int signal, const char *why)
{
    if (!call)
        return;
    call->death = death;
    call->signal = signal;
    snprintf(call->cause, sizeof call->cause, "%s", why);
}

/* Deaths of a suspect are about its input: they are shown, and count for nothing. */
static void count_death(instance *in, bool suspect, const char *why)
{
    bool before = in->supervisor.quarantined;
    snprintf(in->last_death, sizeof in->last_death, "%s", why);
    facts_death(in);
    if (!suspect)
        supervise_death(&in->supervisor, clock_monotonic_us(), random_u64());
    log_warn("plugin", "cell died", LOG_TEXT("workspace", in->workspace), LOG_TEXT("instance", in->name),
             LOG_TEXT("plugin", in->plugin->id), LOG_TEXT("cause", in->last_death),
             LOG_TEXT("suspect", suspect ? "yes" : "no"), LOG_NUMBER("deaths_in_row", in->supervisor.in_row));
    if (in->supervisor.quarantined && !before)
        tell_quarantine(in, in->last_death);
}

static void show_condition(instance *in)
{
    facts_condition(in, in->supervisor.quarantined ? INSTANCE_QUARANTINED : INSTANCE_WAITING);
}

void instance_bury(instance *in, instance_call *call)
{
    plugin_death death = death_of(cell_how(in->cell));
    put_into_call(call, death, cell_signal(in->cell), cell_death(in->cell));
    count_death(in, call && call->suspect && death != PLUGIN_DEATH_MEMORY, cell_death(in->cell));
    instance_drop_cell(in, 0);
    show_condition(in);
}

void instance_worn(instance *in, instance_call *call, const char *why)
{
    put_into_call(call, PLUGIN_DEATH_WORN, 0, why);
    in->too_big = true;
}

void instance_stillborn(instance *in, instance_call *call, const char *why)
{
    put_into_call(call, PLUGIN_DEATH_START, 0, why);
    count_death(in, call && call->suspect, why);
    show_condition(in);
}

bool instance_call_suspicious(const instance_call *call)
{
    return call->death == PLUGIN_DEATH_SIGNAL || call->death == PLUGIN_DEATH_EXIT ||
           call->death == PLUGIN_DEATH_HANG || call->death == PLUGIN_DEATH_BROKEN ||
           call->death == PLUGIN_DEATH_WORN;
}

const char *plugin_death_name(plugin_death death)
{
    static const char *const names[] = {"none",   "signal", "exit",  "hang",
                                        "broken", "memory", "start", "worn"};
    return names[death];
}

void instance_plugin(instance *in, char *out, size_t size)
{
    pthread_mutex_lock(&in->facts_lock);
    snprintf(out, size, "%.100s %.40s (%.12s)", in->plugin->id, in->plugin->version, in->plugin->hash);
    pthread_mutex_unlock(&in->facts_lock);
}

/* ---- Policy from outside ---- */

void instance_absolve(instance *in, unsigned n_rows, bool worked)
{
    char text[100];
    pthread_mutex_lock(&in->lock);
    bool was = in->supervisor.quarantined;
    if (worked || in->supervisor.proved)
        supervise_absolve(&in->supervisor);
    facts_add(in, FACT_POISON, n_rows);
    facts_condition(in, in->supervisor.quarantined ? INSTANCE_QUARANTINED
                        : in->cell                 ? INSTANCE_RUNNING
                                                   : INSTANCE_STOPPED);
    snprintf(text, sizeof text, "%u row%s that killed it %s put aside as dead letters", n_rows,
             n_rows == 1 ? "" : "s", n_rows == 1 ? "was" : "were");
    tell(in, "poison", text);
    if (was && !in->supervisor.quarantined)
        tell(in, "release", "what killed it was a row, which is put aside");
    pthread_mutex_unlock(&in->lock);
}

void instance_quarantine(instance *in, const char *reason)
{
    pthread_mutex_lock(&in->lock);
    instance_drop_cell(in, INSTANCE_IDLE_STOP_MS);
    snprintf(in->last_death, sizeof in->last_death, "%s", reason);
    supervise_quarantine(&in->supervisor, clock_monotonic_us());
    show_condition(in);
    tell_quarantine(in, reason);
    pthread_mutex_unlock(&in->lock);
}

void instance_release(instance *in)
{
    bool was = in->supervisor.quarantined;
    supervise_reset(&in->supervisor);
    facts_condition(in, in->cell ? INSTANCE_RUNNING : INSTANCE_STOPPED);
    if (was)
        tell(in, "release", "it is tried again at once, as asked");
}

void instance_retry(instance *in)
{
    pthread_mutex_lock(&in->lock);
    instance_release(in);
    pthread_mutex_unlock(&in->lock);
}

/* ---- Stopping and replacing ---- */

void instance_drop_cell(instance *in, int timeout_ms)
{
    cell *old = in->cell;
    in->cell = NULL;
    program_end(in, false);
    in->too_big = false;
    cell_stop(old, timeout_ms);
    if (old)
        instance_room_give(in);
    facts_memory(in, 0);
    facts_open(in, false);
}

void instance_quit(instance *in)
{
    instance_drop_cell(in, INSTANCE_IDLE_STOP_MS);
    show_condition(in);
}

void instance_rest(instance *in)
{
    pthread_mutex_lock(&in->lock);
    if (in->cell) {
        instance_drop_cell(in, INSTANCE_IDLE_STOP_MS);
        facts_condition(in, INSTANCE_STOPPED);
    }
    swap_forget_answer(in);
    pthread_mutex_unlock(&in->lock);
}

/* Between two calls, nothing un-acked: the next call starts another cell, a source is opened again at its
 * newest durable cursor. */
static void renew(instance *in, int64_t bytes)
{
    log_info("plugin", "a cell has grown and is replaced", LOG_TEXT("workspace", in->workspace),
             LOG_TEXT("instance", in->name), LOG_TEXT("plugin", in->plugin->id),
             LOG_NUMBER("memory_bytes", bytes));
    instance_drop_cell(in, INSTANCE_IDLE_STOP_MS);
    facts_add(in, FACT_RECYCLE, 1);
    facts_condition(in, INSTANCE_STOPPED);
}

enum { WEIGH_EVERY_US = 1000000 };

void instance_weigh(instance *in)
{
    int64_t now = clock_monotonic_us(), limit = in->set->settings.memory_bytes, bytes = 0;
    if (network_lost(in)) { /* an open source is opened again at its newest durable cursor */
        instance_drop_cell(in, INSTANCE_IDLE_STOP_MS);
        facts_condition(in, INSTANCE_STOPPED);
    }
    if (!in->cell || in->set->settings.no_sandbox)
        return;
    if (in->weighed_us == 0 || now - in->weighed_us >= WEIGH_EVERY_US) {
        in->weighed_us = now;
        bytes = cell_memory(in->cell);
        facts_memory(in, bytes);
        in->too_big = in->too_big || bytes >= limit / 100 * CELL_MEMORY_FULL;
    }
    if (in->too_big && !(in->facts.source_open && in->swap.owed))
        renew(in, bytes);
}
