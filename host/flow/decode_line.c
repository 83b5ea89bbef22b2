/* Rows out of line protocol: tags and fields are columns of their names, the line's time is the event time.
 *
 * A tag is text and is read into whatever its column is; a field has its own type, and a float may stand in
 * an integer column when it is whole. A string in a column that takes no strings but objects or arrays is
 * read as JSON. A line without a time happened when it was received. In a store without event time the time
 * is a member named `time` like any other. What is no column goes to `_extra`, or costs the row. */
#include "flow/decode_part.h"

/* The key that the line before had in this place, to be compared before it is read. */
static void expect_key(const decoder *d, line_reader *r, uint32_t index)
{
    const decode_field *f = index < d->plan->n_fields ? &d->plan->fields[d->order[index]] : NULL;
    r->expected = f && f->plain ? (line_text){f->name, f->name_len} : (line_text){NULL, 0};
}

/* False: the line is broken. */
static bool read_parts(decoder *d, line_reader *r)
{
    part p;
    line_step step;
    uint32_t index = 0;
    p.tag = true;
    p.value.kind = LINE_STRING;
    for (;;) {
        expect_key(d, r, index);
        step = line_reader_tag(r, &p.key, &p.value.string);
        if (step != LINE_GOT)
            break;
        p.expected = r->as_expected;
        p.value.at = p.at = r->part_at;
        row_put_part(d, &p, index++);
    }
    p.tag = false;
    while (step != LINE_BAD) {
        expect_key(d, r, index);
        step = line_reader_field(r, &p.key, &p.value);
        if (step != LINE_GOT)
            break;
        p.expected = r->as_expected;
        p.at = r->part_at;
        row_put_part(d, &p, index++);
    }
    return step != LINE_BAD;
}

static void fail_line(decoder *d, line_reader *r)
{
    d->failed = false; /* a broken line is the better reason */
    row_fail(d, r->code, "", r->at, r->detail);
    line_reader_skip(r);
}

void decode_line(decoder *d, line_reader *r)
{
    int64_t ns = 0;
    row_begin_parts(d, r->line);
    line_step step = read_parts(d, r) ? LINE_GOT : LINE_BAD;
    if (step == LINE_GOT)
        step = line_reader_time(r, d->precision, &ns);
    if (step == LINE_BAD)
        fail_line(d, r);
    else if (!d->failed)
        row_put_moment(d, step == LINE_GOT, ns / 1000 - (ns % 1000 < 0), r->part_at);
    row_end_parts(d, r->line_end);
}

/* ---- a body for one store ---- */

static void refuse_measurement(decoder *d, line_reader *r, const char *code, const char *detail)
{
    row_begin(d, r->line);
    row_fail(d, code, "", r->line, detail);
    line_reader_skip(r);
    row_end(d, r->line_end);
}

void decode_line_limits(const decode_plan *p, line_limits *out)
{
    const decode_limits *l = &p->options.limits;
    *out = (line_limits){l->row_bytes, l->text_bytes, l->number_bytes, l->members};
}

status_class decode_lines(decoder *d, status *st)
{
    line_reader *r = &d->lines;
    line_limits limits;
    line_text name;
    size_t wanted = d->measurement ? strlen(d->measurement) : 0;
    decode_line_limits(d->plan, &limits);
    line_reader_text(r, d->body, (size_t)(d->body_end - d->body), &limits);
    bool plain = wanted && strcspn(d->measurement, ", \\\n") == wanted;
    while (line_reader_next(r)) {
        r->expected = (line_text){d->measurement, plain ? wanted : 0};
        if (d->n_input == d->rows_max)
            return status_set(st, STATUS_LIMIT, "body: more than %u rows", d->rows_max);
        if (!line_reader_measurement(r, &name))
            refuse_measurement(d, r, r->code, r->detail);
        else if (!r->as_expected && d->measurement &&
                 (name.len != wanted || memcmp(name.data, d->measurement, wanted) != 0))
            refuse_measurement(d, r, "unknown_store",
                               "the measurement is not the store that the rows are for");
        else
            decode_line(d, r);
    }
    return STATUS_OK;
}
