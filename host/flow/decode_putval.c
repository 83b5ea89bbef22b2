/* collectd's commands, as write_http sends them with `Format "Command"`: one a line,
 *   PUTVAL host/plugin-instance/type-instance interval=10.000 1280959128.123:1:2
 * Several values of a list have no names here: `ds` is then 0, 1, …, and `value` of a single one. A time of N
 * is now, a value of U or nan is not known. A line that breaks the rules costs itself. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "flow/collectd_row.h"

typedef struct command {
    decoder *d;
    const char *p, *end; /* of the line */
    const char *fault, *fault_at;
    char numbers[COLLECTD_VALUES_MAX][4];
    collectd_list list;
} command;

/* Words in quotes are copies: their faults lie at the command. */
static const char *place(const command *c, const char *at)
{
    return at >= c->d->body && at <= c->d->body_end ? at : c->list.at;
}

static bool fail_command(command *c, const char *at, const char *fault)
{
    if (!c->fault) {
        c->fault = fault;
        c->fault_at = place(c, at);
    }
    return false;
}

/* ---- words ---- */

static void skip_blanks(command *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
        c->p++;
}

static bool read_quoted(command *c, line_text *out)
{
    const char *at = c->p++;
    char *to = arena_alloc(c->d->details, (size_t)(c->end - at)), *from = to;
    while (c->p < c->end && *c->p != '"') {
        if (*c->p == '\\' && c->p + 1 < c->end)
            c->p++;
        *to++ = *c->p++;
    }
    if (c->p == c->end)
        return fail_command(c, at, "the quote is not closed");
    c->p++;
    *out = (line_text){from, (size_t)(to - from)};
    return true;
}

static bool read_word(command *c, line_text *out)
{
    const char *at = c->p;
    if (c->p < c->end && *c->p == '"')
        return read_quoted(c, out);
    while (c->p < c->end && *c->p != ' ' && *c->p != '\t')
        c->p++;
    *out = (line_text){at, (size_t)(c->p - at)};
    return out->len > 0 || fail_command(c, at, "the command ends here");
}

/* ---- the name ---- */

static line_text cut(line_text *rest, char at)
{
    const char *found = memchr(rest->data, at, rest->len);
    line_text head = {rest->data, found ? (size_t)(found - rest->data) : rest->len};
    size_t taken = head.len + (found != NULL);
    *rest = (line_text){rest->data + taken, rest->len - taken};
    return head;
}

static bool read_names(command *c)
{
    const char *at = c->p;
    line_text rest, *names = c->list.names;
    if (!read_word(c, &rest))
        return false;
    names[COLLECTD_HOST] = cut(&rest, '/');
    names[COLLECTD_PLUGIN_INSTANCE] = cut(&rest, '/');
    names[COLLECTD_PLUGIN] = cut(&names[COLLECTD_PLUGIN_INSTANCE], '-');
    names[COLLECTD_TYPE_INSTANCE] = rest;
    names[COLLECTD_TYPE] = cut(&names[COLLECTD_TYPE_INSTANCE], '-');
    return (names[COLLECTD_HOST].len && names[COLLECTD_PLUGIN].len && names[COLLECTD_TYPE].len) ||
           fail_command(c, at, "an identifier is host/plugin-instance/type-instance");
}

/* ---- options and values ---- */

static bool is_word(const char *s, size_t len, const char *word)
{
    return strlen(word) == len && strncasecmp(s, word, len) == 0;
}

static bool read_number(command *c, const char *s, size_t len, number_text *out)
{
    if (len <= c->d->plan->options.limits.number_bytes && decimal_read(s, s + len, out) == s + len)
        return true;
    return fail_command(c, s, "a number was expected here");
}

/* name=value with a letter in front; only the interval says anything to us. */
static bool read_option(command *c, bool *was_one)
{
    const char *at = c->p;
    size_t name = 0;
    while (at + name < c->end && ((at[name] | 0x20) >= 'a') && ((at[name] | 0x20) <= 'z'))
        name++;
    *was_one = name > 0 && at + name < c->end && at[name] == '=';
    if (!*was_one)
        return true;
    line_text value;
    c->p += name + 1;
    if (!read_word(c, &value))
        return false;
    if (!is_word(at, name, "interval"))
        return true;
    c->list.has_interval = true;
    return read_number(c, value.data, value.len, &c->list.interval);
}

static bool read_time(command *c, const line_text *s)
{
    c->list.timed = !(s->len == 1 && *s->data == 'N');
    return !c->list.timed || read_number(c, s->data, s->len, &c->list.time);
}

static bool read_value(command *c, const line_text *s)
{
    if (c->list.n == COLLECTD_VALUES_MAX)
        return fail_command(c, s->data, "more values than a list may have");
    collectd_value *v = &c->list.values[c->list.n];
    const char *bare = s->data + (s->len && *s->data == '-');
    size_t len = s->len - (size_t)(bare - s->data);
    int n = snprintf(c->numbers[c->list.n], sizeof c->numbers[0], "%u", c->list.n % COLLECTD_VALUES_MAX);
    v->ds = (line_text){c->numbers[c->list.n++], (size_t)n};
    v->at = place(c, s->data);
    v->dstype = (line_text){"", 0};
    v->known = !is_word(bare, len, "nan") && !is_word(s->data, s->len, "u");
    return !v->known || read_number(c, s->data, s->len, &v->number);
}

static bool read_values(command *c)
{
    line_text word, piece;
    c->list.n = 0;
    if (!read_word(c, &word))
        return false;
    piece = cut(&word, ':');
    if (!read_time(c, &piece) || word.len == 0)
        return fail_command(c, piece.data, "values are time:value");
    while (word.len > 0) {
        bool more = word.data[word.len - 1] == ':' && memchr(word.data, ':', word.len - 1) == NULL;
        piece = cut(&word, ':');
        if (!read_value(c, &piece) || (more && word.len == 0))
            return fail_command(c, piece.data, "a value is missing behind the colon");
    }
    if (c->list.n == 1)
        c->list.values[0].ds = (line_text){"value", 5};
    return true;
}

/* ---- lines ---- */

static status_class put_list(command *c, status *st)
{
    decoder *d = c->d;
    if (d->n_input + (c->fault ? 1 : c->list.n) > d->rows_max)
        return status_set(st, STATUS_LIMIT, "body: more than %u rows", d->rows_max);
    if (c->fault)
        collectd_refuse(d, c->list.at, c->list.end, "putval", c->fault_at, c->fault);
    else
        collectd_put(d, &c->list);
    return STATUS_OK;
}

static void check_line(command *c)
{
    size_t len = (size_t)(c->end - c->p);
    if (len > c->d->plan->options.limits.row_bytes)
        fail_command(c, c->p, "the row is longer than the limit");
    else if (!utf8_valid(c->p, len) || memchr(c->p, '\0', len))
        fail_command(c, c->p, "not UTF-8, or U+0000 in it");
}

static status_class read_line(command *c, status *st)
{
    bool option = true;
    line_text word;
    const char *at = c->p;
    check_line(c);
    if (!c->fault && read_word(c, &word) && !is_word(word.data, word.len, "PUTVAL"))
        fail_command(c, at, "only PUTVAL is taken");
    skip_blanks(c);
    if (!c->fault)
        read_names(c);
    while (!c->fault && option) {
        skip_blanks(c);
        read_option(c, &option);
    }
    do {
        if (!c->fault)
            read_values(c);
        status_class class = put_list(c, st);
        if (class != STATUS_OK)
            return class;
        skip_blanks(c);
    } while (!c->fault && c->p < c->end);
    return STATUS_OK;
}

status_class decode_putval(decoder *d, status *st)
{
    command *c = arena_zero(d->details, 1, sizeof *c);
    status_class class = STATUS_OK;
    c->d = d;
    for (const char *p = d->body; p < d->body_end && class == STATUS_OK;) {
        const char *newline = memchr(p, '\n', (size_t)(d->body_end - p)),
                   *end = newline ? newline : d->body_end;
        c->p = p;
        c->end = end > p && end[-1] == '\r' ? end - 1 : end;
        c->fault = NULL;
        c->list.has_interval = false;
        skip_blanks(c);
        c->list.at = c->p;
        c->list.end = c->end;
        if (c->p < c->end)
            class = read_line(c, st);
        p = end + 1;
    }
    return class;
}
