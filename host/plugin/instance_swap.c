/* A swap is made by the thread that asks for it, but for the switch: with a cell that is busy it is made by
 * whoever makes the next call, between taking the call lock and calling (swap_border), since a thread that
 * only waits for the lock might never get it.
 *
 *   preparing → ready → switching → done | refused
 *                 ↘ given up (time is over, instance ends, was configured anew)
 *
 * `state`, `ready`, `holds` and the canary are guarded by facts_lock, which is never held while something
 * blocks; cells and cursors by the call lock. */
#include "plugin/instance_swap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/keep.h"
#include "base/log.h"
#include "plugin/instance_private.h"

enum { LOOK_AGAIN_MS = 100, GONE_WAIT_MS = 500 };

typedef enum swap_state { SWAP_PREPARING, SWAP_READY, SWAP_SWITCHING, SWAP_ENDED } swap_state;

typedef struct swap {
    instance *in;
    const plugin_entry *plugin, *before; /* held; `before` is what runs when this begins */
    bool same;
    char *config;
    unsigned configured; /* which configuration of the instance that was */
    cell *cell;          /* the new one; after the switch the old one */
    int cancel_fd;       /* goes with it */
    uint32_t source_flags;
    swap_state state;
    status_class class; /* when it ended */
    status *st;
    swap_report report;
} swap;

const char *swap_step_name(swap_step step)
{
    static const char *const names[] = {"config", "start", "configure", "canary", "waiting", "open", "done"};
    return names[step];
}

/* ---- Preparing ---- */

static status_class ask(swap *s, wire_type type, uint32_t rows, int64_t budget_us, const frame_writer *w,
                        answer_memory **memory_out, status *st)
{
    cell_answer answer;
    *memory_out = NULL;
    status_class class = cell_exchange(s->cell, type, rows, budget_us, w, &answer, st);
    if (class != STATUS_OK)
        return class;
    *memory_out = answer_memory_make(answer.frame, answer.len);
    return answer.status >= 0
               ? STATUS_OK
               : instance_plugin_error(s->in, NULL, answer.status, answer_reader(*memory_out), st);
}

static status_class complete_config(swap *s, status *st)
{
    instance *in = s->in;
    json_t *complete = NULL;
    pthread_mutex_lock(&in->facts_lock);
    s->configured = in->swap.configured;
    char *source = keep_string(s->same ? in->config : in->given);
    pthread_mutex_unlock(&in->facts_lock);
    if (s->same) {
        s->config = source;
        return STATUS_OK;
    }
    json_t *given = json_loads(source, 0, NULL);
    assert(given);
    status_class class = plugin_config_complete(s->plugin, given, &complete, st);
    if (class == STATUS_OK)
        s->config = instance_config_text(complete);
    else
        status_wrap(st, "%s: its config does not fit version %s", in->name, s->plugin->version);
    json_decref(complete);
    json_decref(given);
    keep_free(source);
    return class;
}

static status_class configure(swap *s, status *st)
{
    frame_item flags;
    answer_memory *memory;
    frame_writer w = cell_arguments(s->cell);
    instance_write_configure(&w, s->in, s->config);
    status_class class =
        ask(s, WIRE_CONFIGURE, 0, instance_deadline_us(s->in, WIRE_CONFIGURE), &w, &memory, st);
    if (class == STATUS_OK) {
        frame_reader r = answer_reader(memory);
        if (frame_take(&r, FRAME_NUMBER, &flags))
            s->source_flags = flags.aux;
    }
    answer_memory_release(memory);
    return class;
}

/* A copy of the last good question; false if there is none. */
static bool canary_copy(instance *in, text *out, wire_type *type, uint32_t *rows)
{
    pthread_mutex_lock(&in->facts_lock);
    if (in->swap.canary.len)
        text_add_n(out, in->swap.canary.data, in->swap.canary.len);
    *type = in->swap.canary_type;
    *rows = in->swap.canary_rows;
    pthread_mutex_unlock(&in->facts_lock);
    return out->len > 0;
}

static status_class replay(swap *s, const text *question, wire_type type, uint32_t rows, status *st)
{
    frame_item item;
    answer_memory *memory;
    instance_batch *batch = NULL;
    frame_reader r = frame_reader_make(question->data, question->len);
    frame_writer w = cell_arguments(s->cell);
    while (frame_next(&r, &item))
        frame_put(&w, (frame_tag)item.tag, item.aux, item.data, item.len);
    status_class class = ask(s, type, rows, instance_deadline_us(s->in, type), &w, &memory, st);
    if (class == STATUS_OK) {
        frame_reader answer = answer_reader(memory);
        class = answer_batch(memory, &answer, INSTANCE_ROWS_MAX, &batch, st);
    }
    instance_batch_free(batch);
    answer_memory_release(memory);
    return class == STATUS_OK ? class : status_wrap(st, "a question that was answered before");
}

static status_class try_canary(swap *s, status *st)
{
    text question = {0};
    wire_type type;
    uint32_t rows;
    status_class class = STATUS_OK;
    s->report.canary = !s->same && canary_copy(s->in, &question, &type, &rows);
    if (s->report.canary)
        class = replay(s, &question, type, rows, st);
    text_free(&question);
    return class;
}

static status_class prepare(swap *s, status *st)
{
    s->report.step = SWAP_CONFIG;
    status_class class = complete_config(s, st);
    if (class != STATUS_OK)
        return class;
    s->report.step = SWAP_START;
    class = instance_spawn(s->in, s->plugin, s->config, s->cancel_fd, &s->cell, st);
    if (class != STATUS_OK)
        return status_wrap(st, "%s", s->in->name);
    s->report.step = SWAP_CONFIGURE;
    class = configure(s, st);
    if (class != STATUS_OK)
        return class;
    s->report.step = SWAP_CANARY;
    return try_canary(s, st);
}

/* ---- The switch: the call lock is held ---- */

/* Opens the source in the new cell beside the open one in the old: if that fails nothing has happened. */
static status_class open_in_new(swap *s, status *st)
{
    answer_memory *memory;
    const kept_cursor *acked = &s->in->swap.acked;
    frame_writer w = cell_arguments(s->cell);
    if (acked->len)
        frame_put(&w, FRAME_CURSOR, 0, acked->data, acked->len);
    s->report.step = SWAP_OPEN;
    status_class class = ask(s, WIRE_OPEN, 0, instance_deadline_us(s->in, WIRE_OPEN), &w, &memory, st);
    answer_memory_release(memory);
    s->report.opened = class == STATUS_OK;
    return class;
}

static void install(swap *s)
{
    instance *in = s->in;
    bool wanted = in->cell || in->supervisor.retry_at_us; /* stopped cells stay stopped */
    cell *old = in->cell;
    int old_cancel = in->cancel_fd;
    char *old_config = in->config;
    const plugin_entry *old_plugin = in->plugin;
    if (wanted && !old)
        atomic_fetch_add(&in->set->cells, 1); /* one more; else one for one */
    in->cell = wanted ? s->cell : NULL;
    pthread_mutex_lock(&in->facts_lock);
    in->cancel_fd = s->cancel_fd;
    in->config = s->config;
    in->facts.swaps++;
    pthread_mutex_unlock(&in->facts_lock);
    if (!s->same) {
        facts_plugin(in, plugin_entry_hold(s->plugin));
        plugin_entry_release(old_plugin);
        supervise_reset(&in->supervisor);
    }
    if (wanted) {
        in->source_flags = s->source_flags;
        in->too_big = false;
        in->weighed_us = 0;
        facts_condition(in, INSTANCE_RUNNING);
        s->cell = old;
    } else {
        facts_condition(in, in->swap.unloaded ? INSTANCE_UNLOADED : INSTANCE_STOPPED);
    }
    s->cancel_fd = old_cancel;
    s->config = old_config;
}

static void switch_over(swap *s)
{
    instance *in = s->in;
    int64_t began = clock_monotonic_us();
    status_class class = STATUS_OK;
    if (s->configured != in->swap.configured || s->before != in->plugin)
        class = status_set(s->st, STATUS_CONFLICT, "%s: its %s was changed meanwhile", in->name,
                           s->before != in->plugin ? "version" : "configuration");
    else if (in->cell && in->facts.source_open)
        class = open_in_new(s, s->st);
    if (class == STATUS_OK) {
        install(s);
        s->report.step = SWAP_DONE;
    }
    s->report.pause_us = clock_monotonic_us() - began;
    pthread_mutex_lock(&in->facts_lock);
    s->class = class;
    s->state = SWAP_ENDED;
    pthread_cond_broadcast(&in->swap.settled);
    pthread_mutex_unlock(&in->facts_lock);
}

void swap_border(instance *in)
{
    if (in->facts.source_open && in->swap.owed)
        return;
    pthread_mutex_lock(&in->facts_lock);
    swap *s = in->swap.ready;
    in->swap.ready = NULL;
    if (s)
        s->state = SWAP_SWITCHING;
    pthread_mutex_unlock(&in->facts_lock);
    if (s)
        switch_over(s);
}

void swap_border_passed(instance *in)
{
    pthread_mutex_lock(&in->facts_lock);
    if (in->swap.ready)
        pthread_cond_broadcast(&in->swap.settled);
    pthread_mutex_unlock(&in->facts_lock);
}

/* ---- Waiting for the border ---- */

static void wait_a_moment(instance *in)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_AGAIN_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&in->swap.settled, &in->facts_lock, &until);
}

/* facts_lock is held; it is released while this tries. */
static void try_now(instance *in)
{
    pthread_mutex_unlock(&in->facts_lock);
    if (pthread_mutex_trylock(&in->lock) == 0) {
        swap_border(in);
        pthread_mutex_unlock(&in->lock);
    }
    pthread_mutex_lock(&in->facts_lock);
}

static status_class give_up(swap *s)
{
    instance *in = s->in;
    s->class = in->swap.ending || in->set->no_swaps
                   ? status_set(s->st, STATUS_CANCELLED, "%s: it ends", in->name)
                   : status_set(s->st, STATUS_TIMEOUT, "%s: %s after %ld s", in->name,
                                "the call in hand, or an ack of what it handed over, was still waited for",
                                SWAP_WAIT_US / 1000000);
    in->swap.ready = NULL;
    s->state = SWAP_ENDED;
    return s->class;
}

static status_class wait_for_switch(swap *s)
{
    instance *in = s->in;
    int64_t until = clock_monotonic_us() + SWAP_WAIT_US;
    s->report.step = SWAP_WAITING;
    pthread_mutex_lock(&in->facts_lock);
    while (in->swap.ready && !in->swap.ending) /* another swap of the same instance */
        wait_a_moment(in);
    s->state = SWAP_READY;
    in->swap.ready = s;
    while (s->state != SWAP_ENDED) {
        if (s->state == SWAP_READY &&
            (in->swap.ending || in->set->no_swaps || clock_monotonic_us() > until)) {
            give_up(s);
            break;
        }
        if (s->state == SWAP_READY)
            try_now(in);
        if (s->state != SWAP_ENDED)
            wait_a_moment(in);
    }
    pthread_mutex_unlock(&in->facts_lock);
    return s->class;
}

/* ---- The whole ---- */

static void tell(const swap *s, const char *why, status_class class, const status *st)
{
    const swap_report *r = &s->report;
    if (class == STATUS_OK)
        log_info("plugin", s->same ? "cell renewed" : "version switched",
                 LOG_TEXT("workspace", s->in->workspace), LOG_TEXT("instance", s->in->name),
                 LOG_TEXT("plugin", s->plugin->id), LOG_TEXT("version", s->plugin->version),
                 LOG_TEXT("why", why), LOG_NUMBER("pause_us", r->pause_us),
                 LOG_NUMBER("prepare_us", r->prepare_us));
    else
        log_warn("plugin", "swap refused: the old cell goes on", LOG_TEXT("workspace", s->in->workspace),
                 LOG_TEXT("instance", s->in->name), LOG_TEXT("plugin", s->plugin->id),
                 LOG_TEXT("version", s->plugin->version), LOG_TEXT("why", why),
                 LOG_TEXT("step", swap_step_name(r->step)), LOG_TEXT("cause", st->text));
}

static const plugin_entry *plugin_of(instance *in)
{
    pthread_mutex_lock(&in->facts_lock);
    const plugin_entry *plugin = plugin_entry_hold(in->plugin);
    pthread_mutex_unlock(&in->facts_lock);
    return plugin;
}

status_class instance_swap(instance *in, const plugin_entry *plugin, const char *why, swap_report *report_out,
                           status *st)
{
    int64_t began = clock_monotonic_us();
    const plugin_entry *before = plugin_of(in);
    swap s = {.in = in,
              .plugin = plugin_entry_hold(plugin ? plugin : before),
              .before = before,
              .same = !plugin || plugin == before,
              .st = st,
              .cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    assert(s.cancel_fd >= 0);
    pthread_mutex_lock(&in->facts_lock);
    in->swap.holds++;
    pthread_mutex_unlock(&in->facts_lock);
    status_class class = prepare(&s, st);
    s.report.prepare_us = clock_monotonic_us() - began;
    if (class == STATUS_OK)
        class = wait_for_switch(&s);
    tell(&s, why, class, st);
    cell_stop(s.cell, class == STATUS_OK ? DEADLINE_STOP_MS : GONE_WAIT_MS);
    close(s.cancel_fd);
    keep_free(s.config);
    plugin_entry_release(s.plugin);
    plugin_entry_release(before);
    if (report_out)
        *report_out = s.report;
    instance_unhold(in);
    return class;
}
