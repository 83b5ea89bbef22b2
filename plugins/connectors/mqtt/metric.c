/* Protobuf by hand: only the fields that are needed, all others passed over by their wire type. Field numbers
 * are those of the Sparkplug B specification: Payload {1 timestamp, 2 metrics, 3 seq}; Metric {1 name, 2
 * alias, 3 timestamp, 4 datatype, 7 is_null, 10 int, 11 long, 12 float, 13 double, 14 boolean, 15 string}. */
#include "metric.h"

#include <math.h>
#include <string.h>

enum { INT8 = 1, INT16 = 2, INT32 = 3, INT64 = 4 };

typedef struct fields {
    const uint8_t *at, *end;
    bool bad;
    unsigned number, wire; /* of the field just read */
    uint64_t value;        /* of varint and fixed ones */
    mqtt_span bytes;
} fields;

static uint64_t take_varint(fields *f)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (f->at == f->end)
            break;
        uint8_t b = *f->at++;
        value |= (uint64_t)(b & 127) << shift;
        if (b < 128)
            return value;
    }
    f->bad = true;
    return 0;
}

static uint64_t take_fixed(fields *f, unsigned n)
{
    uint64_t value = 0;
    if ((size_t)(f->end - f->at) < n) {
        f->bad = true;
        return 0;
    }
    for (unsigned i = 0; i < n; i++)
        value |= (uint64_t)f->at[i] << (8 * i);
    f->at += n;
    return value;
}

/* The next field; false at the end, and where it is no protobuf (bad). */
static bool next_field(fields *f)
{
    if (f->bad || f->at == f->end)
        return false;
    uint64_t key = take_varint(f);
    f->number = key >> 3 > 1000000 ? 1000000 : (unsigned)(key >> 3);
    f->wire = key & 7;
    f->bytes = (mqtt_span){"", 0};
    if (f->wire == 0) {
        f->value = take_varint(f);
    } else if (f->wire == 1 || f->wire == 5) {
        f->value = take_fixed(f, f->wire == 1 ? 8 : 4);
    } else if (f->wire == 2) {
        uint64_t len = take_varint(f);
        if (f->bad || len > (size_t)(f->end - f->at))
            f->bad = true;
        else
            f->bytes = (mqtt_span){(const char *)f->at, (size_t)len};
        f->at += f->bytes.len;
    } else {
        f->bad = true;
    }
    return !f->bad && f->number;
}

static fields fields_of(mqtt_span bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.data;
    return (fields){.at = at, .end = at + bytes.len};
}

static bool is_number(const fields *f)
{
    switch (f->number) {
    case 10:
    case 11:
    case METRIC_BOOLEAN:
        return f->wire == 0;
    case METRIC_FLOAT:
        return f->wire == 5;
    case METRIC_DOUBLE:
        return f->wire == 1;
    default:
        return false;
    }
}

bool metric_read(mqtt_span bytes, metric *m)
{
    fields f = fields_of(bytes);
    *m = (metric){0};
    while (next_field(&f)) {
        bool varint = f.wire == 0;
        if (f.number == 1 && f.wire == 2)
            m->name = f.bytes;
        else if (f.number == 2 && varint)
            m->alias = f.value, m->has_alias = true;
        else if (f.number == 3 && varint)
            m->time_ms = f.value;
        else if (f.number == 4 && varint)
            m->datatype = (unsigned)f.value;
        else if (f.number == 7 && varint)
            m->is_null = f.value;
        else if (is_number(&f))
            m->kind = f.number, m->number = f.value;
        else if (f.number == 15 && f.wire == 2)
            m->kind = f.number, m->string = f.bytes;
    }
    return f.at == f.end && !f.bad;
}

bool metric_read_head(mqtt_span payload, metric_head *out)
{
    fields f = fields_of(payload);
    *out = (metric_head){.seq = METRIC_SEQ_NONE};
    while (next_field(&f)) {
        if (f.number == 1 && f.wire == 0)
            out->time_ms = f.value;
        else if (f.number == 3 && f.wire == 0)
            out->seq = f.value;
        out->n_metrics += f.number == 2 && f.wire == 2;
    }
    return f.at == f.end && !f.bad;
}

metric_walk metric_walk_of(mqtt_span payload)
{
    fields f = fields_of(payload);
    return (metric_walk){f.at, f.end};
}

bool metric_next(metric_walk *w, mqtt_span *out)
{
    fields f = {.at = w->at, .end = w->end};
    bool found = false;
    while (!found && next_field(&f))
        found = f.number == 2 && f.wire == 2;
    w->at = f.at;
    *out = f.bytes;
    return found;
}

bool metric_number(const metric *m, double *out)
{
    uint32_t low = (uint32_t)m->number;
    float single;
    double real = (double)m->number;
    if (m->is_null || !m->kind || m->kind == METRIC_STRING)
        return false;
    if (m->kind == METRIC_FLOAT) {
        memcpy(&single, &low, sizeof single);
        real = (double)single;
    } else if (m->kind == METRIC_DOUBLE) {
        memcpy(&real, &m->number, sizeof real);
    } else if (m->datatype == INT8) {
        real = (int8_t)m->number;
    } else if (m->datatype == INT16) {
        real = (int16_t)m->number;
    } else if (m->datatype == INT32) {
        real = (int32_t)m->number;
    } else if (m->datatype == INT64) {
        real = (double)(int64_t)m->number;
    }
    *out = real;
    return isfinite(real);
}
