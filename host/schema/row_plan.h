/* The contract between a store's JSON Schema and the row decoder: the columns of the table, in order, and for
 * each what a value must satisfy, in a form that costs no allocation and no DOM a row.
 *
 * A plan is *flat* when the top level of the schema says no more than type, properties, required and a
 * boolean additionalProperties. Then a row is accepted exactly when, for every property of the input:
 *   - it names a column (row_plan_find), or additional == ROW_PLAN_KEEP (the property goes to `_extra`), else
 *     ROW_ADDITIONAL;
 *   - null: allowed if column.nullable, else ROW_TYPE;
 *   - else its JSON type fits column.type (for COLUMN_JSON: column.json_types), else ROW_TYPE;
 *     an integer column takes every number without fraction (5.0 and 5e0 too);
 *   - it can be stored (column.storable), else ROW_NOT_STORABLE;
 *   - a timestamp, date or uuid column parses (utc_parse, utc_parse_date, format_uuid_parse), else
 * ROW_FORMAT;
 *   - row_plan_check_text (text, timestamp, date, uuid: on the unescaped text), _integer, _number or _boolean
 * is ROW_OK;
 *   - if column.deep: row_plan_check_json on the value parsed by jansson (null too) is ROW_OK. True for JSON
 * columns with rules of their own and for scalars with rules that do not fit the plan (anyOf, not, …); and
 * every column with `required` stood in the input (n_required says how many there are), else ROW_REQUIRED.
 * Enumerations that hold null are in `nullable` already.
 *
 * Not flat (flat_reason, flat_where say why): the decoder parses the row with jansson, calls
 * row_plan_check_row, and then converts the columns as above (storable and conversions still apply, the other
 * checks pass by themselves). Columns come from the top-level `properties` in both cases. A plan without
 * columns is a schemaless sink.
 *
 * A plan is immutable and thread-safe. It keeps the compiled schema alive itself (row_plan_make takes it
 * over). */
#ifndef PENSTOCK_SCHEMA_ROW_PLAN_H
#define PENSTOCK_SCHEMA_ROW_PLAN_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/batch.h"
#include "base/name.h"
#include "base/status.h"
#include "schema/compile.h"
#include "schema/format.h"
#include "schema/number.h"
#include "schema/pattern.h"
#include "schema/validate.h"

#define ROW_PLAN_COLUMNS_MAX 1000U /* PostgreSQL takes 1,600 */
#define ROW_PLAN_NAME_MAX 63U      /* bytes of a column's name, PostgreSQL's limit */

/* Why a row or a value is refused. The words of row_reason_name are stable: they are stored and counted. */
typedef enum row_reason {
    ROW_OK = 0,
    ROW_TYPE,
    ROW_REQUIRED,
    ROW_MINIMUM,
    ROW_MAXIMUM,
    ROW_MIN_LENGTH,
    ROW_MAX_LENGTH,
    ROW_ENUM,
    ROW_PATTERN,
    ROW_FORMAT,
    ROW_ADDITIONAL,
    ROW_MULTIPLE_OF,
    ROW_NOT_STORABLE,
    ROW_SCHEMA, /* a rule of a non-flat schema or of a deep column */
    ROW_REASON_COUNT,
} row_reason;

typedef enum row_additional { ROW_PLAN_REFUSE, ROW_PLAN_KEEP } row_additional;

/* What PostgreSQL cannot hold, beyond the schema; checked by the decoder while it converts. */
enum {
    STORABLE_NO_NUL = 1U << 0, /* text, JSON: no U+0000 */
    STORABLE_INT64 = 1U << 1,  /* integer: fits int64 */
    STORABLE_FINITE =
        1U << 2,              /* number out of JSON: finite as a double; NaN and infinities of CSV are fine */
    STORABLE_YEARS = 1U << 3, /* timestamp, date: years 0001–9999 (utc_parse and utc_parse_date see to it) */
};

/* JSON types a COLUMN_JSON takes (null is `nullable`). */
enum {
    JSON_TYPE_OBJECT = 1U << 0,
    JSON_TYPE_ARRAY = 1U << 1,
    JSON_TYPE_STRING = 1U << 2,
    JSON_TYPE_NUMBER = 1U << 3,
    JSON_TYPE_INTEGER = 1U << 4, /* numbers without fraction only (unless JSON_TYPE_NUMBER is set too) */
    JSON_TYPE_BOOLEAN = 1U << 5,
};

enum {
    PLAN_CHECK_MINIMUM = 1U << 0,
    PLAN_CHECK_MAXIMUM = 1U << 1,
    PLAN_CHECK_LENGTH = 1U << 2,
    PLAN_CHECK_ENUM = 1U << 3,
    PLAN_CHECK_PATTERN = 1U << 4,
    PLAN_CHECK_FORMAT = 1U << 5,
    PLAN_CHECK_MULTIPLE_OF = 1U << 6,
};

typedef struct plan_choices plan_choices; /* the set of an enum */
struct schema_node;

typedef struct plan_column {
    const char *name;
    uint32_t name_len;
    column_type type;
    bool required; /* must stand in the input */
    bool nullable; /* null may stand in the input; the table's column is NOT NULL only if required and not
                      nullable */
    bool deep;     /* row_plan_check_json must be asked too */
    uint8_t json_types;               /* JSON_TYPE_…, COLUMN_JSON only */
    uint32_t storable;                /* STORABLE_… */
    uint32_t checks;                  /* PLAN_CHECK_…; 0 = every value of the type is fine */
    int64_t min_integer, max_integer; /* inclusive, COLUMN_INTEGER */
    double min_number, max_number;    /* COLUMN_NUMBER */
    bool min_exclusive, max_exclusive;
    format_kind format;
    uint64_t min_length, max_length; /* code points */
    decimal divisor;                 /* multipleOf */
    const plan_choices *choices;
    const pattern *pattern;
    const char *unit;     /* annotation, or NULL */
    const json_t *source; /* the property's schema; borrowed from the document */
    const struct schema_node *node;
    const struct row_plan *plan;
} plan_column;

typedef struct row_plan {
    uint32_t n_columns, n_required;
    const plan_column *columns;
    /* KEEP also for non-flat schemas that do not say `additionalProperties: false` */
    row_additional additional;
    bool flat;
    const char *flat_reason; /* sentence, when not flat */
    const char *flat_where;  /* JSON Pointer into the schema */
    uint32_t *slots;         /* open addressing: column + 1 */
    uint32_t slot_mask;
    schema *schema;
} row_plan;

/* Takes the schema over, also on failure. STATUS_INVALID: the schema cannot describe rows (not an object
 * schema, a column's name that cannot be one); STATUS_LIMIT: too many columns. */
row_plan *row_plan_make(schema *compiled, status *st);
void row_plan_free(row_plan *p); /* NULL is fine */

const char *row_reason_name(row_reason reason); /* "type", "required", "minimum", … */
/* A sentence for people: "must be at most 400". `column` may be NULL. Writes at most `size` bytes with the
 * NUL. */
void row_reason_sentence(row_reason reason, const plan_column *column, char *out, size_t size);
/* "text", "bigint", … is the store's matter; this is the schema's word: "integer", "timestamp", "json". */
const char *column_type_name(column_type type);

row_reason row_plan_check_text_slow(const plan_column *c, const char *s, size_t len);
row_reason row_plan_check_integer_slow(const plan_column *c, int64_t v);
row_reason row_plan_check_number_slow(const plan_column *c, double v);
row_reason row_plan_check_boolean(const plan_column *c, bool v);
/* The column's whole schema on a parsed value; ROW_SCHEMA if it fails, with the error in `st` (where =
 * pointer from the row's root). */
row_reason row_plan_check_json(const plan_column *c, const json_t *value, status *st);
/* The whole schema on a parsed row. */
row_reason row_plan_check_row(const row_plan *p, const json_t *row, schema_errors *errors, status *st);

/* The column of that name or -1. `hint` is where to look first and is moved on: start a row with 0, then rows
 * that keep the order of the schema (or of the row before) are found by one comparison. */
static inline int32_t row_plan_find(const row_plan *p, const char *name, size_t len, uint32_t *hint)
{
    uint32_t at = *hint;
    if (at < p->n_columns && p->columns[at].name_len == len && memcmp(p->columns[at].name, name, len) == 0) {
        *hint = at + 1;
        return (int32_t)at;
    }
    if (p->n_columns == 0)
        return -1;
    for (uint32_t slot = (uint32_t)name_hash(name, len) & p->slot_mask; p->slots[slot];
         slot = (slot + 1) & p->slot_mask) {
        at = p->slots[slot] - 1;
        if (p->columns[at].name_len == len && memcmp(p->columns[at].name, name, len) == 0) {
            *hint = at + 1;
            return (int32_t)at;
        }
    }
    return -1;
}

static inline row_reason row_plan_check_text(const plan_column *c, const char *s, size_t len)
{
    return c->checks ? row_plan_check_text_slow(c, s, len) : ROW_OK;
}

static inline row_reason row_plan_check_integer(const plan_column *c, int64_t v)
{
    if ((c->checks & PLAN_CHECK_MINIMUM) && v < c->min_integer)
        return ROW_MINIMUM;
    if ((c->checks & PLAN_CHECK_MAXIMUM) && v > c->max_integer)
        return ROW_MAXIMUM;
    return c->checks & ~(uint32_t)(PLAN_CHECK_MINIMUM | PLAN_CHECK_MAXIMUM)
               ? row_plan_check_integer_slow(c, v)
               : ROW_OK;
}

/* NaN passes every bound. */
static inline row_reason row_plan_check_number(const plan_column *c, double v)
{
    if ((c->checks & PLAN_CHECK_MINIMUM) && (v < c->min_number || (c->min_exclusive && v <= c->min_number)))
        return ROW_MINIMUM;
    if ((c->checks & PLAN_CHECK_MAXIMUM) && (v > c->max_number || (c->max_exclusive && v >= c->max_number)))
        return ROW_MAXIMUM;
    return c->checks & ~(uint32_t)(PLAN_CHECK_MINIMUM | PLAN_CHECK_MAXIMUM) ? row_plan_check_number_slow(c, v)
                                                                            : ROW_OK;
}
#endif
