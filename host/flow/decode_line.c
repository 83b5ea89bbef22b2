/* Rows out of line protocol: tags and fields are columns of their names, the line's time is the event time.
 *
 * A tag is text and is read into whatever its column is; a field has its own type, and a float may stand in
 * an integer column when it is whole. A string in a column that takes no strings but objects or arrays is
 * read as JSON. A line without a time happened when it was received. In a store without event time the time
 * is a member named `time` like any other. What is no column goes to `_extra`, or costs the row.
 *
 * Most lines are like the one before. So each key is first compared with the one that stood in its place, and
 * a number or text goes straight into that column; and when all tags are those of the row before, that row's
 * values are copied and no tag is read. Whatever is different takes the general way. */
#include "flow/decode_part.h"
#include "flow/line_private.h"

/* ---- tags and fields ---- */

/* Passes over the key that the line before had in this place. Its column, or -1: another key stands here, or
 * the column has its value already. */
static inline int32_t foretold(decoder *d, line_reader *r, uint32_t index)
{
    if (index >= d->plan->n_fields || d->failed)
        return -1;
    uint32_t column = d->order[index];
    const decode_field *f = &d->plan->fields[column];
    bool taken =
        f->foretold && !batch_builder_is_set(d->builder, column) && line_takes_key(r, f->name, f->name_len);
    return taken ? (int32_t)column : -1;
}

/* False: the line is broken. */
static inline bool read_tag(decoder *d, line_reader *r, uint32_t index)
{
    part p;
    int32_t column = foretold(d, r, index);
    if (column < 0 && !line_read_tag_key(r, &p.key))
        return false;
    p.tag = true;
    p.at = p.value.at = r->part_at;
    p.value.kind = LINE_STRING;
    if (!line_read_tag_value(r, &p.value.string))
        return false;
    if (column >= 0)
        row_put_known(d, (uint32_t)column, &p);
    else
        row_put_part(d, &p, index);
    return true;
}

/* The usual number in a column of numbers: in JSON's grammar, of few digits, without a suffix. False: nothing
 * has happened. */
static inline bool read_number(decoder *d, line_reader *r, uint32_t column)
{
    number_text number;
    const char *at = r->p, *end = decimal_read(at, r->end, &number);
    if (!end || !number.exact || number.exponent > 0 || number.len > r->limits.number_bytes ||
        !line_behind_value(r, end))
        return false;
    r->p = end;
    row_put_number(d, column, &number, at);
    return true;
}

static inline bool read_field(decoder *d, line_reader *r, uint32_t index)
{
    part p;
    int32_t column = foretold(d, r, index);
    if (column >= 0 && d->plan->types[column] == COLUMN_NUMBER && !d->plan->fields[column].rule->deep &&
        read_number(d, r, (uint32_t)column))
        return true;
    if (column < 0 && !line_read_field_key(r, &p.key))
        return false;
    p.tag = false;
    p.at = r->part_at;
    if (!line_read_field_value(r, &p.value))
        return false;
    if (column >= 0)
        row_put_known(d, (uint32_t)column, &p);
    else
        row_put_part(d, &p, index);
    return true;
}

/* The tags of the row before, as a whole. */
static bool repeat_tags(decoder *d, line_reader *r)
{
    size_t len = d->tags.len;
    if (!len || (size_t)(r->end - r->p) <= len || !line_same(r->p, d->tags.at, len))
        return false;
    for (uint32_t i = 0; i < d->tags.n; i++)
        batch_builder_repeat(d->builder, d->order[i]);
    r->p += len - 1;
    r->parts = d->tags.n;
    return true;
}

/* How many parts there are, or -1: the line is broken. */
static int64_t read_tags(decoder *d, line_reader *r)
{
    const char *at = r->p;
    uint32_t n = 0;
    if (repeat_tags(d, r))
        return d->tags.n;
    while (line_open_tag(r) == LINE_GOT)
        if (!read_tag(d, r, n++))
            return -1;
    bool known = n > 0 && n <= d->plan->n_fields && !d->extra.len && d->plan->rows->flat && r->p < r->end &&
                 *r->p == ' ';
    d->tags.at = at;
    d->tags.len = known ? (size_t)(r->p - at) + 1 : 0;
    d->tags.n = n;
    return n;
}

static bool read_parts(decoder *d, line_reader *r)
{
    line_step step;
    int64_t index = read_tags(d, r);
    if (index < 0)
        return false;
    while ((step = line_open_field(r)) == LINE_GOT)
        if (!read_field(d, r, (uint32_t)index++))
            return false;
    return step == LINE_NONE;
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
    if (d->failed)
        d->tags.len = 0;
}

/* ---- a body for one store ---- */

static void refuse_measurement(decoder *d, line_reader *r, const char *code, const char *detail)
{
    row_begin(d, r->line);
    row_fail(d, code, "", r->line, detail);
    line_reader_skip(r);
    row_end(d, r->line_end);
}

static void decode_line_limits(const decode_plan *p, line_limits *out)
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
        if (d->n_input == d->rows_max)
            return status_set(st, STATUS_LIMIT, "body: more than %u rows", d->rows_max);
        bool same = line_takes_measurement(r, d->measurement, plain ? wanted : 0);
        if (!same && !line_reader_measurement(r, &name))
            refuse_measurement(d, r, r->code, r->detail);
        else if (!same && d->measurement &&
                 (name.len != wanted || memcmp(name.data, d->measurement, wanted) != 0))
            refuse_measurement(d, r, "unknown_store",
                               "the measurement is not the store that the rows are for");
        else
            decode_line(d, r);
    }
    return STATUS_OK;
}
