#include "flow/collectd_row.h"

#include <math.h>

#include "base/utc.h"

const char *const collectd_names[COLLECTD_NAMES] = {"host", "plugin", "plugin_instance", "type",
                                                    "type_instance"};

static line_text literal(const char *s)
{
    return (line_text){s, strlen(s)};
}

static void put_text(decoder *d, uint32_t *index, const char *key, line_text value, const char *at)
{
    part p = {.key = literal(key), .value = {.kind = LINE_STRING, .string = value, .at = at}, .at = at};
    row_put_part(d, &p, (*index)++);
}

static void put_number(decoder *d, uint32_t *index, const char *key, const number_text *number,
                       const char *at)
{
    part p = {.key = literal(key), .value = {.kind = LINE_NULL, .at = at}, .at = at};
    if (number) {
        p.value.kind = number->integral_text ? LINE_INT : LINE_FLOAT;
        p.value.number = *number;
        if (!isfinite(decimal_double(number)))
            row_fail(d, row_reason_name(ROW_NOT_STORABLE), "/value", at, "no double is that large");
    }
    row_put_part(d, &p, (*index)++);
}

static bool has_column(const decoder *d, const char *name)
{
    return decode_plan_find(d->plan, name, strlen(name), UINT32_MAX) >= 0;
}

static void put_time(decoder *d, const collectd_list *list)
{
    int64_t us = 0;
    bool fits = !list->timed ||
                (decimal_scaled(&list->time, 6, &us) == DECIMAL_FITS && us >= UTC_MIN_US && us <= UTC_MAX_US);
    if (fits)
        row_put_moment(d, list->timed, us, list->at);
    else
        row_fail(d, row_reason_name(ROW_NOT_STORABLE), "/time", list->at,
                 "the time lies outside the years 1 to 9999");
}

static void put_row(decoder *d, const collectd_list *list, const collectd_value *v)
{
    uint32_t index = 0;
    row_begin_parts(d, list->at);
    for (int i = 0; i < COLLECTD_NAMES; i++)
        put_text(d, &index, collectd_names[i], list->names[i], list->at);
    put_text(d, &index, "ds", v->ds, v->at);
    put_number(d, &index, "value", v->known ? &v->number : NULL, v->at);
    if (v->dstype.len && has_column(d, "dstype"))
        put_text(d, &index, "dstype", v->dstype, v->at);
    if (list->has_interval && has_column(d, "interval"))
        put_number(d, &index, "interval", &list->interval, list->at);
    put_time(d, list);
    row_end_parts(d, list->end);
}

void collectd_put(decoder *d, const collectd_list *list)
{
    const json_reader before =
        d->reader; /* a text that becomes JSON in its column is read by the same reader */
    for (uint32_t i = 0; i < list->n; i++)
        put_row(d, list, &list->values[i]);
    d->reader.p = before.p;
    d->reader.end = before.end;
    d->reader.limit = before.limit;
}

void collectd_refuse(decoder *d, const char *at, const char *end, const char *code, const char *fault_at,
                     const char *detail)
{
    row_begin(d, at);
    row_fail(d, code, "", fault_at, detail);
    row_end(d, end);
}
