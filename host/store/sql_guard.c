/* Scan, rewrite, parse, check, deparse. Everything runs on a thread of its own with a large stack: the
 * parser, unpacking and packing of trees recurse as deep as the text nests, and the caller's stack may be
 * small. The rewritten text keeps a list of places, so an error in it is told by the line and column of the
 * author's text. */
#include "store/sql_guard.h"

#include <assert.h>
#include <pg_query.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/name.h"
#include "base/text.h"
#include "store/sql_latest.h"
#include "store/sql_tree.h"

#define STACK_BYTES (64u << 20) /* address space; only what is used is ever touched */

/* What stands at `at` in the rewritten text came from `from` in the author's. */
typedef struct place {
    size_t at, from;
} place;

typedef struct guard {
    arena *memory;
    const char *sql; /* the author's, NUL-ended */
    size_t len;
    const sql_guard_options *options;
    const sql_statement *result;
    status *st;
    status_class ret;
    text rewritten;
    place *places;
    size_t n_places;
    const char **params;
    uint32_t n_params;
} guard;

/* ---- places ---- */

static void set_where(guard *g, size_t byte)
{
    unsigned line = 1, column_number = 1;
    for (size_t i = 0; i < byte && i < g->len; i++) {
        bool newline = g->sql[i] == '\n';
        line += newline;
        column_number = newline ? 1 : column_number + ((g->sql[i] & 0xC0) != 0x80);
    }
    snprintf(g->st->where, sizeof g->st->where, "%u:%u", line, column_number);
}

static size_t original(const guard *g, size_t at)
{
    const place *best = NULL;
    for (size_t i = 0; i < g->n_places && g->places[i].at <= at; i++)
        best = &g->places[i];
    return best ? best->from + (at - best->at) : at;
}

/* libpg_query counts characters from 1. */
static size_t byte_of_character(const char *s, int character)
{
    size_t i = 0;
    for (int n = 1; s[i] && n < character; n++)
        do
            i++;
        while ((s[i] & 0xC0) == 0x80);
    return i;
}

static status_class at_byte(guard *g, size_t byte)
{
    set_where(g, byte);
    return g->st->class;
}

static status_class parser_error(guard *g, const PgQueryError *e, bool rewritten)
{
    const char *s = rewritten ? g->rewritten.data : g->sql;
    size_t byte = e->cursorpos > 0 ? byte_of_character(s, e->cursorpos) : strlen(s);
    status_set(g->st, STATUS_INVALID, "SQL: %s", e->message);
    return at_byte(g, rewritten ? original(g, byte) : byte);
}

/* ---- memory of protobuf-c: the arena ---- */

static void *proto_alloc(void *memory, size_t size)
{
    return arena_alloc(memory, size);
}

static void proto_free(void *memory, void *data)
{
    (void)memory;
    (void)data;
}

/* ---- tokens ---- */

static bool is_word(const guard *g, const PgQuery__ScanToken *t)
{
    char c = g->sql[t->start];
    return (t->token == PG_QUERY__TOKEN__IDENT && c != '"') ||
           (t->keyword_kind != PG_QUERY__KEYWORD_KIND__NO_KEYWORD);
}

static bool touch(const PgQuery__ScanToken *a, const PgQuery__ScanToken *b)
{
    return a->end == b->start;
}

static char *word_of(const guard *g, const PgQuery__ScanToken *t)
{
    return arena_string_n(g->memory, g->sql + t->start, (size_t)(t->end - t->start));
}

static void copy_up_to(guard *g, size_t *done, size_t end)
{
    g->places[g->n_places++] = (place){g->rewritten.len, *done};
    text_add_n(&g->rewritten, g->sql + *done, end - *done);
    *done = end;
}

static void replace(guard *g, size_t *done, const PgQuery__ScanToken *first, const PgQuery__ScanToken *last,
                    const char *by)
{
    copy_up_to(g, done, (size_t)first->start);
    g->places[g->n_places++] = (place){g->rewritten.len, *done};
    text_add(&g->rewritten, by);
    *done = (size_t)last->end;
}

/* `datastore:key`, written without blanks, becomes one quoted identifier. */
static status_class take_reference(guard *g, size_t *done, PgQuery__ScanToken **t, size_t left)
{
    if (left < 3 || !touch(t[1], t[2]) || !is_word(g, t[2]) || !name_is_key(word_of(g, t[2]))) {
        status_set(g->st, STATUS_INVALID, "SQL: after %s: comes a store's key", word_of(g, t[0]));
        return at_byte(g, (size_t)t[1]->end);
    }
    char *name = arena_printf(g->memory, "\"%s:%s\"", word_of(g, t[0]), word_of(g, t[2]));
    replace(g, done, t[0], t[2], name);
    return STATUS_OK;
}

static status_class number_of(guard *g, const PgQuery__ScanToken *at, const char *name, uint32_t *out)
{
    const sql_guard_options *o = g->options;
    bool declared = o->params == NULL;
    for (uint32_t i = 0; i < g->n_params; i++)
        if (strcmp(g->params[i], name) == 0) {
            *out = i + 1;
            return STATUS_OK;
        }
    for (uint32_t i = 0; i < o->n_params && !declared; i++)
        declared = strcmp(o->params[i], name) == 0;
    if (!declared) {
        status_set(g->st, STATUS_INVALID, "SQL: there is no parameter \"%s\"", name);
        const char *near = name_suggest(name, o->params, o->n_params);
        if (near)
            status_hint(g->st, "did you mean :%s?", near);
        return at_byte(g, (size_t)at->start);
    }
    if (g->n_params == SQL_GUARD_PARAMS_MAX) {
        status_set(g->st, STATUS_LIMIT, "SQL: more than %d parameters", SQL_GUARD_PARAMS_MAX);
        return at_byte(g, (size_t)at->start);
    }
    g->params[g->n_params++] = name;
    *out = g->n_params;
    return STATUS_OK;
}

/* After a value a colon is an array slice, `a[lower:upper]`. */
static bool ends_a_value(const guard *g, const PgQuery__ScanToken *t)
{
    char c = g->sql[t->end - 1];
    return is_word(g, t) || c == ')' || c == ']' || c == '"' || c == '\'' || (c >= '0' && c <= '9');
}

static status_class take_parameter(guard *g, size_t *done, PgQuery__ScanToken **t)
{
    uint32_t n = 0;
    char number[16];
    status_class ret = number_of(g, t[0], word_of(g, t[1]), &n);
    if (ret != STATUS_OK)
        return ret;
    snprintf(number, sizeof number, " $%u ", n);
    replace(g, done, t[0], t[1], number);
    return STATUS_OK;
}

static bool is_store_word(const guard *g, const PgQuery__ScanToken *t)
{
    const char *s = g->sql + t->start;
    size_t n = (size_t)(t->end - t->start);
    return (n == 9 && memcmp(s, "datastore", n) == 0) || (n == 12 && memcmp(s, "featurestore", n) == 0) ||
           (n == 14 && memcmp(s, "inferencestore", n) == 0);
}

static bool is_colon(const PgQuery__ScanToken *t)
{
    return t->token == PG_QUERY__TOKEN__ASCII_58;
}

static status_class rewrite(guard *g, PgQuery__ScanToken **tokens, size_t n)
{
    size_t done = 0;
    status_class ret = STATUS_OK;
    g->places = arena_alloc(g->memory, (2 * n + 2) * sizeof *g->places);
    g->params = arena_alloc(g->memory, SQL_GUARD_PARAMS_MAX * sizeof *g->params);
    for (size_t i = 0; i < n && ret == STATUS_OK; i++) {
        PgQuery__ScanToken **t = tokens + i;
        size_t left = n - i;
        if (t[0]->token == PG_QUERY__TOKEN__PARAM) {
            status_set(g->st, STATUS_INVALID, "SQL: parameters are written :name");
            ret = at_byte(g, (size_t)t[0]->start);
        } else if (left > 1 && is_store_word(g, t[0]) && is_colon(t[1]) && touch(t[0], t[1])) {
            ret = take_reference(g, &done, t, left);
            i += 2;
        } else if (left > 1 && is_colon(t[0]) && touch(t[0], t[1]) && is_word(g, t[1]) &&
                   (i == 0 || !touch(t[-1], t[0]) || !ends_a_value(g, t[-1]))) {
            ret = take_parameter(g, &done, t);
            i++;
        }
    }
    copy_up_to(g, &done, g->len);
    return ret;
}

static status_class scan(guard *g)
{
    PgQueryScanResult scanned = pg_query_scan(g->sql);
    ProtobufCAllocator allocator = {proto_alloc, proto_free, g->memory};
    status_class ret = STATUS_OK;
    PgQuery__ScanResult *r = NULL;
    if (scanned.error)
        ret = parser_error(g, scanned.error, false);
    else
        r = pg_query__scan_result__unpack(&allocator, scanned.pbuf.len, (const uint8_t *)scanned.pbuf.data);
    if (ret == STATUS_OK && !r)
        ret = status_set(g->st, STATUS_INTERNAL, "SQL: the scanner's answer cannot be read");
    if (r && r->n_tokens > SQL_GUARD_TOKENS_MAX) {
        status_set(g->st, STATUS_LIMIT, "SQL: more than %d words and signs", SQL_GUARD_TOKENS_MAX);
        ret = at_byte(g, (size_t)r->tokens[SQL_GUARD_TOKENS_MAX]->start);
    }
    if (ret == STATUS_OK && r)
        ret = rewrite(g, r->tokens, r->n_tokens);
    pg_query_free_scan_result(scanned);
    return ret;
}

/* ---- the tree ---- */

static status_class deparse(guard *g, PgQuery__ParseResult *tree, const char **out)
{
    size_t len = pg_query__parse_result__get_packed_size(tree);
    PgQueryProtobuf packed = {.len = len, .data = arena_alloc(g->memory, len + 1)};
    pg_query__parse_result__pack(tree, (uint8_t *)packed.data);
    PgQueryDeparseResult r = pg_query_deparse_protobuf(packed);
    status_class ret = STATUS_OK;
    if (r.error)
        ret = status_set(g->st, STATUS_INVALID, "SQL: this form is not offered here: %s", r.error->message);
    else
        *out = arena_string(g->memory, r.query);
    pg_query_free_deparse_result(r);
    return ret;
}

static status_class finish(guard *g, const sql_tree *t, PgQuery__ParseResult *tree)
{
    sql_statement *s = arena_zero(g->memory, 1, sizeof *s);
    s->columns = sql_tree_columns(g->memory, tree, &s->n_columns);
    s->params = g->params;
    s->n_params = g->n_params;
    s->references = arena_copy(g->memory, t->references, sizeof t->references);
    s->n_references = t->n_references;
    s->uses_neighbours = t->uses_neighbours;
    s->is_aggregate = t->is_aggregate;
    if (s->n_references == 1)
        sql_latest_find(g->memory, tree, s);
    status_class ret = deparse(g, tree, &s->sql);
    g->result = s;
    return ret;
}

static status_class check_tree(guard *g, const PgQueryProtobuf *packed)
{
    ProtobufCAllocator allocator = {proto_alloc, proto_free, g->memory};
    PgQuery__ParseResult *tree =
        pg_query__parse_result__unpack(&allocator, packed->len, (const uint8_t *)packed->data);
    if (!tree)
        return status_set(g->st, STATUS_INTERNAL, "SQL: the parser's answer cannot be read");
    sql_tree t = {.memory = g->memory, .options = g->options, .st = g->st, .n_params = g->n_params};
    status_class ret = sql_tree_check(&t, tree);
    if (ret != STATUS_OK)
        return at_byte(g, original(g, t.location > 0 ? (size_t)t.location : 0));
    return finish(g, &t, tree);
}

static status_class parse(guard *g)
{
    PgQueryProtobufParseResult parsed = pg_query_parse_protobuf(text_or_empty(&g->rewritten));
    status_class ret = parsed.error ? parser_error(g, parsed.error, true) : check_tree(g, &parsed.parse_tree);
    pg_query_free_protobuf_parse_result(parsed);
    return ret;
}

static void *guard_thread(void *arg)
{
    guard *g = arg;
    g->ret = scan(g);
    if (g->ret == STATUS_OK)
        g->ret = parse(g);
    text_free(&g->rewritten);
    return NULL;
}

static status_class run_on_large_stack(guard *g)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    int error = pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (!error)
        error = pthread_create(&thread, &attributes, guard_thread, g);
    pthread_attr_destroy(&attributes);
    if (error)
        return status_errno(g->st, error, "SQL: no thread to check it on");
    pthread_join(thread, NULL);
    return g->ret;
}

static const char *const *copy_texts(arena *a, const char *const *from, uint32_t n)
{
    const char **to = arena_zero(a, n + 1, sizeof *to);
    for (uint32_t i = 0; i < n; i++)
        to[i] = arena_string(a, from[i]);
    return to;
}

/* The statement alone: a tree takes a hundred times its text. */
static sql_statement *copy_statement(arena *a, const sql_statement *from)
{
    sql_statement *s = arena_copy(a, from, sizeof *from);
    sql_reference *references = arena_zero(a, from->n_references + 1, sizeof *references);
    for (uint32_t i = 0; i < from->n_references; i++) {
        references[i].store_class = arena_string(a, from->references[i].store_class);
        references[i].key = arena_string(a, from->references[i].key);
    }
    s->references = references;
    s->sql = arena_string(a, from->sql);
    s->params = copy_texts(a, from->params, from->n_params);
    s->latest_by = from->latest_by ? copy_texts(a, from->latest_by, from->n_latest_by) : NULL;
    s->latest_time = from->latest_time ? arena_string(a, from->latest_time) : NULL;
    s->columns = from->columns ? copy_texts(a, from->columns, from->n_columns) : NULL;
    return s;
}

status_class sql_guard_check(arena *a, const char *sql, size_t len, const sql_guard_options *options,
                             const sql_statement **out, status *st)
{
    *out = NULL;
    if (len > SQL_GUARD_BYTES_MAX)
        return status_set(st, STATUS_LIMIT, "SQL: longer than %d bytes", SQL_GUARD_BYTES_MAX);
    if (memchr(sql, 0, len) || !utf8_valid(sql, len))
        return status_at(st, STATUS_INVALID, "1:1", "SQL: not text (UTF-8 without U+0000)");
    arena *scratch = arena_create(0);
    guard g = {.memory = scratch,
               .sql = arena_string_n(scratch, sql, len),
               .len = len,
               .options = options,
               .st = st};
    status_class ret = run_on_large_stack(&g);
    if (ret == STATUS_OK) {
        assert(g.result);
        *out = copy_statement(a, g.result);
    }
    arena_free(scratch);
    return ret;
}

status_class sql_refs(arena *a, const char *sql, size_t len, const sql_reference **out, uint32_t *n_out,
                      status *st)
{
    const sql_statement *s;
    sql_guard_options any = {0};
    status_class ret = sql_guard_check(a, sql, len, &any, &s, st);
    *out = s ? s->references : NULL; /* no statement unless it is sound */
    *n_out = s ? s->n_references : 0;
    return ret;
}
