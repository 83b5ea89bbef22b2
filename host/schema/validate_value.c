/* Keywords about any value, about numbers and about strings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/evaluation.h"

/* ---- assertions on any value ---- */

static uint32_t types_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return TYPE_OBJECT;
    case JSON_ARRAY:
        return TYPE_ARRAY;
    case JSON_STRING:
        return TYPE_STRING;
    case JSON_INTEGER:
        return TYPE_INTEGER | TYPE_NUMBER;
    case JSON_REAL:
        return number_is_integer(v) ? TYPE_INTEGER | TYPE_NUMBER : TYPE_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE:
        return TYPE_BOOLEAN;
    default:
        return TYPE_NULL;
    }
}

bool check_type(evaluation *e, const frame *f, const node_keyword *k)
{
    char names[96];
    static const char *const words[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
    if (types_of(f->value) & k->as.types)
        return true;
    if (e->quiet)
        return false;
    size_t n = 0;
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (k->as.types & 1U << i)
            n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", n ? " or " : "", words[i]);
    return evaluation_fail(e, f, k, "must be %s", names);
}

bool check_enum(evaluation *e, const frame *f, const node_keyword *k)
{
    uint64_t steps = 0;
    bool found = value_set_has(k->as.set, f->value, &steps);
    if (!evaluation_spend(e, steps))
        return false;
    return found || evaluation_fail(e, f, k, "must be one of the %u values of the enum", k->as.set->n);
}

bool check_const(evaluation *e, const frame *f, const node_keyword *k)
{
    uint64_t steps = 0;
    bool same = value_equal(f->value, k->value, &steps);
    if (!evaluation_spend(e, steps))
        return false;
    return same || evaluation_fail(e, f, k, "must be the constant of the schema");
}

/* ---- numbers ---- */

static bool fail_bound(evaluation *e, const frame *f, const node_keyword *k, const char *words)
{
    if (e->quiet)
        return false;
    char *bound = json_dumps(k->value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    bool result = evaluation_fail(e, f, k, "must be %s %s", words, bound ? bound : "");
    free(bound);
    return result;
}

bool check_minimum(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_number(f->value) || number_compare(f->value, k->value) >= 0 ||
           fail_bound(e, f, k, "at least");
}

bool check_maximum(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_number(f->value) || number_compare(f->value, k->value) <= 0 ||
           fail_bound(e, f, k, "at most");
}

bool check_exclusive_minimum(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_number(f->value) || number_compare(f->value, k->value) > 0 ||
           fail_bound(e, f, k, "greater than");
}

bool check_exclusive_maximum(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_number(f->value) || number_compare(f->value, k->value) < 0 ||
           fail_bound(e, f, k, "less than");
}

bool check_multiple_of(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_number(f->value) || decimal_is_multiple(decimal_of_json(f->value), k->as.divisor) ||
           fail_bound(e, f, k, "a multiple of");
}

/* ---- strings ---- */

bool check_min_length(evaluation *e, const frame *f, const node_keyword *k)
{
    if (!json_is_string(f->value) ||
        utf8_length(json_string_value(f->value), json_string_length(f->value)) >= k->as.count)
        return true;
    return evaluation_fail(e, f, k, "must have at least %llu characters", (unsigned long long)k->as.count);
}

bool check_max_length(evaluation *e, const frame *f, const node_keyword *k)
{
    if (!json_is_string(f->value) ||
        utf8_length(json_string_value(f->value), json_string_length(f->value)) <= k->as.count)
        return true;
    return evaluation_fail(e, f, k, "must have at most %llu characters", (unsigned long long)k->as.count);
}

bool evaluation_matches(evaluation *e, const pattern *p, const char *s, size_t len)
{
    pattern_result result = evaluation_spend(e, 1 + len / 64) ? pattern_match(p, s, len) : PATTERN_NO;
    if (result == PATTERN_LIMIT)
        return evaluation_give_up(e, STATUS_LIMIT, "a regular expression takes more work than allowed");
    return result == PATTERN_YES;
}

bool check_pattern(evaluation *e, const frame *f, const node_keyword *k)
{
    if (!json_is_string(f->value) ||
        evaluation_matches(e, k->as.pattern, json_string_value(f->value), json_string_length(f->value)))
        return true;
    return evaluation_fail(e, f, k, "must match %.200s", json_string_value(k->value));
}

bool check_format(evaluation *e, const frame *f, const node_keyword *k)
{
    if (!json_is_string(f->value) ||
        format_check(k->as.format, json_string_value(f->value), json_string_length(f->value)))
        return true;
    return evaluation_fail(e, f, k, "must be a %s", format_name(k->as.format));
}
