/* clang-format off */
/* The contract between Penstock and a plugin: one shared object, one exported constant, everything else by name.
 * Compiles as C17 and C++17.
 *
 *   PST_EXPORT const pst_plugin penstock_plugin_v1 = { .struct_size = sizeof(pst_plugin), … };
 *
 * Where it runs: in a small process of its own (a cell), one instance at a time, never in the host.
 * Threads: [lane]  the cell's call thread: one call at a time per instance; may block until the call's deadline.
 *          [any]   any thread, also concurrently.
 *          [probe] also in the short-lived process that reads a plugin's description.
 * Memory:  constants live as long as the object file. Arguments are borrowed for the call. What goes the other way
 *          carries its own release callback; neither side frees the other's memory. Releases run on the call thread.
 * Growth:  the first field of a struct is struct_size: how far the sender's struct reaches. Fields are only appended;
 *          test a later field with PST_HAS before reading or writing it. abi_minor says which header the sender was
 *          compiled with; it is for logs, no side decides by it. Structs that stand in arrays (pst_field, pst_metric,
 *          pst_reject, pst_input, pst_attachment, pst_receipt, pst_refused, pst_file, pst_state_key) have no
 *          struct_size and never change.
 * Units:   times are int64 microseconds, `_us`; lengths are bytes. Text is UTF-8, NUL-terminated unless it is pst_bytes.
 * Ids end in /draft until the interface is frozen. An unknown id gives NULL, never an error. */
#ifndef PENSTOCK_PLUGIN_H
#define PENSTOCK_PLUGIN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "penstock/arrow_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_ABI_MINOR 0u
#define PST_EXPORT __attribute__((visibility("default")))
#define PST_HAS(p, type, field) ((p)->struct_size >= offsetof(type, field) + sizeof((p)->field))

/* ---- Status ---- */

typedef int32_t pst_status; /* an enum's width is not part of an ABI; an int32 is */
enum {
    PST_OK = 0,
    PST_IDLE = 1,           /* nothing to hand over now; not an error */
    PST_END = 2,            /* a bounded source is exhausted; a list is at its end */
    PST_E_CONFIG = -1,      /* a person must change the configuration; never retried */
    PST_E_AUTH = -2,        /* credential refused; retried after the secret changes */
    PST_E_UNAVAILABLE = -3, /* the far side is away; retried with back-off */
    PST_E_DATA = -4,        /* this input is bad; it is set aside and the flow goes on */
    PST_E_CANCELLED = -5,   /* cancel_fd turned readable and the call gave up */
    PST_E_TIMEOUT = -6,     /* the deadline passed */
    PST_E_UNSUPPORTED = -7,
    PST_E_RESOURCE = -8,    /* memory, descriptors, disk */
    PST_E_INTERNAL = -9     /* a bug in the plugin; the instance is torn down */
};

typedef struct pst_error { /* the caller zeroes it and sets struct_size; text lies inline, nothing to release */
    uint32_t struct_size;
    int32_t vendor_code;     /* the protocol's own code, for people; 0 = none */
    uint32_t retry_after_ms; /* with PST_E_UNAVAILABLE; 0 = the host decides */
    char where[52];          /* JSON Pointer into the config, or "column:row" */
    char message[448];       /* "what failed: cause", without secrets */
} pst_error;

typedef struct pst_bytes {
    const void *data; /* may be NULL when len is 0 */
    size_t len;
} pst_bytes;

typedef struct pst_field {
    const char *key, *value;
} pst_field;

/* Bytes that the callee made. The caller zeroes it, sets struct_size, and calls release (if set) when done. It stands in
 * other structs, so it is final: it never grows. */
typedef struct pst_blob {
    uint32_t struct_size, flags; /* flags 0 */
    void *data;
    size_t len;
    void (*release)(struct pst_blob *); /* [lane] */
    void *private_data;
} pst_blob;

/* Passed to every call that may block. Borrowed for the call. */
typedef struct pst_call {
    uint32_t struct_size;
    int32_t cancel_fd;    /* turns readable on cancel: poll it beside your sockets; never read from it */
    int64_t deadline_us;  /* on pst_host.now_us; the cell is killed when it passes */
    const char *subject;  /* the record the call is for (whose secrets apply), or NULL */
    const char *work_id;  /* the same on every try of the same work: the idempotency key, or NULL */
    const char *trace;    /* for logs, or NULL */
} pst_call;

/* ---- Batches ---- */

enum {
    PST_BATCH_RAW = 1,    /* column `_payload` (z or u): one undecoded record a row, cut at record ends; `_meta` (u),
                             optional: a CSV header, or a topic, behind which facts may stand, each as
                             U+001F name=value. The host decodes. */
    PST_BATCH_ALIGNED = 2 /* row i of this answer belongs to row i of the input "rows" */
};

typedef struct pst_reject { /* one record that could not become a row */
    pst_bytes payload;      /* the record's bytes */
    const char *where;      /* place in the record: column, path, offset, or NULL */
    const char *reason;
} pst_reject;

/* Columns in the profile of penstock/batch.h. The receiver zeroes it and sets struct_size; after PST_OK it owns
 * schema and array. stream, cursor and rejects live until array.release. Reserved column names begin with `_`. */
typedef struct pst_batch {
    uint32_t struct_size, flags;
    struct ArrowSchema schema;
    struct ArrowArray array;
    const char *stream;        /* which stream of a source; NULL = it has only one */
    pst_bytes cursor;          /* the source's position after this batch (at most 64 KiB) */
    const pst_reject *rejects;
    size_t n_rejects;
    uint32_t next_in_ms;       /* when asking again makes sense; 0 = at once after rows, the host decides after IDLE */
    uint32_t reserved;
} pst_batch;

typedef struct pst_input { /* a named batch that the host hands in; borrowed for the call */
    const char *name;
    const struct ArrowSchema *schema;
    const struct ArrowArray *array;
} pst_input;

/* ---- What the host offers ---- */

enum { PST_LOG_DEBUG = 0, PST_LOG_INFO = 1, PST_LOG_WARN = 2, PST_LOG_ERROR = 3 };
enum { PST_COUNTER = 1, PST_GAUGE = 2, PST_HISTOGRAM = 3 };
typedef struct pst_metric {
    const char *name, *unit, *help; /* name: [a-z][a-z0-9_]*, unit may be "" */
    int32_t kind;
    uint32_t reserved;
} pst_metric;

typedef struct pst_host pst_host; /* one per instance: the host labels its logs and counters; lives until destroy */
struct pst_host {
    uint32_t struct_size, abi_minor;
    void *host_data;           /* the host's own; hands off */
    const char *instance_name; /* unique in the workspace; "trial:…" where it is only tried out */
    const char *workspace;
    const void *(*get_service)(const pst_host *, const char *id);                               /* [any] or NULL */
    int64_t (*now_us)(const pst_host *);                                                        /* [any] monotonic */
    int64_t (*wall_us)(const pst_host *);                                                       /* [any] UTC */
    bool (*cancelled)(const pst_host *, const pst_call *);    /* [any] cancelled, or past the deadline */
    void (*log)(const pst_host *, int32_t level, const char *text, const pst_field *fields,
                size_t n_fields);                                                               /* [any] */
    void (*observe)(const pst_host *, uint32_t metric_index, double value); /* [any] counters: add; gauges: set */
    /* The config, already validated and with its defaults. `path` is a JSON Pointer. Text lives until destroy.
     * Absent or of another type: NULL, 0, 0.0, false. */
    bool (*config_has)(const pst_host *, const char *path);                                     /* [lane] not null */
    const char *(*config_text)(const pst_host *, const char *path);                             /* [lane] */
    int64_t (*config_int)(const pst_host *, const char *path);                                  /* [lane] */
    double (*config_real)(const pst_host *, const char *path);                                  /* [lane] integers too */
    bool (*config_flag)(const pst_host *, const char *path);                                    /* [lane] */
    size_t (*config_count)(const pst_host *, const char *path);                                 /* [lane] items or keys */
    const char *(*config_key)(const pst_host *, const char *path, size_t index);                /* [lane] key of an object */
    /* The value behind a config property of format "penstock-secret": fetch it at use, wipe it after. `out` is
     * NUL-terminated; PST_E_RESOURCE if `cap` is too small, PST_E_CONFIG if the property is absent. [lane] */
    pst_status (*secret)(const pst_host *, const pst_call *, const char *path, char *out, size_t cap, size_t *len,
                         pst_error *);
};

/* ---- The plugin ---- */

typedef struct pst_plugin {
    uint32_t struct_size, abi_minor;
    const char *id;            /* reverse DNS, stable for ever: "org.penstock.connector.mqtt" */
    const char *kind;          /* one of PST_KIND_* */
    const char *version, *title, *licence;
    const char *config_schema; /* JSON Schema text (draft 2020-12), embedded at build */
    const pst_metric *metrics; /* observe() uses the index; may be NULL */
    size_t n_metrics;
    const void *(*get_interface)(const char *id);                     /* [probe][any] */
    pst_status (*create)(const pst_host *, void **self, pst_error *); /* [lane] reads the config; no I/O, no threads */
    void (*destroy)(void *self);                                      /* [lane] NULL and half-built are fine */
} pst_plugin;

extern PST_EXPORT const pst_plugin penstock_plugin_v1; /* the only exported symbol */

#define PST_KIND_CONNECTOR "penstock.connector/1"
#define PST_KIND_NOTIFIER "penstock.notifier/1"
#define PST_KIND_METRIC "penstock.metric/1"
#define PST_KIND_MODEL "penstock.model/1"

/* ---- Connector ---- all [lane] */

/* Pulled rows. open, then read … with acks between, then close; may be opened again. After a crash the host opens at
 * the newest cursor that is durable in its journal, so what was read and not acked is read again. */
#define PST_IF_SOURCE "penstock.connector.source/1/draft"
enum {
    PST_SOURCE_REPLAYS = 1, /* open(cursor) yields every record after the cursor */
    PST_SOURCE_BOUNDED = 2, /* can come to PST_END */
    PST_SOURCE_ACKS = 4     /* the far side keeps the position: what was not acked comes again after open, whatever the
                               cursor. Without this and REPLAYS: at most once */
};
typedef struct pst_source {
    uint32_t struct_size, flags;
    pst_status (*open)(void *self, const pst_call *, pst_bytes resume_after, pst_error *); /* empty = from the start */
    /* At most max_rows rows of one stream; PST_IDLE and PST_END fill nothing but next_in_ms. Do not wait long for
     * rows: answer PST_IDLE. A batch of no rows with a cursor, or with rejects only, is fine. */
    pst_status (*read)(void *self, const pst_call *, uint32_t max_rows, pst_batch *out, pst_error *);
    pst_status (*ack)(void *self, const pst_call *, pst_bytes durable_up_to, pst_error *); /* may be NULL */
    void (*close)(void *self);
    /* Hands the next records over as rejects (at most `max`), undecoded and touched as little as possible, with the
     * cursor after them. Asked in a fresh cell when reading the next record killed the plugin twice. May be NULL: then
     * the source stands still at such a record until a person acts. */
    pst_status (*skip)(void *self, const pst_call *, uint32_t max, pst_batch *out, pst_error *);
} pst_source;

/* HTTP that comes in. receive, then next until PST_END; the reply goes out after the batches are durable. `path` is what
 * stands behind the token, "/" at least; the body is as it was sent. PST_E_DATA keeps the body as a dead letter and answers
 * 202; refuse a request that is not believed by an answer without batches. */
#define PST_IF_PUSH "penstock.connector.push/1/draft"
typedef struct pst_request {
    uint32_t struct_size, flags; /* flags 0 */
    const char *method, *path, *query;
    const pst_field *headers; /* names in lower case */
    size_t n_headers;
    pst_bytes body;
} pst_request;
typedef struct pst_reply { /* the caller zeroes it and sets struct_size */
    uint32_t struct_size;
    int32_t http_status; /* 0 = 204 */
    char content_type[128];
    pst_blob body;
} pst_reply;
typedef struct pst_push {
    uint32_t struct_size, flags;
    pst_status (*receive)(void *self, const pst_call *, const pst_request *, pst_reply *, pst_error *);
    pst_status (*next)(void *self, const pst_call *, pst_batch *out, pst_error *);
} pst_push;

/* Rows of a store that go out, in the order of `_seq`, one batch at a time. PST_OK means durable on the far side, but for the
 * rows that are named in `refused` (those go to the sink's dead letters with their reasons, the others count as delivered).
 * With a failure the host knows nothing of the batch, and all of it comes again, with the same id and PST_OUTGOING_AGAIN:
 *   PST_E_UNAVAILABLE  after retry_after_ms, or a pause that grows        PST_E_TIMEOUT, PST_E_RESOURCE  likewise
 *   PST_E_AUTH         when a secret changes, and now and then           PST_E_CONFIG  when a person has changed it, and now and then
 *   PST_E_DATA         at once, in halves, down to single rows: one that is not taken alone is a dead letter
 * So each row is delivered at least once; who wants it once drops what it has by batch_id, or by the rows' ids
 * (pst_row_id of penstock/sink.h). A keyed row that is corrected comes again with a higher `_seq`, and one that was
 * corrected before it went out comes only as it is now: the highest `_seq` of a key wins. A slow or dead sink holds up nothing but
 * itself. The columns are those of the store, `_extra` (JSON, if the store keeps additional properties), `_seq`, `_received`. */
#define PST_IF_SINK "penstock.connector.sink/1/draft"
enum { PST_OUTGOING_AGAIN = 1 }; /* it was tried before, so the far side may have it: find it by its ids */
typedef struct pst_outgoing {    /* borrowed for the call */
    uint32_t struct_size, flags;
    const char *store;    /* "datastore:sensor_data" */
    const char *batch_id; /* the same on every try, different for different rows; at most 200 printable ASCII characters without
                             blanks: "ws_01…/sensor_data/17…-17…" */
    uint64_t first_seq, last_seq; /* no row is outside of them; of the column `_seq`, which is in every row and never the same
                                     in a store */
    const struct ArrowSchema *schema;
    const struct ArrowArray *array;
} pst_outgoing;
typedef struct pst_refused { /* one row that the far side does not take, and never will */
    uint32_t row;            /* of the batch, from 0 */
    char reason[252];
} pst_refused;
typedef struct pst_sink {
    uint32_t struct_size, flags;
    /* At most `cap` rows are refused; more: answer PST_E_DATA. */
    pst_status (*write)(void *self, const pst_call *, const pst_outgoing *rows, pst_refused *refused, size_t cap,
                        size_t *n_refused, pst_error *);
} pst_sink;

/* Writing to a device. A send that timed out is "unsure": only find(work_id) may settle it. Each but `send` may be
 * NULL. */
#define PST_IF_COMMAND "penstock.connector.command/1/draft"
enum { PST_COMMAND_DONE = 1, PST_COMMAND_ACCEPTED = 2, PST_COMMAND_REFUSED = 3, PST_COMMAND_UNKNOWN = 4 };
typedef struct pst_command_result { /* the caller zeroes it and sets struct_size */
    uint32_t struct_size;
    int32_t state;
    char external_id[128]; /* with ACCEPTED */
    pst_blob reply;        /* JSON */
} pst_command_result;
typedef struct pst_command {
    uint32_t struct_size, flags;
    /* JSON: [{verb, title, input (schema), reply (schema), answer: now|pushed|polled, repeat_harmless}] */
    pst_status (*list)(void *self, const pst_call *, pst_blob *json_out, pst_error *);
    pst_status (*send)(void *self, const pst_call *, const char *verb, const char *input_json, pst_command_result *,
                       pst_error *);
    pst_status (*fetch)(void *self, const pst_call *, const char *external_id, pst_command_result *, pst_error *);
    pst_status (*find)(void *self, const pst_call *, const char *work_id, pst_command_result *, pst_error *);
    pst_status (*cancel)(void *self, const pst_call *, const char *external_id, pst_error *);
} pst_command;

/* What streams are there. JSON: [{stream, title, key (of a datastore, proposed), schema (JSON Schema of a row), time, entity,
 * unique, example, payloads, config}], each but `stream` may be absent. time, entity, unique: columns of the schema.
 * payloads: [{payload, meta}], some that came, which are read by the connector's `decode`. example: a row, a list of
 * rows, or a payload's text (of JSON, of lines of it, or of CSV with its header). The datastore follows from the payloads, else the schema, else the example. config:
 * settings that go with the stream. */
#define PST_IF_DISCOVER "penstock.connector.discover/1/draft"
typedef struct pst_discover {
    uint32_t struct_size, flags;
    pst_status (*discover)(void *self, const pst_call *, pst_blob *json_out, pst_error *);
} pst_discover;

/* The "test connection" button, of any kind of plugin. */
#define PST_IF_CHECK "penstock.check/1/draft"
typedef struct pst_check {
    uint32_t struct_size, flags;
    pst_status (*check)(void *self, const pst_call *, pst_error *);
} pst_check;

/* ---- Notifier ---- all [lane] */

#define PST_IF_SEND "penstock.notifier.send/1/draft"
enum { PST_SEVERITY_INFO = 0, PST_SEVERITY_WARNING = 1, PST_SEVERITY_CRITICAL = 2 };
typedef struct pst_attachment {
    const char *name, *content_type;
    const char *content_id; /* set: an inline image that the HTML names as cid:<content_id> */
    pst_bytes data;
} pst_attachment;
typedef struct pst_message {
    uint32_t struct_size;
    int32_t severity;
    int64_t at_us;           /* UTC */
    const char *delivery_id; /* the same on every retry: the idempotency key */
    const char *update_of;   /* the external id of an earlier delivery that this one follows up, or NULL */
    const char *title, *text;
    const char *html;        /* or NULL */
    const char *json;        /* the event as a JSON document, for machines */
    const pst_field *labels;
    size_t n_labels;
    const pst_attachment *attachments;
    size_t n_attachments;
} pst_message;
enum { PST_DELIVERY_DONE = 1, PST_DELIVERY_ACCEPTED = 2 }; /* accepted: a receipt tells more later */
typedef struct pst_delivery {                              /* the caller zeroes it and sets struct_size */
    uint32_t struct_size;
    int32_t state;
    char external_id[256];
} pst_delivery;
typedef struct pst_send {
    uint32_t struct_size, flags;
    pst_status (*send)(void *self, const pst_call *, const pst_message *, pst_delivery *, pst_error *);
} pst_send;

/* A callback of the far side moves deliveries later. At most `cap` receipts are written. */
#define PST_IF_RECEIPT "penstock.notifier.receipt/1/draft"
enum { PST_RECEIPT_DELIVERED = 1, PST_RECEIPT_READ = 2, PST_RECEIPT_FAILED = 3 };
typedef struct pst_receipt {
    char external_id[256];
    int32_t state;
    uint32_t reserved;
    int64_t at_us;
} pst_receipt;
typedef struct pst_receipts {
    uint32_t struct_size, flags;
    pst_status (*receive)(void *self, const pst_call *, const pst_request *, pst_reply *, pst_receipt *out, size_t cap,
                          size_t *n_out, pst_error *);
} pst_receipts;

/* ---- Metric engine ---- all [lane]; the same input gives the same output: no I/O, no clock */

#define PST_IF_METRIC "penstock.metric.evaluate/1/draft"
typedef struct pst_metric_engine {
    uint32_t struct_size, flags;
    /* Checks a metric's definition (JSON, what stands under `definition` in the template) and compiles it. */
    pst_status (*prepare)(void *self, const pst_call *, const char *definition_json, void **prepared, pst_error *);
    /* Named inputs that the host fetched → columns. `parameters_json`: the caller's typed parameters. */
    pst_status (*evaluate)(void *self, const pst_call *, const void *prepared, const char *parameters_json,
                           const pst_input *inputs, size_t n_inputs, pst_batch *out, pst_error *);
    void (*discard)(void *self, void *prepared); /* NULL is fine */
} pst_metric_engine;

/* ---- Model ---- all [lane]; no state survives a call, so cells may stop and late rows may be scored again */

#define PST_IF_TRAIN "penstock.model.train/1/draft"
typedef struct pst_train {
    uint32_t struct_size, flags;
    /* Inputs have `_entity` (u) and `_time` (tsu:UTC), sorted by both, and the columns of the store.
     * info_json_out: what was learnt, for people and records: a JSON object. */
    pst_status (*train)(void *self, const pst_call *, const pst_input *inputs, size_t n_inputs, pst_blob *artifact_out,
                        pst_blob *info_json_out, pst_error *);
} pst_train;

#define PST_IF_INFER "penstock.model.infer/1/draft"
typedef struct pst_infer {
    uint32_t struct_size, flags;
    uint32_t (*context_rows)(void *self); /* how many earlier rows per entity `infer` wants to see */
    pst_status (*load)(void *self, const pst_call *, pst_bytes artifact, void **loaded, pst_error *);
    /* Inputs: "rows" to score and "context" (the rows before them), both with `_entity` and `_time`, sorted by both.
     * Answer: PST_BATCH_ALIGNED with one row for each of "rows", or any number of rows with `_entity` and `_time`. */
    pst_status (*infer)(void *self, const pst_call *, const void *loaded, const pst_input *inputs, size_t n_inputs,
                        pst_batch *out, pst_error *);
    void (*unload)(void *self, void *loaded); /* NULL is fine */
} pst_infer;

/* Optional: why a row got its score. The same inputs as infer, and what pst_infer loaded; answers rows `_entity` (u),
 * `_time` (tsu:UTC), `column` (u), `weight` (g): how much that column of the input moved that row's score. */
#define PST_IF_EXPLAIN "penstock.model.explain/1/draft"
typedef struct pst_explain {
    uint32_t struct_size, flags;
    pst_status (*explain)(void *self, const pst_call *, const void *loaded, const pst_input *inputs, size_t n_inputs,
                          pst_batch *out, pst_error *);
} pst_explain;

/* ---- Services of the host ---- asked for by name; get_service may answer NULL for each of them. Metric engines and
 * models have penstock.json only. A service talks to the host: only inside a call, at most 10000 times in one. */

/* Files of the machine, for reading: the only way to them, since a plugin's own process reaches none. What the platform
 * grants to the workspace (`files.allow`) can be opened, and nothing else; a relative path means below the first
 * granted folder. Links are followed while they stay below the granted folder.
 * PST_E_CONFIG: not granted, not permitted, or no file (of this kind). PST_E_UNAVAILABLE: not there now. vendor_code is
 * the errno. Answers are about now: names and files change at any time. */
#define PST_SERVICE_FILES "penstock.files/1/draft"
enum { PST_FILE_REGULAR = 1, PST_FILE_FOLDER = 2 }; /* anything else is not shown, and not opened */
typedef struct pst_file {
    char name[256]; /* without its folder */
    int32_t kind;
    uint32_t reserved;
    uint64_t device, inode;
    int64_t bytes, modified_us;
} pst_file;
typedef struct pst_files { /* all [lane] */
    uint32_t struct_size, flags;
    /* A regular file. The descriptor is the plugin's to close, and good for reading only. */
    pst_status (*open)(const pst_host *, const pst_call *, const char *path, int *fd_out, pst_error *);
    pst_status (*find)(const pst_host *, const pst_call *, const char *path, pst_file *out, pst_error *);
    /* At most `cap` entries of a folder whose names fit `pattern` (* ? [a-z]; NULL = *; hidden ones only if it begins
     * with a dot), in byte order, those after the name `after` (NULL = from the first). Fewer than `cap`: no more. */
    pst_status (*list)(const pst_host *, const pst_call *, const char *folder, const char *pattern, const char *after,
                       pst_file *out, size_t cap, size_t *n_out, pst_error *);
} pst_files;

/* Reads protocol fields (next page, token) and cuts answers into records; rows are decoded by the host, not by
 * plugins. Works on a document in the plugin's own process, so also outside calls. */
#define PST_SERVICE_JSON "penstock.json/1/draft"
enum { PST_JSON_TEXT_MAX = 67108864, PST_JSON_DEPTH_MAX = 2048 };
enum {
    PST_JSON_ABSENT = 0,
    PST_JSON_NULL = 1,
    PST_JSON_BOOLEAN = 2,
    PST_JSON_INTEGER = 3,
    PST_JSON_REAL = 4,
    PST_JSON_TEXT = 5,
    PST_JSON_ARRAY = 6,
    PST_JSON_OBJECT = 7
};
typedef struct pst_json pst_json; /* a document, or a value in it, which lives as long as its document */
typedef struct pst_json_service { /* all [lane]; every pst_json argument may be NULL: then nothing is there */
    uint32_t struct_size, flags;
    pst_json *(*parse)(const pst_host *, pst_bytes text, pst_error *); /* NULL on error: PST_E_DATA, PST_E_RESOURCE */
    void (*discard)(pst_json *);                                       /* of what `parse` gave */
    /* `path` is a JSON Pointer, "" the value itself. Absent or of another type: NULL, 0, 0.0, false. */
    const pst_json *(*find)(const pst_json *, const char *path);
    const pst_json *(*item)(const pst_json *, size_t index); /* of an array, or the value of an object's key `index` */
    int32_t (*kind)(const pst_json *, const char *path);
    bool (*has)(const pst_json *, const char *path); /* there, and not null */
    const char *(*text)(const pst_json *, const char *path);
    int64_t (*integer)(const pst_json *, const char *path);
    double (*real)(const pst_json *, const char *path); /* integers too */
    bool (*flag)(const pst_json *, const char *path);
    size_t (*count)(const pst_json *, const char *path);
    const char *(*key)(const pst_json *, const char *path, size_t index); /* in the document's order */
    /* The value as text, compact, keys in the document's order. */
    pst_status (*print)(const pst_json *, const char *path, pst_blob *out, pst_error *);
} pst_json_service;

/* A few durable values of an instance: tokens, marks, answers worth keeping. They outlive cells, restarts and new
 * versions of the plugin, are seen by no other instance and no other workspace, and go when the instance is removed. The
 * host seals what it stores. Not for positions: those are a source's cursor. */
#define PST_SERVICE_STATE "penstock.state/1/draft"
enum { PST_STATE_KEY_MAX = 128, PST_STATE_VALUE_MAX = 16384, PST_STATE_KEYS_MAX = 1000 }; /* bytes, bytes, of one instance */
#define PST_STATE_ANY UINT64_MAX
typedef struct pst_state_key {
    char key[PST_STATE_KEY_MAX + 1];
    uint64_t version;
} pst_state_key;
typedef struct pst_state_service { /* all [lane] */
    uint32_t struct_size, flags;
    /* *version 0: there is none, or it has expired. PST_E_RESOURCE: it has more than `cap` bytes (*len). */
    pst_status (*get)(const pst_host *, const pst_call *, const char *key, void *out, size_t cap, size_t *len,
                      uint64_t *version, pst_error *);
    /* Durable when it returns. `expected`: 0 = there is none, PST_STATE_ANY, or the version that must be there; if it is
     * not, PST_E_DATA and nothing is done. expires_us: UTC, 0 = never. version may be NULL. */
    pst_status (*put)(const pst_host *, const pst_call *, const char *key, pst_bytes value, uint64_t expected,
                      int64_t expires_us, uint64_t *version, pst_error *);
    pst_status (*remove)(const pst_host *, const pst_call *, const char *key, uint64_t expected, pst_error *);
    /* At most `cap` keys that begin with `prefix` (NULL = all), in byte order, after the key `after` (NULL = from the
     * first). Fewer than `cap`: no more. */
    pst_status (*list)(const pst_host *, const pst_call *, const char *prefix, const char *after, pst_state_key *out,
                       size_t cap, size_t *n_out, pst_error *);
} pst_state_service;

/* A rate that all instances of a host share, over all workspaces, since the far side counts them together: say
 * "api.example.com". Workspaces that wait are served in turn by what they used, so a busy one does not starve others. */
#define PST_SERVICE_LIMIT "penstock.limit/1/draft"
typedef struct pst_rate {
    uint32_t struct_size, flags; /* flags 0 */
    double per_second;           /* above 0 */
    double burst;                /* units that may go at once after a pause; at least 1 */
} pst_rate;
typedef struct pst_limit_service { /* all [lane] */
    uint32_t struct_size, flags;
    /* Waits until `units` may go: PST_OK. The rate is what this instance knows of its provider: its workspace is held
     * to it, and all workspaces together to the highest one that is in use. Instances of a workspace go in the order in
     * which they asked. PST_E_UNAVAILABLE: not within max_wait_us, or the call's deadline; retry_after_ms says when,
     * and its place is kept until then. PST_E_CANCELLED: the call was cancelled.
     * PST_E_CONFIG: `units` are more than the burst. */
    pst_status (*acquire)(const pst_host *, const pst_call *, const char *provider, double units, const pst_rate *rate,
                          int64_t max_wait_us, pst_error *);
} pst_limit_service;

/* Bytes that a setting stands for, and that a plugin's process could not reach by a path: certificates, keys. The
 * setting is an object with one of `pem` (the text itself), `secret` (a reference: format penstock-secret) and `file`
 * (as in penstock.files).
 * PST_E_CONFIG: it has none of them, or no such secret or granted file. PST_E_RESOURCE: more than the limit. Fetch
 * at use; the release wipes the bytes. */
#define PST_SERVICE_MATERIAL "penstock.material/1/draft"
enum { PST_MATERIAL_MAX = 1048576 }; /* bytes */
typedef struct pst_material_service { /* all [lane] */
    uint32_t struct_size, flags;
    pst_status (*fetch)(const pst_host *, const pst_call *, const char *path, pst_blob *out, pst_error *);
} pst_material_service;

/* What people should know although calls succeed: one site of several is away, an answer is late. The instance is shown
 * as "degraded" with this text until another one comes, "" = all is well, or its source is opened anew. */
#define PST_SERVICE_HEALTH "penstock.health/1/draft"
enum { PST_HEALTH_TEXT_MAX = 240 }; /* bytes; more is cut off */
typedef struct pst_health_service { /* all [lane] */
    uint32_t struct_size, flags;
    void (*tell)(const pst_host *, const pst_call *, const char *text); /* without secrets */
} pst_health_service;

/* A program of the machine, for the one connector that the host trusts with it (org.penstock.connector.exec; for others
 * the functions answer PST_E_UNSUPPORTED). Which program, with which arguments and variables, the host takes from
 * the configuration itself (`program`, `arguments`, `environment`, `secrets`, `memory_mb`, `files`); the platform's
 * `exec.allow` grants it to the workspace. One at a time; it ends, with all that it started in its process group, when
 * the plugin's process ends. */
#define PST_SERVICE_PROGRAM "penstock.program/1/draft"
typedef struct pst_program_service { /* all [lane] */
    uint32_t struct_size, flags;
    /* Starts it; one that runs is ended first. What it writes to its standard output and error comes out of the
     * descriptors, which are the plugin's to close. PST_E_CONFIG: not granted, or it cannot be run. */
    pst_status (*start)(const pst_host *, const pst_call *, int *output_fd, int *error_fd, pst_error *);
    /* PST_IDLE: it runs. PST_OK: it has ended, with `code`; below 0: by that signal. PST_END: none was started. */
    pst_status (*ended)(const pst_host *, const pst_call *, int32_t *code, pst_error *);
    void (*stop)(const pst_host *, const pst_call *); /* SIGTERM, and soon SIGKILL */
} pst_program_service;

#ifdef __cplusplus
}
#endif
#endif
