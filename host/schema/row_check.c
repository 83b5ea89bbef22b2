/* Checks of a plan's columns on bare values, and their words. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/node.h"
#include "schema/plan_choices.h"
#include "schema/row_plan.h"

struct plan_choices {
    uint32_t n, slot_mask;
    uint32_t *slots; /* texts: choice + 1, by name_hash */
    const char **texts;
    size_t *lengths;
    double *numbers;   /* ascending */
    int64_t *integers; /* ascending */
    uint32_t n_texts, n_numbers, n_integers;
    bool allows_true, allows_false;
};

/* ---- choices ---- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int compare_integers(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool choices_have_text(const plan_choices *c, const char *s, size_t len)
{
    for (uint32_t at = (uint32_t)name_hash(s, len) & c->slot_mask; c->slots[at];
         at = (at + 1) & c->slot_mask) {
        uint32_t i = c->slots[at] - 1;
        if (c->lengths[i] == len && memcmp(c->texts[i], s, len) == 0)
            return true;
    }
    return false;
}

static void choices_add_text(plan_choices *c, const char *s, size_t len)
{
    uint32_t at = (uint32_t)name_hash(s, len) & c->slot_mask;
    while (c->slots[at])
        at = (at + 1) & c->slot_mask;
    c->texts[c->n_texts] = s;
    c->lengths[c->n_texts++] = len;
    c->slots[at] = c->n_texts;
}

static void choices_add_number(plan_choices *c, const json_t *v)
{
    double d = json_number_value(v);
    if (json_is_integer(v))
        c->integers[c->n_integers++] = json_integer_value(v);
    else if (trunc(d) == d && fabs(d) < 9.2e18)
        c->integers[c->n_integers++] = (int64_t)d;
    c->numbers[c->n_numbers++] = d;
}

plan_choices *plan_choices_make(arena *a, const json_t *values)
{
    size_t n = json_array_size(values);
    plan_choices *c = arena_zero(a, 1, sizeof *c);
    uint32_t slots = 8;
    while (slots < 2 * n)
        slots *= 2;
    c->slot_mask = slots - 1;
    c->slots = arena_zero(a, slots, sizeof *c->slots);
    c->texts = arena_zero(a, n + 1, sizeof(char *));
    c->lengths = arena_zero(a, n + 1, sizeof *c->lengths);
    c->numbers = arena_zero(a, n + 1, sizeof *c->numbers);
    c->integers = arena_zero(a, n + 1, sizeof *c->integers);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(values, i);
        if (json_is_string(v))
            choices_add_text(c, json_string_value(v), json_string_length(v));
        else if (json_is_number(v))
            choices_add_number(c, v);
        c->allows_true |= json_is_true(v);
        c->allows_false |= json_is_false(v);
    }
    qsort(c->numbers, c->n_numbers, sizeof *c->numbers, compare_doubles);
    qsort(c->integers, c->n_integers, sizeof *c->integers, compare_integers);
    return c;
}

/* ---- checks ---- */

row_reason row_plan_check_text_slow(const plan_column *c, const char *s, size_t len)
{
    if (c->checks & PLAN_CHECK_LENGTH) {
        /* n bytes are n/4 to n code points: most values need no counting */
        if (len < c->min_length)
            return ROW_MIN_LENGTH;
        if (len / 4 > c->max_length)
            return ROW_MAX_LENGTH;
        if (len > c->max_length || len / 4 < c->min_length) {
            size_t points = utf8_length(s, len);
            if (points < c->min_length)
                return ROW_MIN_LENGTH;
            if (points > c->max_length)
                return ROW_MAX_LENGTH;
        }
    }
    if ((c->checks & PLAN_CHECK_ENUM) && !choices_have_text(c->choices, s, len))
        return ROW_ENUM;
    if ((c->checks & PLAN_CHECK_PATTERN) && pattern_match(c->pattern, s, len) != PATTERN_YES)
        return ROW_PATTERN;
    if ((c->checks & PLAN_CHECK_FORMAT) && !format_check(c->format, s, len))
        return ROW_FORMAT;
    return ROW_OK;
}

row_reason row_plan_check_integer_slow(const plan_column *c, int64_t v)
{
    if ((c->checks & PLAN_CHECK_MULTIPLE_OF) && !decimal_is_multiple(decimal_of_integer(v), c->divisor))
        return ROW_MULTIPLE_OF;
    if ((c->checks & PLAN_CHECK_ENUM) &&
        !bsearch(&v, c->choices->integers, c->choices->n_integers, sizeof v, compare_integers))
        return ROW_ENUM;
    return ROW_OK;
}

row_reason row_plan_check_number_slow(const plan_column *c, double v)
{
    if ((c->checks & PLAN_CHECK_MULTIPLE_OF) && isfinite(v) &&
        !decimal_is_multiple(decimal_of_double(v), c->divisor))
        return ROW_MULTIPLE_OF;
    if ((c->checks & PLAN_CHECK_ENUM) &&
        (isnan(v) || !bsearch(&v, c->choices->numbers, c->choices->n_numbers, sizeof v, compare_doubles)))
        return ROW_ENUM;
    return ROW_OK;
}

row_reason row_plan_check_boolean(const plan_column *c, bool v)
{
    if (!(c->checks & PLAN_CHECK_ENUM) || (v ? c->choices->allows_true : c->choices->allows_false))
        return ROW_OK;
    return ROW_ENUM;
}

row_reason row_plan_check_json(const plan_column *c, const json_t *value, status *st)
{
    if (node_validate(c->plan->schema, c->node, value, NULL, st) == STATUS_OK)
        return ROW_OK;
    char where[sizeof st->where];
    snprintf(where, sizeof where, "/%.60s%.60s", c->name, st->class == STATUS_INVALID ? st->where : "");
    memcpy(st->where, where, sizeof where);
    return ROW_SCHEMA;
}

row_reason row_plan_check_row(const row_plan *p, const json_t *row, schema_errors *errors, status *st)
{
    return schema_validate(p->schema, row, errors, st) == STATUS_OK ? ROW_OK : ROW_SCHEMA;
}

/* ---- words ---- */

static const char *const reason_names[ROW_REASON_COUNT] = {
    [ROW_OK] = "ok",
    [ROW_TYPE] = "type",
    [ROW_REQUIRED] = "required",
    [ROW_MINIMUM] = "minimum",
    [ROW_MAXIMUM] = "maximum",
    [ROW_MIN_LENGTH] = "min_length",
    [ROW_MAX_LENGTH] = "max_length",
    [ROW_ENUM] = "enum",
    [ROW_PATTERN] = "pattern",
    [ROW_FORMAT] = "format",
    [ROW_ADDITIONAL] = "additional",
    [ROW_MULTIPLE_OF] = "multiple_of",
    [ROW_NOT_STORABLE] = "not_storable",
    [ROW_SCHEMA] = "schema",
};

const char *row_reason_name(row_reason reason)
{
    assert(reason < ROW_REASON_COUNT);
    return reason_names[reason];
}

const char *column_type_name(column_type type)
{
    static const char *const names[] = {"?",    "boolean", "integer", "number", "timestamp",
                                        "date", "uuid",    "text",    "json"};
    return names[type <= COLUMN_JSON ? type : 0];
}

static void number_sentence(row_reason reason, const plan_column *c, char *out, size_t size)
{
    bool minimum = reason == ROW_MINIMUM, exclusive = minimum ? c->min_exclusive : c->max_exclusive;
    if (c->type == COLUMN_INTEGER)
        snprintf(out, size, "must be at %s %lld", minimum ? "least" : "most",
                 (long long)(minimum ? c->min_integer : c->max_integer));
    else
        snprintf(out, size, "must be %s %.15g",
                 exclusive ? minimum ? "greater than" : "less than"
                 : minimum ? "at least"
                           : "at most",
                 minimum ? c->min_number : c->max_number);
}

void row_reason_sentence(row_reason reason, const plan_column *c, char *out, size_t size)
{
    static const char *const plain[ROW_REASON_COUNT] = {
        [ROW_OK] = "is fine",
        [ROW_TYPE] = "has the wrong type",
        [ROW_REQUIRED] = "is required",
        [ROW_MINIMUM] = "is too small",
        [ROW_MAXIMUM] = "is too large",
        [ROW_MIN_LENGTH] = "is too short",
        [ROW_MAX_LENGTH] = "is too long",
        [ROW_ENUM] = "is none of the allowed values",
        [ROW_PATTERN] = "does not match the pattern",
        [ROW_FORMAT] = "does not have the format",
        [ROW_ADDITIONAL] = "is not a column of this store",
        [ROW_MULTIPLE_OF] = "is no multiple of what it must be",
        [ROW_NOT_STORABLE] =
            "cannot be stored (U+0000, beyond 64 bits, not finite, or beyond the years 1 to 9999)",
        [ROW_SCHEMA] = "does not fit the schema",
    };
    assert(reason < ROW_REASON_COUNT);
    snprintf(out, size, "%s", plain[reason]);
    if (!c)
        return;
    if (reason == ROW_TYPE)
        snprintf(out, size, "must be of type %s%s", column_type_name(c->type), c->nullable ? " or null" : "");
    else if (reason == ROW_MINIMUM || reason == ROW_MAXIMUM)
        number_sentence(reason, c, out, size);
    else if (reason == ROW_MIN_LENGTH)
        snprintf(out, size, "must have at least %llu characters", (unsigned long long)c->min_length);
    else if (reason == ROW_MAX_LENGTH)
        snprintf(out, size, "must have at most %llu characters", (unsigned long long)c->max_length);
    else if (reason == ROW_FORMAT)
        snprintf(out, size, "must be a %s", format_name(c->format));
}
