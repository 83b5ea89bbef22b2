/* The effective definition of a workspace: template version + parameters + local layer, as plain structs.
 *
 * Made by definition_make (control/template.h parses and checks before), immutable from then on, counted by
 * reference: whoever works on a batch, a refresh or a request holds one generation from start to end.
 * Everything inside lies in one arena and is borrowed: never freed, never kept longer than the definition.
 * All functions may be called from any thread. Texts are UTF-8; absent texts are NULL; times are
 * microseconds. */
#ifndef PENSTOCK_CONTROL_DEFINITION_H
#define PENSTOCK_CONTROL_DEFINITION_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/batch.h"
#include "base/status.h"
#include "store/table.h"

struct row_plan; /* schema/row_plan.h */

#define DEFINITION_ANY INT64_MAX /* "any", "all", "never": no limit on a duration */
#define DEFINITION_OBJECTS_MAX 5000

typedef enum object_class {
    CLASS_DATASTORE = 1,
    CLASS_FEATURESTORE,
    CLASS_INFERENCESTORE,
    CLASS_MODEL,
    CLASS_METRIC,
    CLASS_CONNECTOR,
    CLASS_NOTIFIER,
    CLASS_ALERT,
    CLASS_DASHBOARD,
    CLASS_REPORT,
    CLASS_TEST,
    CLASS_SINK,
    CLASS_COUNT, /* one above the last */
} object_class;

typedef enum object_origin { ORIGIN_TEMPLATE, ORIGIN_LOCAL } object_origin;

/* Head of every object (first member, so a defined_object * may be cast to what its class says). */
typedef struct defined_object {
    object_class class;
    object_origin origin;
    const char *key;
    const char *title; /* the key if none was given */
    json_t *body;      /* as written, parameters put in; what is stored in object(wid, class, key, …) */
    char hash[33];     /* of the body, 32 hex digits */
} defined_object;

/* class:key[.column] */
typedef struct object_reference {
    object_class class;
    const char *key;
    const char *column;
} object_reference;

typedef struct store_column {
    const char *name;
    column_type type;
    bool required; /* NOT NULL */
    const char *title, *unit;
} store_column;

typedef struct text_list {
    const char *const *items;
    uint32_t n;
} text_list;

/* Width of a partition as the author gave it; AUTO lets the host choose. */
typedef enum partition_choice {
    PARTITION_CHOICE_AUTO,
    PARTITION_CHOICE_NONE,
    PARTITION_CHOICE_DAY,
    PARTITION_CHOICE_WEEK,
    PARTITION_CHOICE_MONTH,
    PARTITION_CHOICE_YEAR,
} partition_choice;

/* Every `every:` or cron. One of every_us and cron is set; both 0/NULL = no schedule. */
typedef struct schedule_rule {
    int64_t every_us;
    const char *cron;
    const char *timezone; /* "UTC" if none was given */
    bool skip_missed;     /* missed: skip (else once) */
} schedule_rule;

typedef struct defined_datastore {
    defined_object object;
    json_t *schema;              /* JSON Schema of one row */
    const struct row_plan *plan; /* the same, compiled: what the decoder works by */
    bool extra;                  /* additional properties are allowed and kept in _extra */
    const store_column *columns; /* in the order of the table, without the system columns */
    uint32_t n_columns;
    const char *time; /* event-time column or NULL */
    text_list entity;
    text_list unique;           /* empty = append only */
    table_conflict on_conflict; /* CONFLICT_APPEND if `unique` is empty */
    const char *version;        /* column that orders updates, or NULL = _seq */
    int64_t retention_us;       /* DEFINITION_ANY = kept for ever */
    int64_t accept_past_us, accept_future_us;
    int64_t cadence_us; /* 0 = nothing expected */
    partition_choice partition;
    bool read_by_seq; /* a sink reads it in the order of _seq */
} defined_datastore;

typedef struct defined_featurestore {
    defined_object object;
    const object_reference *from;
    uint32_t n_from;
    const char *bucket;   /* as written, e.g. "10m", "1d", "1mo"; NULL = each row's own time */
    const char *interval; /* the same as PostgreSQL writes it */
    int64_t bucket_us;    /* width; 0 = by the calendar (mo, q, y, and d or w in a zone with clock changes) */
    text_list key;
    schedule_rule refresh; /* its timezone is the store's */
    const char *timezone;
    int64_t reach_before_us, reach_after_us;
    /* how far back late rows are computed again; DEFINITION_ANY = as far as rows are kept */
    int64_t horizon_us;
    int64_t retention_us; /* DEFINITION_ANY = kept for ever */
    const char *sql;
    /* what the SQL gives, key columns first; found out on the data plane at plan time */
    const store_column *columns;
    uint32_t n_columns; /* 0 until then */
} defined_featurestore;

typedef struct defined_inferencestore {
    defined_object object;
    json_t *schema;
    const struct row_plan *plan;
    text_list key;
    int64_t retention_us;        /* DEFINITION_ANY = kept for ever */
    const store_column *columns; /* without _model, _version, _run, _features */
    uint32_t n_columns;
} defined_inferencestore;

typedef struct defined_model {
    defined_object object;
    const char *plugin;
    json_t *config; /* {} if none was given */
    struct {
        object_reference from; /* key NULL = the model is not trained */
        int64_t window_us;     /* DEFINITION_ANY = all */
        schedule_rule schedule;
    } train;
    struct {
        object_reference from, into;
        bool on_change; /* else by the schedule */
        schedule_rule schedule;
        uint32_t context; /* rows before the first one to score, per entity; 0 = what the plugin asks for */
    } infer;
} defined_model;

typedef enum parameter_type {
    PARAMETER_TEXT = 1, /* string */
    PARAMETER_INTEGER,
    PARAMETER_NUMBER,
    PARAMETER_BOOLEAN,
    PARAMETER_TIMESTAMP, /* RFC 3339, or now, now-24h, now+7d, now/d … (control/relative_time.h) */
    PARAMETER_DURATION,  /* 10m; bound as an interval */
} parameter_type;

typedef struct metric_parameter {
    const char *name;
    parameter_type type;
    json_t *value;   /* default; NULL = the caller must give one */
    json_t *choices; /* array, or NULL */
} metric_parameter;

typedef struct metric_input {
    const char *name;
    const char *metric; /* one of the two */
    const char *sql;
    json_t *params; /* {} or object: values, or "$name" for a parameter of the metric that is asked */
} metric_input;

typedef struct defined_metric {
    defined_object object;
    const char *unit, *time, *value;
    text_list labels;
    const metric_parameter *params;
    uint32_t n_params;
    const char *sql; /* one of the two */
    const char *plugin;
    json_t *config; /* of the plugin */
    const metric_input *inputs;
    uint32_t n_inputs;
} defined_metric;

typedef struct connector_target {
    const char *stream; /* NULL = every stream */
    object_reference store;
} connector_target;

typedef struct defined_connector {
    defined_object object;
    const char *plugin;
    json_t *config;
    const char *format; /* json, ndjson, csv, lp; NULL = the connector hands over columns */
    json_t *decode;     /* {} if none was given */
    const connector_target *into;
    uint32_t n_into;
    bool paused;
} defined_connector;

#define SINK_BATCH_ROWS_MAX 100000
#define SINK_BATCH_BYTES_MAX (64 << 20)

typedef struct defined_sink {
    defined_object object;
    const char *plugin; /* a connector that offers sink/1 */
    json_t *config;
    object_reference from; /* a datastore */
    uint32_t batch_rows, batch_bytes;
    int64_t every_us; /* a batch that is not full waits so long for more rows */
    bool newest;      /* begins with what comes after it was made; else with the oldest row */
    bool paused;
} defined_sink;

typedef struct defined_notifier {
    defined_object object;
    const char *plugin;
    json_t *config;
} defined_notifier;

typedef enum alert_clock { CLOCK_WALL, CLOCK_DATA } alert_clock;
typedef enum alert_severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_CRITICAL } alert_severity;
typedef enum compare_operator {
    COMPARE_LT = 1,
    COMPARE_LE,
    COMPARE_GT,
    COMPARE_GE,
    COMPARE_EQ,
    COMPARE_NE
} compare_operator;
typedef enum no_data_state { NO_DATA_STATE, NO_DATA_OK, NO_DATA_FIRE, NO_DATA_KEEP } no_data_state;

typedef struct alert_condition {
    compare_operator op;
    double number;
} alert_condition;

typedef struct defined_alert {
    defined_object object;
    const char *metric;
    json_t *params; /* values for the metric's parameters; {} if none */
    alert_clock clock;
    alert_condition fire_at, clear_at; /* clear_at = the opposite of fire_at if none was given */
    int64_t for_us, keep_firing_us;
    int64_t no_data_after_us; /* DEFINITION_ANY = never */
    no_data_state no_data_then;
    schedule_rule schedule; /* how often it is looked at; also after every change of what it reads */
    alert_severity severity;
    text_list notify;
    int64_t notify_horizon_us; /* DEFINITION_ANY = `off`: notifies however old the rows are */
} defined_alert;

typedef struct definition {
    /* Of the workspace; 0/NULL while offline. */
    int32_t wid;
    const char *workspace;    /* slug */
    const char *workspace_id; /* ws_… */
    int64_t generation;
    const char *template_key, *template_version, *title;
    json_t *parameters; /* values by name, defaults put in */

    const defined_datastore *datastores;
    const defined_featurestore *featurestores; /* in the order of their dependencies: sources first */
    const defined_inferencestore *inferencestores;
    const defined_model *models;
    const defined_metric *metrics;
    const defined_connector *connectors;
    const defined_notifier *notifiers;
    const defined_alert *alerts;
    const defined_sink *sinks;
    const defined_object *dashboards, *reports, *tests; /* kept as JSON: body */
    uint32_t n_datastores, n_featurestores, n_inferencestores, n_models, n_metrics, n_connectors, n_notifiers,
        n_alerts, n_sinks, n_dashboards, n_reports, n_tests;
} definition;

/* References: takes one more, gives one back (the last one frees). NULL is fine for release. */
const definition *definition_retain(const definition *d);
void definition_release(const definition *d);

/* By class and key; NULL if there is none. The typed ones save a cast. */
const defined_object *definition_object(const definition *d, object_class class, const char *key);
const defined_datastore *definition_datastore(const definition *d, const char *key);
const defined_featurestore *definition_featurestore(const definition *d, const char *key);
const defined_inferencestore *definition_inferencestore(const definition *d, const char *key);
const defined_model *definition_model(const definition *d, const char *key);
const defined_metric *definition_metric(const definition *d, const char *key);
const defined_connector *definition_connector(const definition *d, const char *key);
const defined_notifier *definition_notifier(const definition *d, const char *key);
const defined_alert *definition_alert(const definition *d, const char *key);
const defined_sink *definition_sink(const definition *d, const char *key);
/* Every object, template order within its class: calls `visit` until it returns false. */
typedef bool (*definition_visit)(void *arg, const defined_object *o);
void definition_each(const definition *d, definition_visit visit, void *arg);

/* "datastore", … and the name of its section, "datastores"; 0 if the word is no class. */
const char *class_name(object_class class);
const char *class_section(object_class class);
object_class class_parse(const char *word, size_t len);
/* "class:key[.column]" → borrowed pieces in `buffer` (size ≥ strlen + 1). False if it is none. */
bool reference_parse(const char *word, char *buffer, size_t size, object_reference *ret);

/* What definition_make needs beside the checked documents. */
typedef struct definition_source {
    json_t *template_body; /* checked by template_check; parameters not yet put in */
    json_t *local_body;    /* local layer, or NULL */
    json_t *parameters;    /* given values by name, or NULL */
    int32_t wid;
    const char *workspace, *workspace_id;
    int64_t generation;
    /* {"featurestore key": [{name,type,required}]}: found on the data plane earlier, or NULL */
    json_t *columns;
} definition_source;

/* Puts parameters in, merges the local layer (which only adds), resolves defaults. One reference for the
 * caller. Errors are STATUS_INVALID with `where` a JSON Pointer into the layer that is wrong. */
status_class definition_make(const definition_source *source, const definition **ret, status *st);
/* The same definition with the columns of its featurestores known. */
status_class definition_with_columns(const definition *d, json_t *columns, const definition **ret,
                                     status *st);

/* One document with everything definition_from_json needs; a new reference. */
json_t *definition_to_json(const definition *d);
status_class definition_from_json(json_t *document, const definition **ret, status *st);
#endif
