#include "decode_kit.h"

#include <jansson.h>
#include <string.h>

#include "schema/compile.h"
#include "schema/document.h"

row_plan *kit_rows(const char *schema_text)
{
    status st;
    char *text = strdup(schema_text);
    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    json_t *document = document_parse(text, strlen(text), &st);
    schema *compiled = document ? schema_compile(document, NULL, &st) : NULL;
    row_plan *rows = compiled ? row_plan_make(compiled, &st) : NULL;
    if (!rows)
        fail_msg("%s", st.text);
    json_decref(document);
    free(text);
    return rows;
}

kit kit_open(const char *schema_text, decode_options options)
{
    kit k = {.rows = kit_rows(schema_text), .d = decoder_create(), .context = {.now_us = NOW}};
    if (!options.past_us)
        options.past_us = options.future_us = DECODE_ANY;
    k.plan = decode_plan_create(k.rows, &options, &k.st);
    if (!k.plan)
        fail_msg("%s", k.st.text);
    return k;
}

void kit_close(kit *k)
{
    free(k->body);
    decoder_free(k->d);
    decode_plan_free(k->plan);
    row_plan_free(k->rows);
}

void run_n(kit *k, const char *body, size_t len)
{
    free(k->body);
    k->body = memcpy(malloc(len ? len : 1), body, len);
    k->class = decode_body(k->d, k->plan, &k->context, k->body, len, &k->r, &k->st);
}

void run(kit *k, const char *body)
{
    run_n(k, body, strlen(body));
}

void expect(const kit *k, uint32_t rows, size_t rejects)
{
    if (k->class != STATUS_OK)
        fail_msg("%s at %s", k->st.text, k->st.where);
    if (k->r.rows.n_rows != rows || k->r.n_rejects != rejects)
        fail_msg("%u rows, %zu rejects, the first: %s", k->r.rows.n_rows, k->r.n_rejects,
                 k->r.n_rejects ? k->r.rejects[0].detail : "");
    assert_int_equal(k->r.n_input, rows + rejects);
}

void expect_text(const kit *k, uint32_t col, uint32_t row, const char *want)
{
    const column *c = &k->r.rows.columns[col];
    assert_false(column_is_null(c, row));
    size_t len = (size_t)(c->offsets[row + 1] - c->offsets[row]);
    if (len != strlen(want) || memcmp(c->data + c->offsets[row], want, len) != 0)
        fail_msg("'%.*s' instead of '%s'", (int)len, c->data + c->offsets[row], want);
}

int64_t int_at(const kit *k, uint32_t col, uint32_t row)
{
    assert_false(column_is_null(&k->r.rows.columns[col], row));
    return ((const int64_t *)k->r.rows.columns[col].values)[row];
}

double number_at(const kit *k, uint32_t col, uint32_t row)
{
    assert_false(column_is_null(&k->r.rows.columns[col], row));
    return ((const double *)k->r.rows.columns[col].values)[row];
}

bool null_at(const kit *k, uint32_t col, uint32_t row)
{
    return column_is_null(&k->r.rows.columns[col], row);
}

kit lines_open(const char *schema_text, const char *time_column, decode_limits limits)
{
    return kit_open(schema_text,
                    (decode_options){.format = DECODE_LINES, .time_column = time_column, .limits = limits});
}

void expect_reject(const kit *k, size_t i, const char *code, const char *pointer, uint64_t line,
                   uint32_t column)
{
    assert_true(i < k->r.n_rejects);
    const decode_reject *r = &k->r.rejects[i];
    if (strcmp(r->code, code) != 0 || strcmp(r->pointer, pointer) != 0 || r->line != line ||
        r->column != column)
        fail_msg("%s at `%s` %llu:%u (%s) instead of %s at `%s` %llu:%u", r->code, r->pointer,
                 (unsigned long long)r->line, r->column, r->detail, code, pointer, (unsigned long long)line,
                 column);
}
