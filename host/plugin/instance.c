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
#include "base/keep.h"
#include "base/log.h"
#include "base/random.h"
#include "plugin/instance_private.h"
#include "plugin/services.h"

enum { ROOM_WAIT_MS = 1000 };
#ifdef PENSTOCK_SANITIZED
static const bool LIMIT_DATA = false; /* the sanitizers reserve terabytes */
#else
static const bool LIMIT_DATA = true;
#endif

/* ---- The cell ---- */

static void on_cell_log(void *arg, int32_t level, const char *message, const pst_field *fields,
                        size_t n_fields)
{
    instance *in = CHECKED(instance, INSTANCE_MAGIC, arg);
    pthread_mutex_lock(&in->facts_lock); /* a cell that is being prepared speaks without the call lock */
    const plugin_entry *plugin = plugin_entry_hold(in->plugin);
    pthread_mutex_unlock(&in->facts_lock);
    log_field all[36] = {LOG_TEXT("workspace", in->workspace), LOG_TEXT("instance", in->name),
                         LOG_TEXT("plugin", plugin->id)};
    unsigned n = 3;
    for (size_t i = 0; i < n_fields && n < sizeof all / sizeof all[0]; i++)
        all[n++] = LOG_TEXT(fields[i].key, fields[i].value);
    log_level to = level <= PST_LOG_DEBUG  ? LOG_LEVEL_DEBUG
                   : level == PST_LOG_INFO ? LOG_LEVEL_INFO
                   : level == PST_LOG_WARN ? LOG_LEVEL_WARN
                                           : LOG_LEVEL_ERROR;
    log_write(to, "plugin", message, all, n);
    plugin_entry_release(plugin);
}

static bool on_cell_service(void *arg, frame_reader question, cell_reply *reply)
{
    return services_answer(CHECKED(instance, INSTANCE_MAGIC, arg), question, reply);
}

status_class instance_spawn(instance *in, const plugin_entry *plugin, const char *config, int cancel_fd,
                            cell **cell_out, status *st)
{
    const instance_set_settings *common = &in->set->settings;
    bool pure = plugin->kind == PLUGIN_METRIC || plugin->kind == PLUGIN_MODEL;
    cell_settings s = {.spawner = common->spawner,
                       .program = common->cell_program,
                       .user = common->cell_user,
                       .plugin = plugin->path,
                       .profile = common->no_sandbox ? "none"
                                  : pure             ? "pure"
                                                     : "net",
                       .memory_bytes = common->no_sandbox ? 0 : common->memory_bytes,
                       .limit_data = LIMIT_DATA,
                       .cancel_fd = cancel_fd,
                       .door_fd = -1,
                       .epoch = atomic_fetch_add(&in->epoch, 1) + 1,
                       .patient = common->no_sandbox,
                       .listener = {.on_log = on_cell_log, .on_service = on_cell_service, .arg = in}};
    status_class class = network_start(in, plugin, config, &s, cell_out, st);
    if (class == STATUS_OK)
        facts_start(in);
    return class;
}

static status_class start_cell(instance *in, status *st)
{
    status_class class = instance_spawn(in, in->plugin, in->config, in->cancel_fd, &in->cell, st);
    if (class != STATUS_OK)
        return class;
    in->too_big = false;
    in->weighed_us = 0;
    facts_condition(in, INSTANCE_RUNNING);
    return STATUS_OK;
}

static int64_t deadline_ms(const instance *in, wire_type type)
{
    const instance_deadlines *d = &in->set->settings.deadlines;
    switch (type) {
    case WIRE_CREDIT:
    case WIRE_SKIP:
        return d->read ? d->read : 30000;
    case WIRE_SEND:
    case WIRE_WRITE:
    case WIRE_COMMAND:
        return d->send ? d->send : 30000;
    case WIRE_RECEIVE:
    case WIRE_RECEIPT:
        return d->receive ? d->receive : 5000;
    case WIRE_CONTEXT:
    case WIRE_INFER:
    case WIRE_EXPLAIN:
        return d->infer ? d->infer : 10000;
    case WIRE_PREPARE:
    case WIRE_EVALUATE:
        return d->evaluate ? d->evaluate : 10000;
    case WIRE_TRAIN:
        return d->train ? d->train : 1800000;
    case WIRE_CHECK:
    case WIRE_DISCOVER:
        return d->check ? d->check : 30000;
    case WIRE_CONFIGURE:
    case WIRE_OPEN:
    case WIRE_ACK:
    case WIRE_CLOSE:
        return d->open ? d->open : 10000;
    default:
        return DEADLINE_IO_US / 1000;
    }
}

int64_t instance_deadline_us(const instance *in, wire_type type)
{
    return deadline_ms(in, type) * 1000;
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

status_class instance_plugin_error(const instance *in, instance_call *call, pst_status code, frame_reader r,
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
               in->supervisor.quarantined ? "is in quarantine" : "is restarted", (double)ms / 1000,
               in->last_death);
    return fault_set(call, PLUGIN_FAULT_DIED, (uint32_t)ms, STATUS_UNAVAILABLE);
}

static uint32_t retry_ms(const instance *in)
{
    return (uint32_t)(supervise_wait_us(&in->supervisor, clock_monotonic_us()) / 1000 + 1);
}

/* ---- An exchange ---- */

void instance_write_configure(frame_writer *w, const instance *in, const char *config)
{
    frame_put_text(w, FRAME_NAME, in->name);
    frame_put_text(w, FRAME_WORKSPACE, in->workspace);
    frame_put_text(w, FRAME_CONFIG, config);
}

static void write_configure(frame_writer *w, const void *arg)
{
    const instance *in = arg;
    instance_write_configure(w, in, in->config);
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
    int64_t budget = call && call->deadline_us > 0 ? call->deadline_us : instance_deadline_us(in, x->type);
    status_class class = cell_exchange(in->cell, x->type, x->rows, budget, &w, &answer, st);
    if (cell_dead(in->cell)) {
        instance_bury(in, call);
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
        class = instance_plugin_error(in, call, x->status, x->answer, st);
    if (x->status == PST_E_RESOURCE)
        instance_worn(in, call, st->text);
    if (x->status == PST_E_INTERNAL) {
        cell_condemn(in->cell, st->text);
        instance_bury(in, call);
    }
    if (class == STATUS_OK)
        swap_note_answered(in, x, &w);
    return class;
}

static status_class configure(instance *in, instance_call *call, status *st)
{
    frame_item flags;
    instance_call own = {.suspect = call && call->suspect};
    exchange x = {.type = WIRE_CONFIGURE, .write = write_configure, .arg = in};
    status_class class = run(in, &own, &x, st);
    if (class == STATUS_OK && frame_take(&x.answer, FRAME_NUMBER, &flags))
        in->source_flags = flags.aux;
    answer_memory_release(x.memory);
    if (class == STATUS_OK)
        return STATUS_OK;
    if (call) {
        call->vendor_code = own.vendor_code;
        call->death = own.death ? PLUGIN_DEATH_START : PLUGIN_DEATH_NONE;
        call->signal = own.signal;
        memcpy(call->cause, own.cause, sizeof call->cause);
    }
    if (in->cell) { /* it refused: nothing died */
        instance_drop_cell(in, INSTANCE_IDLE_STOP_MS);
        facts_condition(in, INSTANCE_STOPPED);
    }
    return fault_set(call, own.fault, own.retry_after_ms, class);
}

/* Only what finds no open source in a new cell needs one for a suspect. */
static bool needs_fresh(const instance_call *call, wire_type type)
{
    return call && call->suspect && type != WIRE_CREDIT && type != WIRE_SKIP && type != WIRE_ACK &&
           type != WIRE_CLOSE;
}

static status_class ensure_cell(instance *in, instance_call *call, wire_type type, status *st)
{
    bool fresh = needs_fresh(call, type);
    if (fresh) {
        instance_drop_cell(in, 0);
        facts_add(in, FACT_SUSPECT, 1);
    }
    /* A cell that was started for a suspect is no way around quarantine. */
    bool held = in->supervisor.quarantined && !(call && call->suspect) && type != WIRE_CLOSE &&
                supervise_wait_us(&in->supervisor, clock_monotonic_us()) > 0 &&
                !atomic_load(&in->retry_asked);
    if (in->cell && held)
        instance_quit(in);
    if (in->cell)
        return STATUS_OK;
    if (in->swap.unloaded) {
        status_set(st, STATUS_UNAVAILABLE, "%s: the plugin %s is unloaded", in->name, in->plugin->id);
        return fault_set(call, PLUGIN_FAULT_UNLOADED, UNLOADED_RETRY_MS, STATUS_UNAVAILABLE);
    }
    if (atomic_exchange(&in->retry_asked, false))
        instance_release(in);
    int64_t wait = fresh ? 0 : supervise_wait_us(&in->supervisor, clock_monotonic_us());
    if (wait > 0)
        return waiting(in, call, wait, st);
    if (!instance_room_take(in)) {
        status_set(st, STATUS_LIMIT, "%s: all %u cells of this host are busy", in->name,
                   in->set->settings.cells_max);
        status_hint(st, "raise limits.cells, or run fewer plugins here");
        return fault_set(call, PLUGIN_FAULT_RESOURCE, ROOM_WAIT_MS, STATUS_LIMIT);
    }
    status_class class = start_cell(in, st);
    if (class == STATUS_OK)
        return configure(in, call, st);
    instance_room_give(in);
    instance_stillborn(in, call, st->text);
    status_wrap(st, "%s", in->name);
    return fault_set(call, class == STATUS_INVALID ? PLUGIN_FAULT_CONFIG : PLUGIN_FAULT_DIED, retry_ms(in),
                     class);
}

static void forget_death(instance_call *call)
{
    if (!call)
        return;
    call->death = PLUGIN_DEATH_NONE;
    call->signal = 0;
    call->cause[0] = '\0';
}

/* Opening and closing say nothing about whether a plugin can do its work. */
static bool proves_health(const instance_call *call, wire_type type)
{
    return !(call && call->suspect) && type != WIRE_CONFIGURE && type != WIRE_OPEN && type != WIRE_CLOSE;
}

static status_class source_closed(const instance *in, instance_call *call, status *st)
{
    status_set(st, STATUS_UNAVAILABLE, "%s: the source is not open%s%s", in->name,
               *in->last_death ? ": " : "", in->last_death);
    return fault_set(call, PLUGIN_FAULT_CLOSED, 0, STATUS_UNAVAILABLE);
}

status_class instance_exchange(instance *in, instance_call *call, exchange *x, status *st)
{
    fault_set(call, PLUGIN_FAULT_NONE, 0, STATUS_OK);
    forget_death(call);
    pthread_mutex_lock(&in->lock);
    if (x->type != WIRE_CLOSE) /* it would be opened in the new cell only to be closed */
        swap_border(in);
    int64_t began = clock_monotonic_us();
    bool source = x->type == WIRE_CREDIT || x->type == WIRE_ACK || x->type == WIRE_SKIP;
    if (in->cell && cell_gone(in->cell)) /* between two calls: no input is to blame */
        instance_bury(in, NULL);
    status_class class = STATUS_OK;
    if (source && !in->facts.source_open) /* only this thread writes it: the call lock is held */
        class = source_closed(in, call, st);
    if (class == STATUS_OK)
        class = ensure_cell(in, call, x->type, st);
    if (class == STATUS_OK && x->type != WIRE_CONFIGURE)
        class = run(in, call, x, st);
    if (class == STATUS_OK && proves_health(call, x->type))
        supervise_success(&in->supervisor);
    if (x->type == WIRE_OPEN || x->type == WIRE_CLOSE)
        facts_open(in, class == STATUS_OK && x->type == WIRE_OPEN);
    facts_call(in, clock_monotonic_us() - began, class != STATUS_OK);
    return class;
}

void instance_exchange_end(instance *in, exchange *x)
{
    instance_weigh(in);
    pthread_mutex_unlock(&in->lock);
    swap_border_passed(in);
    answer_memory_release(x->memory);
}

/* The answer of a call was no answer: the cell is replaced. Returns `class`. Between the two above. */
static status_class instance_distrust(instance *in, instance_call *call, const status *why,
                                      status_class class)
{
    char text[400];
    swap_forget_answer(in);
    snprintf(text, sizeof text, "it handed over a bad answer: %.300s", why->text);
    if (in->cell) {
        cell_condemn(in->cell, text);
        instance_bury(in, call);
    }
    return fault_set(call, PLUGIN_FAULT_BUG, retry_ms(in), class);
}

status_class instance_bad_answer(instance *in, instance_call *call, status *st)
{
    status_set(st, STATUS_INVALID, "%s: the plugin's answer cannot be read", in->name);
    return instance_distrust(in, call, st, STATUS_INVALID);
}

status_class instance_take_batch(instance *in, instance_call *call, exchange *x, uint32_t max_rows,
                                 instance_batch **batch_out, status *st)
{
    status_class class = answer_batch(x->memory, &x->answer, max_rows, batch_out, st);
    if (class != STATUS_OK) {
        instance_distrust(in, call, st, class);
        return status_wrap(st, "%s", in->name);
    }
    facts_batch(in, *batch_out);
    if (x->type == WIRE_CREDIT)
        swap_note_handed(in, (*batch_out)->cursor, (*batch_out)->cursor_len);
    return STATUS_OK;
}

/* ---- Making and ending ---- */

char *instance_config_text(const json_t *config)
{
    char *form = json_dumps(config, JSON_COMPACT);
    assert(form);
    char *kept = keep_string(form);
    free(form);
    return kept;
}

instance *instance_create(instance_set *set, const instance_settings *settings)
{
    instance *in = keep_zero(1, sizeof *in);
    in->magic = INSTANCE_MAGIC;
    in->set = set;
    in->workspace = keep_string(settings->workspace);
    in->workspace_key = keep_string(settings->workspace_key ? settings->workspace_key : settings->workspace);
    in->name = keep_string(settings->name);
    in->secrets = settings->secrets;
    in->watcher = settings->watcher;
    in->config = instance_config_text(settings->config);
    in->given = instance_config_text(settings->given ? settings->given : settings->config);
    in->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(in->cancel_fd >= 0);
    pthread_mutex_init(&in->lock, NULL);
    pthread_mutex_init(&in->facts_lock, NULL);
    swap_place_init(in);
    in->facts = (instance_state){.workspace = in->workspace,
                                 .name = in->name,
                                 .last_death = in->shown_death,
                                 .last_denial = in->last_denial,
                                 .trouble = in->trouble,
                                 .sandbox = ""};
    facts_plugin(in, plugin_entry_hold(settings->plugin));
    pthread_mutex_lock(&set->lock);
    in->tag = ++set->tags;
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
    swap_place_end(in);
    instance_close(in);
    pthread_mutex_lock(&in->lock); /* whoever found it in the list to stop its cell has done so */
    instance_drop_cell(in, DEADLINE_STOP_MS);
    pthread_mutex_unlock(&in->lock);
    close(in->cancel_fd);
    plugin_entry_release(in->plugin);
    swap_place_free(in);
    pthread_mutex_destroy(&in->lock);
    pthread_mutex_destroy(&in->facts_lock);
    keep_free(in->metrics);
    free(in->denied_seen);
    keep_free(in->sandbox);
    keep_free(in->workspace);
    keep_free(in->workspace_key);
    keep_free(in->name);
    keep_free(in->config);
    keep_free(in->given);
    keep_free(in);
}

void instance_reconfigure(instance *in, const plugin_entry *plugin, const json_t *config)
{
    pthread_mutex_lock(&in->lock);
    instance_drop_cell(in, DEADLINE_STOP_MS);
    const plugin_entry *old = in->plugin;
    swap_reconfigured(in, config);
    supervise_reset(&in->supervisor);
    facts_plugin(in, plugin_entry_hold(plugin));
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
    atomic_fetch_add(&in->cancels, 1);
    pthread_mutex_lock(&in->facts_lock);
    eventfd_write(in->cancel_fd, 1);
    pthread_mutex_unlock(&in->facts_lock);
}

unsigned instance_cancels(const instance *in)
{
    return atomic_load(&in->cancels);
}

bool instance_offers(instance *in, const char *interface_id)
{
    pthread_mutex_lock(&in->facts_lock);
    bool offers = plugin_entry_offers(in->plugin, interface_id);
    pthread_mutex_unlock(&in->facts_lock);
    return offers;
}

bool instance_is_source(instance *in)
{
    return instance_offers(in, PST_IF_SOURCE);
}

bool instance_is_push(instance *in)
{
    return instance_offers(in, PST_IF_PUSH);
}

bool instance_is_sink(instance *in)
{
    return instance_offers(in, PST_IF_SINK);
}

bool instance_source_replays(const instance *in)
{
    return in->source_flags & (PST_SOURCE_REPLAYS | PST_SOURCE_ACKS);
}

const char *instance_condition_name(instance_condition condition)
{
    static const char *const names[] = {"stopped", "running", "waiting", "quarantined", "unloaded"};
    return names[condition];
}

const char *plugin_fault_name(plugin_fault fault)
{
    static const char *const names[] = {"none",      "config",  "auth",        "away",     "data",
                                        "cancelled", "timeout", "unsupported", "resource", "bug",
                                        "died",      "closed",  "unloaded"};
    return names[fault];
}
