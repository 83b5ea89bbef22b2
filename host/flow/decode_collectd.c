/* What collectd's write_http sends as JSON: an array of value lists. Text that is broken as JSON is refused
 * as a whole, like any JSON array; a list that is none (a notification, a member of another type, values
 * without their names) is one rejected row. Members that collectd may add are passed over. */
#include <stdio.h>
#include <string.h>

#include "flow/collectd_row.h"

/* Behind the texts of collectd_name. */
enum {
    MEMBER_TIME = COLLECTD_NAMES,
    MEMBER_INTERVAL,
    MEMBER_VALUES,
    MEMBER_DSNAMES,
    MEMBER_DSTYPES,
    MEMBERS
};

typedef struct list_reader {
    decoder *d;
    collectd_list list;
    uint32_t n_ds, n_types;
    unsigned seen; /* bits of the members */
    const char *fault, *fault_at;
} list_reader;

static void fail_list(list_reader *l, const char *at, const char *fault)
{
    if (l->fault)
        return;
    l->fault = fault;
    l->fault_at = at;
}

/* ---- values; false = the text is broken ---- */

static bool skip_wrong(list_reader *l, const char *fault)
{
    fail_list(l, l->d->reader.p, fault);
    return json_reader_value(&l->d->reader, 1, NULL);
}

static bool read_text(list_reader *l, line_text *out)
{
    json_reader *r = &l->d->reader;
    const char *at = r->p;
    json_text s;
    if (r->p == r->end || *r->p != '"')
        return skip_wrong(l, "a text was expected here");
    if (!json_reader_string(r, &s))
        return false;
    if (s.has_nul)
        fail_list(l, at, "U+0000 cannot be stored");
    bool in_body = s.data >= l->d->body && s.data < l->d->body_end;
    *out = (line_text){in_body ? s.data : arena_string_n(l->d->details, s.data, s.len), s.len};
    return true;
}

static bool is_number(const json_reader *r)
{
    return r->p < r->end && (*r->p == '-' || (unsigned)(*r->p - '0') <= 9);
}

static bool read_number(list_reader *l, number_text *out, bool *got)
{
    if (!is_number(&l->d->reader))
        return skip_wrong(l, "a number was expected here");
    *got = true;
    return json_reader_number(&l->d->reader, out);
}

static bool read_value(list_reader *l, uint32_t i)
{
    json_reader *r = &l->d->reader;
    collectd_value *v = &l->list.values[i];
    v->at = r->p;
    v->known = true;
    if (r->p < r->end && *r->p == 'n') { /* NaN */
        v->known = false;
        return json_reader_literal(r, "null", 4);
    }
    return read_number(l, &v->number, &v->known);
}

static bool read_item(list_reader *l, int member, uint32_t i)
{
    if (member == MEMBER_VALUES)
        return read_value(l, i);
    return read_text(l, member == MEMBER_DSNAMES ? &l->list.values[i].ds : &l->list.values[i].dstype);
}

static bool read_list(list_reader *l, int member, uint32_t *n_out)
{
    json_reader *r = &l->d->reader;
    if (r->p == r->end || *r->p != '[')
        return skip_wrong(l, "a list was expected here");
    r->p++;
    json_reader_space(r);
    if (r->p < r->end && *r->p == ']') {
        r->p++;
        return true;
    }
    for (*n_out = 0;;) {
        json_reader_space(r);
        if (*n_out == COLLECTD_VALUES_MAX) {
            fail_list(l, r->p, "more values than a list may have");
            --*n_out;
        }
        if (!read_item(l, member, (*n_out)++))
            return false;
        json_reader_space(r);
        if (r->p < r->end && *r->p == ']') {
            r->p++;
            return true;
        }
        if (!json_reader_take(r, ','))
            return false;
    }
}

/* ---- members ---- */

static int member_of(const json_text *name)
{
    static const char *const others[] = {"time", "interval", "values", "dsnames", "dstypes"};
    for (int i = 0; i < MEMBERS; i++) {
        const char *word = i < COLLECTD_NAMES ? collectd_names[i] : others[i - COLLECTD_NAMES];
        if (strlen(word) == name->len && memcmp(word, name->data, name->len) == 0)
            return i;
    }
    return MEMBERS;
}

static bool read_member_value(list_reader *l, int member)
{
    switch (member) {
    case MEMBER_TIME:
        return read_number(l, &l->list.time, &l->list.timed);
    case MEMBER_INTERVAL:
        return read_number(l, &l->list.interval, &l->list.has_interval);
    case MEMBER_VALUES:
        return read_list(l, member, &l->list.n);
    case MEMBER_DSNAMES:
        return read_list(l, member, &l->n_ds);
    case MEMBER_DSTYPES:
        return read_list(l, member, &l->n_types);
    case MEMBERS:
        return json_reader_value(&l->d->reader, 1, NULL);
    default:
        return read_text(l, &l->list.names[member]);
    }
}

static bool read_member(list_reader *l)
{
    json_reader *r = &l->d->reader;
    const char *at = r->p;
    json_text name;
    if (r->p == r->end || *r->p != '"')
        return json_reader_fail(r, JSON_SYNTAX, r->p);
    if (!json_reader_string(r, &name))
        return false;
    if (++r->members > r->members_max)
        return json_reader_fail(r, JSON_MEMBERS, at);
    int member = member_of(&name);
    if (member < MEMBERS && (l->seen & (1U << member)))
        fail_list(l, at, "a member stands twice in one object");
    l->seen |= 1U << member;
    if (!json_reader_take(r, ':'))
        return false;
    json_reader_space(r);
    return read_member_value(l, member);
}

static bool read_object(list_reader *l)
{
    json_reader *r = &l->d->reader;
    r->p++;
    json_reader_space(r);
    if (r->p < r->end && *r->p == '}') {
        r->p++;
        return true;
    }
    for (;;) {
        json_reader_space(r);
        if (!read_member(l))
            return false;
        json_reader_space(r);
        if (r->p < r->end && *r->p == '}') {
            r->p++;
            return true;
        }
        if (!json_reader_take(r, ','))
            return false;
    }
}

/* ---- lists ---- */

static void check_list(list_reader *l)
{
    const unsigned needed = 1U << COLLECTD_HOST | 1U << COLLECTD_PLUGIN | 1U << COLLECTD_TYPE |
                            1U << MEMBER_TIME | 1U << MEMBER_VALUES | 1U << MEMBER_DSNAMES;
    const collectd_list *list = &l->list;
    if ((l->seen & needed) != needed)
        fail_list(l, list->at, "no value list: it has host, plugin, type, time, values and dsnames");
    else if (list->n == 0 || list->n != l->n_ds || (l->n_types && l->n_types != list->n))
        fail_list(l, list->at, "each value needs one name in dsnames");
    else if ((size_t)(list->end - list->at) > l->d->plan->options.limits.row_bytes)
        fail_list(l, list->at, "the value list is longer than the limit");
}

static void begin_list(list_reader *l)
{
    l->fault = NULL;
    l->seen = 0;
    l->n_ds = l->n_types = l->list.n = 0;
    l->list.timed = l->list.has_interval = false;
    for (int i = 0; i < COLLECTD_NAMES; i++)
        l->list.names[i] = (line_text){"", 0};
    for (int i = 0; i < COLLECTD_VALUES_MAX && l->list.values[i].dstype.len; i++)
        l->list.values[i].dstype.len = 0;
}

/* False: the text is broken. Its place is told from the element on. */
static bool read_element(list_reader *l, status *st)
{
    decoder *d = l->d;
    json_reader *r = &d->reader;
    json_reader_space(r);
    json_reader_row(r);
    begin_list(l);
    d->row_at = l->list.at = r->p;
    bool object = r->p < r->end && *r->p == '{';
    if (!object)
        fail_list(l, r->p, "a value list is an object");
    if (object ? !read_object(l) : !json_reader_value(r, 0, NULL))
        return false;
    l->list.end = r->p;
    check_list(l);
    if (d->n_input + (l->fault ? 1 : l->list.n) > d->rows_max) {
        status_set(st, STATUS_LIMIT, "body: more than %u rows", d->rows_max);
        return false;
    }
    if (l->fault)
        collectd_refuse(d, l->list.at, l->list.end, "collectd", l->fault_at, l->fault);
    else
        collectd_put(d, &l->list);
    return true;
}

static status_class read_elements(list_reader *l, status *st)
{
    json_reader *r = &l->d->reader;
    json_reader_space(r);
    if (r->p < r->end && *r->p == ']') {
        r->p++;
        return STATUS_OK;
    }
    for (;;) {
        st->class = STATUS_OK;
        if (!read_element(l, st))
            return st->class ? st->class : decode_json_broken(l->d, st);
        json_reader_space(r);
        if (r->p < r->end && *r->p == ']') {
            r->p++;
            return STATUS_OK;
        }
        if (!json_reader_take(r, ','))
            return decode_json_broken(l->d, st);
    }
}

status_class decode_collectd(decoder *d, status *st)
{
    json_reader *r = &d->reader;
    list_reader *l = arena_zero(d->details, 1, sizeof *l);
    l->d = d;
    json_reader_text(r, d->body, d->body_end, d->body_end);
    json_reader_space(r);
    if (r->p == r->end || *r->p != '[') {
        json_reader_fail(r, JSON_SYNTAX, r->p);
        return decode_json_broken(d, st);
    }
    r->p++;
    status_class class = read_elements(l, st);
    json_reader_space(r);
    if (class != STATUS_OK || r->p == r->end)
        return class;
    json_reader_fail(r, JSON_SYNTAX, r->p);
    return decode_json_broken(d, st);
}
