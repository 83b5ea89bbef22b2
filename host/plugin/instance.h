/* One configured plugin of one workspace, and the calls into it. Each instance has a cell (a small process)
 * of its own: it starts on the first call, is restarted with back-off when it dies, and may be stopped while
 * idle without anybody noticing. Everything that comes out of a cell is copied and checked before it is
 * handed on.
 *
 * Threads: every call blocks up to its deadline and runs one at a time (a second caller waits); run them on a
 * lane. instance_cancel and instance_state may be called from any thread. Deadlines: at 80 % the call is
 * asked to give up, at 100 % the cell is killed and the call answers TIMEOUT. A source lost its cell: read,
 * ack answer UNAVAILABLE with PLUGIN_FAULT_DIED (or _CLOSED); open it again at the newest cursor that is
 * durable. Other calls may simply be repeated. */
#ifndef PENSTOCK_PLUGIN_INSTANCE_H
#define PENSTOCK_PLUGIN_INSTANCE_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/batch.h"
#include "base/status.h"
#include "base/text.h"
#include "loop/nursery.h"
#include "plugin/catalog.h"

#define INSTANCE_CURSOR_MAX 65536
#define INSTANCE_ROWS_MAX 1000000             /* of one answer */
#define INSTANCE_ANSWER_MAX_BYTES (64L << 20) /* of one answer */
#define INSTANCE_INPUT_MAX_BYTES (256L << 20) /* of one call's inputs */

typedef struct instance instance;
typedef struct instance_set instance_set;

/* ---- The set: what all instances share, and the list of them ---- */

typedef struct instance_deadlines { /* milliseconds; 0 = what stands behind */
    int64_t open;                   /* 10 s; also configure, ack, close */
    int64_t read;                   /* 30 s */
    int64_t send;                   /* 30 s; also rows to a sink, commands */
    int64_t receive;                /* 5 s; also receipts */
    int64_t infer;                  /* 10 s; also explain */
    int64_t evaluate;               /* 10 s; also prepare */
    int64_t train;                  /* 30 min */
    int64_t check;                  /* 30 s; also discover */
} instance_deadlines;

typedef struct instance_set_settings {
    nursery *spawner;
    const char *cell_program;
    const char *cell_user; /* NULL = as the host runs */
    /* Of a cell; 0 = 256 MiB. Beyond it the cell is killed (and RLIMIT_DATA holds it, but not in sanitizer
     * builds); at 70 % it is replaced between two calls. */
    int64_t memory_bytes;
    instance_deadlines deadlines;
    /* grants (config/grant.h), the state folder; NULL = nothing is granted */
    const struct settings *settings;
    /* of penstock.state, copied; NULL = memory that lives as long as the set */
    const struct state_keeper *keeper;
    unsigned cells_max; /* of all instances; 0 = no cap. The longest idle one makes room */
    bool no_sandbox;    /* `penstock plugin run --gdb`: no limits, no deadlines, core dumps on */
} instance_set_settings;

instance_set *instance_set_create(const instance_set_settings *settings);
/* Every instance must have been freed before. NULL is fine. */
void instance_set_free(instance_set *set);
/* Stops the cells of instances without an open source that were not called for `idle_us`; returns how many.
 * Looks at the memory of the others. */
unsigned instance_set_stop_idle(instance_set *set, int64_t idle_us);

/* Takes every instance of that plugin out of quarantine and back-off, at its next call; returns how many
 * there are. */
unsigned instance_set_retry(instance_set *set, const char *plugin_id);

typedef enum instance_condition {
    INSTANCE_STOPPED, /* no cell: not started yet, or stopped while idle */
    INSTANCE_RUNNING,
    INSTANCE_WAITING,     /* died; restarted at the first call after `retry_at_us` */
    INSTANCE_QUARANTINED, /* died five times in ten minutes; tried again every ten minutes */
    INSTANCE_UNLOADED,    /* its plugin was unloaded; calls are refused until it is loaded again */
} instance_condition;

typedef struct instance_metric_value {
    const plugin_metric *metric;
    double value;   /* counters: sum; gauges: last; histograms: sum of values */
    uint64_t count; /* observations */
} instance_metric_value;

typedef struct instance_state {
    const char *workspace, *name, *plugin_id, *version;
    const char *hash; /* of the version that it runs */
    uint64_t swaps;   /* cells that were replaced without a stop */
    instance_condition condition;
    bool source_open;
    pid_t pid; /* 0 = no cell */
    uint64_t calls, failures, starts, deaths, rows_out, rejects_out;
    uint64_t suspects, poisons; /* calls over again in a fresh cell; rows that were found to kill it */
    uint64_t recycles, evictions;
    int64_t memory_bytes;   /* of the cell, as it was seen last */
    int64_t last_death_us;  /* wall time; 0 = never */
    int64_t call_us;        /* time spent in calls, sum */
    int64_t retry_at_us;    /* monotonic */
    const char *last_death; /* "" or why the last cell ended */
    const char *sandbox;    /* JSON: what the cell could apply; "" before the first start */
    const instance_metric_value *metrics;
    size_t n_metrics;
    uint64_t denials;        /* what the plugin tried and may not */
    const char *last_denial; /* "" or the last one: "files: /etc/passwd" */
    const char *trouble;     /* "" or what it says is wrong although its calls succeed */
} instance_state;

/* Calls `on_state` for each instance; pointers are valid during the callback, which must not call into this
 * module. */
void plugin_states(instance_set *set, void (*on_state)(const instance_state *state, void *arg), void *arg);
const char *instance_condition_name(instance_condition condition);

/* ---- An instance ---- */

/* Resolves the reference that a secret property holds. `subject` may be NULL. The value is wiped after use.
 */
typedef struct instance_secrets {
    status_class (*fetch)(void *self, const char *workspace, const char *reference, const char *subject,
                          text *value_out, status *st);
    void *self;
} instance_secrets;

/* What a person should know of: quarantine and its end, a row that kills a plugin, what it was denied. Called
 * in the thread of the call, not often; must not call into this module. */
typedef struct instance_watcher {
    void (*on_event)(void *self, const char *instance, const char *verb, const char *text);
    void *self;
} instance_watcher;

typedef struct instance_settings {
    const plugin_entry *plugin; /* held by the instance */
    const char *workspace, *name;
    const char *workspace_key; /* as people name it, for grants; NULL = as `workspace` */
    const json_t *config;      /* validated, with defaults: plugin_config_complete; copied */
    const json_t *given;       /* as its author wrote it, completed anew for a new version; NULL = config */
    instance_secrets secrets;  /* fetch may be NULL: then every secret is refused */
    instance_watcher watcher;  /* on_event may be NULL */
} instance_settings;

/* Does not start a cell: a config that the plugin refuses shows at the first call, or at instance_start. */
instance *instance_create(instance_set *set, const instance_settings *settings);
void instance_free(instance *in); /* closes the source, stops the cell; not during a call. NULL is fine */

/* What the plugin says is wrong although its calls succeed (penstock.health), "" = nothing. [any], also
 * during a call. */
void instance_trouble(instance *in, char *out, size_t size);

/* What decides what the caller does next, beside the status class. */
typedef enum plugin_fault {
    PLUGIN_FAULT_NONE,
    PLUGIN_FAULT_CONFIG, /* INVALID: a person must change the configuration; st->where is a pointer into it */
    PLUGIN_FAULT_AUTH,   /* DENIED: retry when the secret changes */
    PLUGIN_FAULT_AWAY,   /* UNAVAILABLE: the far side; retry after retry_after_ms or with back-off */
    PLUGIN_FAULT_DATA,   /* INVALID: this input is bad; set it aside and go on */
    PLUGIN_FAULT_CANCELLED,   /* CANCELLED */
    PLUGIN_FAULT_TIMEOUT,     /* TIMEOUT: the plugin gave up, or was killed at its deadline */
    PLUGIN_FAULT_UNSUPPORTED, /* UNSUPPORTED: the plugin has no such interface */
    PLUGIN_FAULT_RESOURCE,    /* LIMIT: memory, descriptors, size of a batch */
    PLUGIN_FAULT_BUG,         /* INTERNAL: said so itself, or handed over a bad batch; its cell is replaced */
    PLUGIN_FAULT_DIED, /* UNAVAILABLE: the cell died, or is held back after it died; retry_after_ms is set */
    PLUGIN_FAULT_CLOSED,   /* UNAVAILABLE: the source is not open (any more) */
    PLUGIN_FAULT_UNLOADED, /* UNAVAILABLE: an operator unloaded the plugin; ask again now and then */
} plugin_fault;
const char *plugin_fault_name(plugin_fault fault);

/* How the cell ended in which a call ran. */
typedef enum plugin_death {
    PLUGIN_DEATH_NONE,   /* it lives, or no cell was started (it is held back) */
    PLUGIN_DEATH_SIGNAL, /* `signal` says which */
    PLUGIN_DEATH_EXIT,
    PLUGIN_DEATH_HANG,   /* killed at the deadline */
    PLUGIN_DEATH_BROKEN, /* broke the protocol, handed over a bad batch, or said itself that it has a bug */
    PLUGIN_DEATH_MEMORY,
    PLUGIN_DEATH_START, /* while it was loaded or configured: before it saw any input */
    PLUGIN_DEATH_WORN,  /* it answered that it lacks memory or descriptors: its cell is replaced, no death is
                           counted */
} plugin_death;
const char *plugin_death_name(plugin_death death);

/* What goes with a call; zero-initialise, NULL is fine too. */
typedef struct instance_call {
    const char *subject, *work_id, *trace;
    int64_t deadline_us; /* how long it may take; 0 = what the set's deadlines say */
    /* The input is under suspicion: a cell died over it. The call (of a source: the opening before it) runs
     * in a fresh cell at once, whatever the back-off says, and its end counts neither for back-off nor for
     * quarantine. */
    bool suspect;
    plugin_fault fault; /* out, after a failure */
    plugin_death death; /* out */
    int signal;         /* out */
    char cause[160];    /* out, with a death: "killed by signal 11 (Segmentation fault)" */
    uint32_t retry_after_ms;
    int32_t vendor_code;
} instance_call;
/* The input that was in hand may be the cause: worth trying again alone. Memory is the plugin's own matter.
 */
bool instance_call_suspicious(const instance_call *call);
/* The death that was counted last was explained by its input, in which `n_rows` poison rows were found: it
 * counts no more. But only of a plugin that works: with other rows (`worked`), or in a call since the last
 * time. One that dies of everything is not excused, and ends in quarantine. */
void instance_absolve(instance *in, unsigned n_rows, bool worked);
/* Puts it into quarantine, as five deaths would. */
void instance_quarantine(instance *in, const char *reason);
/* Takes it out of quarantine and back-off: the next call starts a cell. */
void instance_retry(instance *in);
/* Stops the cell until the next call; a source is closed by that, and the last good question is forgotten. */
void instance_rest(instance *in);

/* Makes the call that is running now give up (cancel_fd turns readable). [any] */
void instance_cancel(instance *in);
/* How often it was cancelled: a series of calls ends when this moves. [any] */
unsigned instance_cancels(const instance *in);

/* Starts the cell and creates the plugin's object, if not running. */
status_class instance_start(instance *in, instance_call *call, status *st);
/* Replaces the config; the cell is stopped and the next call starts a new one. `config` is complete. */
void instance_reconfigure(instance *in, const plugin_entry *plugin, const json_t *config);
/* "org.example.thing 1.2 (0123456789ab)": what it runs, for people. */
#define INSTANCE_PLUGIN_MAX 200
void instance_plugin(instance *in, char *out, size_t size);
bool instance_offers(instance *in, const char *interface_id); /* PST_IF_… */
bool instance_is_source(instance *in);                        /* it is read */
bool instance_is_push(instance *in);                          /* it takes requests */
bool instance_is_sink(instance *in);                          /* it takes rows */

/* ---- Answers ---- */

typedef struct instance_reject {
    const void *payload;
    size_t payload_len;
    const char *where, *reason; /* where may be "" */
} instance_reject;

/* Checked rows; owns all its memory. Column types: batch.h; a raw batch has `_payload` (and maybe `_meta`) as
 * TEXT whose bytes are NOT checked. 32-bit integers are widened, date and uuid text is parsed. */
typedef struct instance_batch {
    const char *stream; /* "" = the source has only one */
    bool raw;
    bool aligned;             /* row i answers row i of the input */
    const char *const *names; /* rows.n_columns */
    batch rows;
    const instance_reject *rejects;
    size_t n_rejects;
    const void *cursor;
    size_t cursor_len;
} instance_batch;
void instance_batch_free(instance_batch *b);                          /* NULL is fine */
int instance_batch_column(const instance_batch *b, const char *name); /* -1 = none */

/* ---- Connector: source ---- */

typedef enum instance_turn { INSTANCE_ROWS, INSTANCE_IDLE, INSTANCE_END } instance_turn;

/* cursor_len 0 = from the start. Opens again if it is open. */
status_class instance_open(instance *in, instance_call *call, const void *cursor, size_t cursor_len,
                           status *st);
/* With INSTANCE_ROWS: *batch_out is the caller's; otherwise NULL. next_in_ms: when to ask again (0 = own
 * choice). */
status_class instance_read(instance *in, instance_call *call, uint32_t max_rows, instance_turn *turn_out,
                           instance_batch **batch_out, uint32_t *next_in_ms_out, status *st);
/* Hands the next records (at most `max`) over as rejects. UNSUPPORTED: the plugin cannot. */
status_class instance_skip(instance *in, instance_call *call, uint32_t max, instance_batch **batch_out,
                           status *st);
status_class instance_ack(instance *in, instance_call *call, const void *cursor, size_t cursor_len,
                          status *st);
void instance_close(instance *in);                /* not open is fine */
bool instance_source_replays(const instance *in); /* valid after instance_start */

/* ---- Connector: push, discover; any kind: check ---- */

typedef struct instance_header {
    const char *key, *value;
} instance_header;

typedef struct instance_request {
    const char *method, *path, *query;
    const instance_header *headers;
    size_t n_headers;
    const void *body;
    size_t body_len;
} instance_request;

typedef struct instance_reply { /* owns its memory: instance_reply_free */
    int http_status;
    char content_type[128];
    text body;
    instance_batch **batches;
    size_t n_batches;
} instance_reply;
void instance_reply_free(instance_reply *reply); /* zeroed is fine */

status_class instance_receive(instance *in, instance_call *call, const instance_request *request,
                              instance_reply *reply_out, status *st);
status_class instance_discover(instance *in, instance_call *call, json_t **streams_out, status *st);
status_class instance_check(instance *in, instance_call *call, status *st);

/* ---- Notifier ---- */

typedef struct instance_attachment {
    const char *name, *content_type, *content_id; /* content_id NULL = not inline */
    const void *data;
    size_t len;
} instance_attachment;

typedef struct instance_message {
    int severity; /* PST_SEVERITY_… */
    int64_t at_us;
    const char *delivery_id; /* the same on every retry */
    const char *update_of;   /* or NULL */
    const char *title, *text;
    const char *html; /* or NULL */
    const char *json; /* the event, for machines */
    const instance_header *labels;
    size_t n_labels;
    const instance_attachment *attachments;
    size_t n_attachments;
} instance_message;

typedef struct instance_delivery {
    bool accepted; /* a receipt tells more later; else done */
    char external_id[256];
} instance_delivery;

status_class instance_send(instance *in, instance_call *call, const instance_message *message,
                           instance_delivery *delivery_out, status *st);

/* ---- Metric engine and model ---- */

typedef struct instance_input { /* a named batch; dates and uuids reach the plugin as text with their kind */
    const char *name;
    const char *const *columns; /* rows->n_columns names */
    const batch *rows;
} instance_input;

/* `definition` and `parameters` are JSON objects as text. */
status_class instance_evaluate(instance *in, instance_call *call, const char *definition,
                               const char *parameters, const instance_input *inputs, size_t n_inputs,
                               instance_batch **batch_out, status *st);
/* Compiles a definition without evaluating it: what `template validate` asks. */
status_class instance_prepare(instance *in, instance_call *call, const char *definition, status *st);
/* info_out: a JSON object, the caller's. */
status_class instance_train(instance *in, instance_call *call, const instance_input *inputs, size_t n_inputs,
                            text *artifact_out, json_t **info_out, status *st);
/* How many earlier rows per entity the model wants to see. */
status_class instance_context(instance *in, instance_call *call, uint32_t *rows_out, status *st);
/* Inputs "rows" and "context", as PST_IF_INFER says. The cell keeps the loaded artifact while it stays the
 * same. */
status_class instance_infer(instance *in, instance_call *call, const void *artifact, size_t artifact_len,
                            const instance_input *inputs, size_t n_inputs, instance_batch **batch_out,
                            status *st);
/* Why rows got their scores: the same arguments; rows of `_entity`, `_time`, `column`, `weight`. */
status_class instance_explain(instance *in, instance_call *call, const void *artifact, size_t artifact_len,
                              const instance_input *inputs, size_t n_inputs, instance_batch **batch_out,
                              status *st);
#endif
