/* A scanner that sees only quotes, brackets, commas and newlines. */
#include "chunk.h"

#include <string.h>

#define READ_BYTES 65536

void chunk_reader_start(chunk_reader *c, FILE *from, chunk_format format)
{
    *c = (chunk_reader){.from = from, .format = format, .target = CHUNK_BYTES};
}

void chunk_reader_release(chunk_reader *c)
{
    text_free(&c->pending);
    text_free(&c->header);
}

static void scan_csv(chunk_reader *c, char byte, size_t end)
{
    if (byte == '"')
        c->quoted = !c->quoted; /* a doubled quote flips twice */
    if (byte != '\n' || c->quoted)
        return;
    if (!c->header_known) {
        text_add_n(&c->header, c->pending.data, end);
        c->header_known = true;
    }
    c->cut = end;
}

static void json_close(chunk_reader *c, char byte, size_t end)
{
    if (c->depth > 0)
        c->depth--;
    if (c->depth == 0 && c->array && byte == ']') {
        c->array_ended = true;
        c->cut = end - 1;
    }
}

static void scan_json(chunk_reader *c, char byte, size_t end)
{
    if (c->quoted) {
        if (c->escaped)
            c->escaped = false;
        else if (byte == '\\')
            c->escaped = true;
        else if (byte == '"')
            c->quoted = false;
        return;
    }
    if (!c->started && !strchr(" \t\r\n", byte)) {
        c->started = true;
        c->array = byte == '[';
    }
    if (byte == '"')
        c->quoted = true;
    else if (byte == '[' || byte == '{')
        c->depth++;
    else if (byte == ']' || byte == '}')
        json_close(c, byte, end);
    else if (byte == ',' && c->array && c->depth == 1)
        c->cut = end - 1;
}

enum { LINE_START, LINE_TAGS, LINE_FIELDS, LINE_COMMENT }; /* `depth` in line protocol */

/* A quote opens a string only behind the `=` of a field; fields come behind the first blank. */
static void scan_lines(chunk_reader *c, char byte, size_t end)
{
    bool escaped = c->escaped;
    c->escaped = byte == '\\' && !escaped;
    if (c->quoted) {
        c->quoted = byte != '"' || escaped;
    } else if (byte == '\n') {
        c->cut = end;
        c->depth = LINE_START;
    } else if (c->depth == LINE_START && byte != ' ') {
        c->depth = byte == '#' ? LINE_COMMENT : LINE_TAGS;
    } else if (c->depth == LINE_TAGS && byte == ' ' && !escaped) {
        c->depth = LINE_FIELDS;
    } else if (c->depth == LINE_FIELDS && byte == '"') {
        c->quoted =
            c->pending.data[end - 2] == '='; /* never the first byte: the piece holds the whole line */
    }
}

/* Moves on to the next record end that lies beyond the target, or to the end of what was read. */
static void scan(chunk_reader *c)
{
    while (c->scanned < c->pending.len && !c->array_ended && !(c->cut > 0 && c->scanned >= c->target)) {
        char byte = c->pending.data[c->scanned++];
        if (c->format == CHUNK_JSON)
            scan_json(c, byte, c->scanned);
        else if (c->format == CHUNK_CSV)
            scan_csv(c, byte, c->scanned);
        else if (c->format == CHUNK_LINES)
            scan_lines(c, byte, c->scanned);
        else if (byte == '\n')
            c->cut = c->scanned;
    }
}

static void fill(chunk_reader *c)
{
    text_reserve(&c->pending, READ_BYTES + 1);
    size_t n = fread(c->pending.data + c->pending.len, 1, READ_BYTES, c->from);
    c->pending.len += n;
    c->pending.data[c->pending.len] = '\0';
    c->bytes += n;
    c->ended = n == 0;
}

static void drop_front(chunk_reader *c, size_t n)
{
    memmove(c->pending.data, c->pending.data + n, c->pending.len - n + 1);
    c->pending.len -= n;
    c->scanned -= n < c->scanned ? n : c->scanned;
    c->cut = 0;
}

/* The elements [0, cut) as an array; the first piece still begins with its own '['. */
static void emit_elements(chunk_reader *c, bool first, text *out)
{
    text_add(out, first ? "" : "[");
    text_add_n(out, c->pending.data, c->cut);
    text_add_char(out, ']');
    c->closed = c->array_ended;
    drop_front(c, c->cut + 1); /* with the comma or the closing bracket */
}

static void emit(chunk_reader *c, bool first, text *out)
{
    bool whole = c->array_ended || !c->ended;
    if (c->format == CHUNK_JSON && c->array && whole) {
        emit_elements(c, first, out);
        return;
    }
    if (c->format == CHUNK_JSON && c->array && !first)
        text_add_char(out, '['); /* a list that is never closed: the server says so */
    if (c->format == CHUNK_CSV && !first)
        text_add_n(out, c->header.data, c->header.len);
    size_t cut = c->ended ? c->pending.len : c->cut;
    text_add_n(out, c->pending.data, cut);
    drop_front(c, cut);
}

static bool only_blank(const text *t)
{
    return t->len == 0 || strspn(t->data, " \t\r\n") == t->len;
}

/* After the closing bracket nothing but blanks may come. */
static status_class rest_check(chunk_reader *c, status *st)
{
    while (!c->ended && only_blank(&c->pending)) {
        text_clear(&c->pending);
        fill(c);
    }
    return only_blank(&c->pending)
               ? STATUS_OK
               : status_set(st, STATUS_INVALID, "there is text after the end of the list");
}

/* Reads on until a piece is complete. */
static status_class gather(chunk_reader *c, status *st)
{
    for (;;) {
        scan(c);
        if (c->ended || c->array_ended || (c->cut > 0 && c->scanned >= c->target))
            return STATUS_OK;
        if (c->cut == 0 && c->pending.len > CHUNK_RECORD_MAX) {
            status_set(st, STATUS_LIMIT, "a record is longer than %u MiB", CHUNK_RECORD_MAX >> 20);
            return status_hint(st, "is --format right?");
        }
        fill(c);
    }
}

status_class chunk_next(chunk_reader *c, text *out, bool *more_out, status *st)
{
    bool first = !c->begun;
    text_clear(out);
    *more_out = false;
    if (c->closed)
        return rest_check(c, st);
    if (gather(c, st) != STATUS_OK)
        return st->class;
    if (c->ended && only_blank(&c->pending))
        return STATUS_OK;
    *more_out = c->begun = true;
    emit(c, first, out);
    return STATUS_OK;
}
