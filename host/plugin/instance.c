/* The life of an instance: its cell starts when a call needs it, is replaced after a death as the supervisor
 * allows, and every answer is mapped to a status and a fault here, in one place.
 *
 * `lock` is held for a whole call. `facts` is a copy of what others may see, under a lock that is never held
 * long. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "plugin/instance_private.h"

enum { IDLE_STOP_MS = 500 };

/* ---- What others may see ---- */

static void facts_condition(instance *in, instance_condition condition)
{
    pthread_mutex_lock(&in->facts_lock);
    in->facts.condition = condition;
    in->facts.pid = in->cell ? cell_pid(in->cell) : 0;
    in->facts.retry_at_us = in->supervisor.retry_at_us;
    snprintf(in->shown_death, sizeof in->shown_death, "%s", in->last_death);
    if (in->cell) {
        free(in->sandbox);
        in->sandbox = memory_string(cell_sandbox(in->cell));
        in->facts.sandbox = in->sandbox;
    }
    pthread_mutex_unlock(&in->facts_lock);
}

static void facts_plugin(instance *in)
{
    pthread_mutex_lock(&in->facts_lock);
    free(in->metrics);
    in->metrics = memory_zero(in->plugin->n_metrics + 1, sizeof *in->metrics);
    for (size_t i = 0; i < in->plugin->n_metrics; i++)
        in->metrics[i].metric = &in->plugin->metrics[i];
    in->facts.plugin_id = in->plugin->id;
    in->facts.version = in->plugin->version;
    in->facts.metrics = in->metrics;
    in->facts.n_metrics = in->plugin->n_metrics;
    pthread_mutex_unlock(&in->facts_lock);
}

static void facts_call(instance *in, int64_t took_us, bool failed)
{
    pthread_mutex_lock(&in->facts_lock);
    in->facts.calls++;
    in->facts.failures += failed;
    in->facts.call_us += took_us;
    in->last_used_us = clock_monotonic_us();
    pthread_mutex_unlock(&in->facts_lock);
}

static void facts_open(instance *in, bool open)
{
    pthread_mutex_lock(&in->facts_lock);
    in->facts.source_open = open;
    pthread_mutex_unlock(&in->facts_lock);
}

/* Counters travel at the end of every answer. */
static void facts_metrics(instance *in, frame_reader r)
{
    frame_item item;
    pthread_mutex_lock(&in->facts_lock);
    while (frame_next(&r, &item)) {
        frame_metric m;
        if (item.tag != FRAME_METRIC || item.len != sizeof m || item.aux >= in->facts.n_metrics)
            continue;
        memcpy(&m, item.data, sizeof m);
        instance_metric_value *v = &in->metrics[item.aux];
        v->value = v->metric->kind == PST_GAUGE ? m.value : v->value + m.value;
        v->count += m.count;
    }
    pthread_mutex_unlock(&in->facts_lock);
}

/* ---- The cell ---- */

static void on_cell_log(void *arg, int32_t level, const char *message, const pst_field *fields,
                        size_t n_fields)
{
    instance *in = CHECKED(instance, INSTANCE_MAGIC, arg);
    log_field all[36] = {LOG_TEXT("workspace", in->workspace), LOG_TEXT("instance", in->name),
                         LOG_TEXT("plugin", in->plugin->id)};
    unsigned n = 3;
    for (size_t i = 0; i < n_fields && n < sizeof all / sizeof all[0]; i++)
        all[n++] = LOG_TEXT(fields[i].key, fields[i].value);
    log_level to = level <= PST_LOG_DEBUG  ? LOG_LEVEL_DEBUG
                   : level == PST_LOG_INFO ? LOG_LEVEL_INFO
                   : level == PST_LOG_WARN ? LOG_LEVEL_WARN
                                           : LOG_LEVEL_ERROR;
    log_write(to, "plugin", message, all, n);
}

static status_class on_cell_secret(void *arg, const char *reference, const char *subject, text *value_out,
                                   status *st)
{
    instance *in = CHECKED(instance, INSTANCE_MAGIC, arg);
    if (!in->secrets.fetch)
        return status_set(st, STATUS_UNSUPPORTED, "there are no secrets here");
    return in->secrets.fetch(in->secrets.self, in->workspace, reference, subject, value_out, st);
}

static void note_death(instance *in, const char *why)
{
    snprintf(in->last_death, sizeof in->last_death, "%s", why);
    supervise_death(&in->supervisor, clock_monotonic_us(), random_u64());
    pthread_mutex_lock(&in->facts_lock);
    in->facts.deaths++;
    pthread_mutex_unlock(&in->facts_lock);
    log_warn("plugin", "cell died", LOG_TEXT("workspace", in->workspace), LOG_TEXT("instance", in->name),
             LOG_TEXT("plugin", in->plugin->id), LOG_TEXT("cause", in->last_death),
             LOG_NUMBER("deaths_in_row", in->supervisor.in_row));
}

static void drop_cell(instance *in, int timeout_ms)
{
    cell *old = in->cell;
    in->cell = NULL;
    cell_stop(old, timeout_ms);
    facts_open(in, false);
}

/* After an exchange that killed the cell. */
static void bury_cell(instance *in)
{
    note_death(in, cell_death(in->cell));
    drop_cell(in, 0);
    facts_condition(in, in->supervisor.quarantined ? INSTANCE_QUARANTINED : INSTANCE_WAITING);
}

static status_class start_cell(instance *in, status *st)
{
    const instance_set_settings *common = &in->set->settings;
    bool pure = in->plugin->kind == PLUGIN_METRIC || in->plugin->kind == PLUGIN_MODEL;
    cell_settings s = {.spawner = common->spawner,
                       .program = common->cell_program,
                       .user = common->cell_user,
                       .plugin = in->plugin->path,
                       .profile = common->no_sandbox ? "none"
                                  : pure             ? "pure"
                                                     : "net",
                       .memory_bytes = common->memory_bytes,
                       .cancel_fd = in->cancel_fd,
                       .epoch = ++in->epoch,
                       .patient = common->no_sandbox,
                       .listener = {.on_log = on_cell_log, .on_secret = on_cell_secret, .arg = in}};
    status_class class = cell_start(&s, &in->cell, st);
    if (class != STATUS_OK)
        return class;
    pthread_mutex_lock(&in->facts_lock);
    in->facts.starts++;
    pthread_mutex_unlock(&in->facts_lock);
    facts_condition(in, INSTANCE_RUNNING);
    return STATUS_OK;
}

/* ---- Status of a call ---- */

static status_class fault_set(instance_call *call, plugin_fault fault, uint32_t retry_after_ms,
                              status_class class)
{
    if (call) {
        call->fault = fault;
        call->retry_after_ms = retry_after_ms;
    }
    return class;
}

static const struct {
    plugin_fault fault;
    status_class class;
} meaning[] = {
    [-PST_E_CONFIG] = {PLUGIN_FAULT_CONFIG, STATUS_INVALID},
    [-PST_E_AUTH] = {PLUGIN_FAULT_AUTH, STATUS_DENIED},
    [-PST_E_UNAVAILABLE] = {PLUGIN_FAULT_AWAY, STATUS_UNAVAILABLE},
    [-PST_E_DATA] = {PLUGIN_FAULT_DATA, STATUS_INVALID},
    [-PST_E_CANCELLED] = {PLUGIN_FAULT_CANCELLED, STATUS_CANCELLED},
    [-PST_E_TIMEOUT] = {PLUGIN_FAULT_TIMEOUT, STATUS_TIMEOUT},
    [-PST_E_UNSUPPORTED] = {PLUGIN_FAULT_UNSUPPORTED, STATUS_UNSUPPORTED},
    [-PST_E_RESOURCE] = {PLUGIN_FAULT_RESOURCE, STATUS_LIMIT},
    [-PST_E_INTERNAL] = {PLUGIN_FAULT_BUG, STATUS_INTERNAL},
};

/* The plugin answered with an error. */
static status_class plugin_error(const instance *in, instance_call *call, pst_status code, frame_reader r,
                                 status *st)
{
    frame_item item;
    frame_error e = {.message = "(it said nothing)"};
    if (frame_take(&r, FRAME_ERROR, &item) && item.len == sizeof e)
        memcpy(&e, item.data, sizeof e);
    e.where[sizeof e.where - 1] = e.message[sizeof e.message - 1] = '\0';
    if (!utf8_valid(e.message, strlen(e.message)))
        snprintf(e.message, sizeof e.message, "(its message is not UTF-8)");
    if (!utf8_valid(e.where, strlen(e.where)))
        e.where[0] = '\0';
    size_t index = code < 0 && code >= PST_E_INTERNAL ? (size_t)-code : (size_t)-PST_E_INTERNAL;
    if (call)
        call->vendor_code = e.vendor_code;
    status_at(st, meaning[index].class, e.where, "%s: %s", in->name,
              e.message[0] ? e.message : "(it said nothing)");
    return fault_set(call, meaning[index].fault, e.retry_after_ms, meaning[index].class);
}

static status_class waiting(const instance *in, instance_call *call, int64_t wait_us, status *st)
{
    int64_t ms = wait_us / 1000 + 1;
    status_set(st, STATUS_UNAVAILABLE, "%s: the plugin %s, next try in %.1f s: %s", in->name,
               in->supervisor.quarantined ? "is quarantined after five deaths in ten minutes"
                                          : "is restarted",
               (double)ms / 1000, in->last_death);
    return fault_set(call, PLUGIN_FAULT_DIED, (uint32_t)ms, STATUS_UNAVAILABLE);
}

static uint32_t retry_ms(const instance *in)
{
    return (uint32_t)(supervise_wait_us(&in->supervisor, clock_monotonic_us()) / 1000 + 1);
}

/* ---- An exchange ---- */

static void write_configure(frame_writer *w, const void *arg)
{
    const instance *in = arg;
    frame_put_text(w, FRAME_NAME, in->name);
    frame_put_text(w, FRAME_WORKSPACE, in->workspace);
    frame_put_text(w, FRAME_CONFIG, in->config);
}

/* Sends x and turns the answer into a status. The cell lives when this begins. */
static status_class run(instance *in, instance_call *call, exchange *x, status *st)
{
    cell_answer answer;
    frame_writer w = cell_arguments(in->cell);
    if (call) {
        frame_put_text(&w, FRAME_SUBJECT, call->subject);
        frame_put_text(&w, FRAME_WORK_ID, call->work_id);
        frame_put_text(&w, FRAME_TRACE, call->trace);
    }
    if (x->write)
        x->write(&w, x->arg);
    int64_t budget = call && call->deadline_us > 0 ? call->deadline_us : x->deadline_us;
    status_class class = cell_exchange(in->cell, x->type, x->rows, budget, &w, &answer, st);
    if (cell_dead(in->cell)) {
        bury_cell(in);
        status_wrap(st, "%s", in->name);
        return fault_set(call, class == STATUS_TIMEOUT ? PLUGIN_FAULT_TIMEOUT : PLUGIN_FAULT_DIED,
                         retry_ms(in), class);
    }
    if (class != STATUS_OK)
        return fault_set(call, PLUGIN_FAULT_RESOURCE, 0, class);
    x->status = answer.status;
    x->memory = answer_memory_make(answer.frame, answer.len);
    x->answer = answer_reader(x->memory);
    facts_metrics(in, x->answer);
    if (x->status < 0)
        class = plugin_error(in, call, x->status, x->answer, st);
    if (x->status == PST_E_INTERNAL) {
        cell_condemn(in->cell, st->text);
        bury_cell(in);
    }
    return class;
}

static status_class configure(instance *in, instance_call *call, status *st)
{
    frame_item flags;
    instance_call own = {0};
    exchange x = {
        .type = WIRE_CONFIGURE, .deadline_us = DEADLINE_OPEN_US, .write = write_configure, .arg = in};
    status_class class = run(in, &own, &x, st);
    if (class == STATUS_OK && frame_take(&x.answer, FRAME_NUMBER, &flags))
        in->source_flags = flags.aux;
    answer_memory_release(x.memory);
    if (class == STATUS_OK)
        return STATUS_OK;
    if (call)
        call->vendor_code = own.vendor_code;
    if (in->cell) { /* it refused: nothing died */
        drop_cell(in, IDLE_STOP_MS);
        facts_condition(in, INSTANCE_STOPPED);
    }
    return fault_set(call, own.fault, own.retry_after_ms, class);
}

static status_class ensure_cell(instance *in, instance_call *call, status *st)
{
    if (in->cell)
        return STATUS_OK;
    int64_t wait = supervise_wait_us(&in->supervisor, clock_monotonic_us());
    if (wait > 0)
        return waiting(in, call, wait, st);
    status_class class = start_cell(in, st);
    if (class == STATUS_OK)
        return configure(in, call, st);
    note_death(in, st->text);
    facts_condition(in, in->supervisor.quarantined ? INSTANCE_QUARANTINED : INSTANCE_WAITING);
    status_wrap(st, "%s", in->name);
    return fault_set(call, class == STATUS_INVALID ? PLUGIN_FAULT_CONFIG : PLUGIN_FAULT_DIED, retry_ms(in),
                     class);
}

status_class instance_exchange(instance *in, instance_call *call, exchange *x, status *st)
{
    fault_set(call, PLUGIN_FAULT_NONE, 0, STATUS_OK);
    pthread_mutex_lock(&in->lock);
    int64_t began = clock_monotonic_us();
    bool source = x->type == WIRE_CREDIT || x->type == WIRE_ACK;
    status_class class = STATUS_OK;
    if (source && !in->facts.source_open) { /* only this thread writes it: the call lock is held */
        status_set(st, STATUS_UNAVAILABLE, "%s: the source is not open%s%s", in->name,
                   *in->last_death ? ": " : "", in->last_death);
        class = fault_set(call, PLUGIN_FAULT_CLOSED, 0, STATUS_UNAVAILABLE);
    }
    if (class == STATUS_OK)
        class = ensure_cell(in, call, st);
    if (class == STATUS_OK && x->type != WIRE_CONFIGURE)
        class = run(in, call, x, st);
    if (class == STATUS_OK)
        supervise_success(&in->supervisor);
    if (x->type == WIRE_OPEN || x->type == WIRE_CLOSE)
        facts_open(in, class == STATUS_OK && x->type == WIRE_OPEN);
    facts_call(in, clock_monotonic_us() - began, class != STATUS_OK);
    return class;
}

void instance_exchange_end(instance *in, exchange *x)
{
    pthread_mutex_unlock(&in->lock);
    answer_memory_release(x->memory);
}

status_class instance_distrust(instance *in, instance_call *call, const status *why, status_class class)
{
    char text[400];
    snprintf(text, sizeof text, "it handed over a bad answer: %.300s", why->text);
    if (in->cell) {
        cell_condemn(in->cell, text);
        bury_cell(in);
    }
    return fault_set(call, PLUGIN_FAULT_BUG, retry_ms(in), class);
}

status_class instance_take_batch(instance *in, instance_call *call, exchange *x, uint32_t max_rows,
                                 instance_batch **batch_out, status *st)
{
    status_class class = answer_batch(x->memory, &x->answer, max_rows, batch_out, st);
    if (class != STATUS_OK) {
        instance_distrust(in, call, st, class);
        return status_wrap(st, "%s", in->name);
    }
    pthread_mutex_lock(&in->facts_lock);
    in->facts.rows_out += (*batch_out)->rows.n_rows;
    in->facts.rejects_out += (*batch_out)->n_rejects;
    pthread_mutex_unlock(&in->facts_lock);
    return STATUS_OK;
}

/* ---- Making and ending ---- */

instance *instance_create(instance_set *set, const instance_settings *settings)
{
    instance *in = memory_zero(1, sizeof *in);
    in->magic = INSTANCE_MAGIC;
    in->set = set;
    in->plugin = plugin_entry_hold(settings->plugin);
    in->workspace = memory_string(settings->workspace);
    in->name = memory_string(settings->name);
    in->secrets = settings->secrets;
    in->config = json_dumps(settings->config, JSON_COMPACT);
    assert(in->config);
    in->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(in->cancel_fd >= 0);
    pthread_mutex_init(&in->lock, NULL);
    pthread_mutex_init(&in->facts_lock, NULL);
    in->facts = (instance_state){
        .workspace = in->workspace, .name = in->name, .last_death = in->shown_death, .sandbox = ""};
    facts_plugin(in);
    pthread_mutex_lock(&set->lock);
    in->next = set->first;
    set->first = in;
    pthread_mutex_unlock(&set->lock);
    return in;
}

void instance_free(instance *in)
{
    if (!in)
        return;
    pthread_mutex_lock(&in->set->lock);
    instance **at = &in->set->first;
    while (*at != in)
        at = &(*at)->next;
    *at = in->next;
    pthread_mutex_unlock(&in->set->lock);
    instance_close(in);
    drop_cell(in, DEADLINE_STOP_MS);
    close(in->cancel_fd);
    plugin_entry_release(in->plugin);
    pthread_mutex_destroy(&in->lock);
    pthread_mutex_destroy(&in->facts_lock);
    free(in->metrics);
    free(in->sandbox);
    free(in->workspace);
    free(in->name);
    free(in->config);
    free(in);
}

void instance_reconfigure(instance *in, const plugin_entry *plugin, const json_t *config)
{
    pthread_mutex_lock(&in->lock);
    drop_cell(in, DEADLINE_STOP_MS);
    const plugin_entry *old = in->plugin;
    in->plugin = plugin_entry_hold(plugin);
    free(in->config);
    in->config = json_dumps(config, JSON_COMPACT);
    assert(in->config);
    in->supervisor = (supervisor){0};
    facts_plugin(in);
    facts_condition(in, INSTANCE_STOPPED);
    plugin_entry_release(old);
    pthread_mutex_unlock(&in->lock);
}

status_class instance_start(instance *in, instance_call *call, status *st)
{
    exchange x = {.type = WIRE_CONFIGURE}; /* what starting a cell does anyway */
    status_class class = instance_exchange(in, call, &x, st);
    instance_exchange_end(in, &x);
    return class;
}

void instance_cancel(instance *in)
{
    eventfd_write(in->cancel_fd, 1);
}

bool instance_offers(const instance *in, const char *interface_id)
{
    return plugin_entry_offers(in->plugin, interface_id);
}

bool instance_source_replays(const instance *in)
{
    return in->source_flags & PST_SOURCE_REPLAYS;
}

/* ---- The set ---- */

instance_set *instance_set_create(const instance_set_settings *settings)
{
    instance_set *set = memory_zero(1, sizeof *set);
    set->settings = *settings;
    set->program = memory_string(settings->cell_program);
    set->user = settings->cell_user ? memory_string(settings->cell_user) : NULL;
    set->settings.cell_program = set->program;
    set->settings.cell_user = set->user;
#ifdef PENSTOCK_SANITIZED
    set->settings.memory_bytes = 0; /* the sanitizers reserve terabytes */
#else
    if (!set->settings.memory_bytes)
        set->settings.memory_bytes = 256L << 20;
#endif
    pthread_mutex_init(&set->lock, NULL);
    return set;
}

void instance_set_free(instance_set *set)
{
    if (!set)
        return;
    assert(!set->first);
    pthread_mutex_destroy(&set->lock);
    free(set->program);
    free(set->user);
    free(set);
}

static bool stop_if_idle(instance *in, int64_t since_us)
{
    bool stopped = false;
    if (pthread_mutex_trylock(&in->lock) != 0)
        return false; /* in a call */
    if (in->cell && !in->facts.source_open && in->last_used_us <= since_us) {
        drop_cell(in, IDLE_STOP_MS);
        facts_condition(in, INSTANCE_STOPPED);
        stopped = true;
    }
    pthread_mutex_unlock(&in->lock);
    return stopped;
}

unsigned instance_set_stop_idle(instance_set *set, int64_t idle_us)
{
    unsigned stopped = 0;
    int64_t since = clock_monotonic_us() - idle_us;
    pthread_mutex_lock(&set->lock);
    for (instance *in = set->first; in; in = in->next)
        stopped += stop_if_idle(in, since);
    pthread_mutex_unlock(&set->lock);
    return stopped;
}

void plugin_states(instance_set *set, void (*on_state)(const instance_state *state, void *arg), void *arg)
{
    pthread_mutex_lock(&set->lock);
    for (instance *in = set->first; in; in = in->next) {
        pthread_mutex_lock(&in->facts_lock);
        on_state(&in->facts, arg);
        pthread_mutex_unlock(&in->facts_lock);
    }
    pthread_mutex_unlock(&set->lock);
}

const char *instance_condition_name(instance_condition condition)
{
    static const char *const names[] = {"stopped", "running", "waiting", "quarantined"};
    return names[condition];
}

const char *plugin_fault_name(plugin_fault fault)
{
    static const char *const names[] = {"none",    "config",      "auth",     "away", "data", "cancelled",
                                        "timeout", "unsupported", "resource", "bug",  "died", "closed"};
    return names[fault];
}
