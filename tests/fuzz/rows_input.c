#include "rows_input.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "schema/compile.h"
#include "schema/document.h"

const char rows_typed[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"a\"],\"properties\":{"
    "\"t\":{\"type\":\"string\",\"format\":\"date-time\"},\"a\":{\"type\":\"integer\"},\"b\":{\"type\":"
    "\"number\"},\"c\":{\"type\":\"string\",\"maxLength\":9},\"d\":{\"type\":\"boolean\"},\"e\":{\"type\":"
    "\"object\"},\"f\":{},\"g\":{\"type\":\"string\",\"format\":\"uuid\"},\"h\":{\"type\":\"string\","
    "\"format\":\"date\"}}}";
const char rows_open[] = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":[\"integer\",\"null\"]}}}";
const char rows_whole[] =
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"items\":{\"type\":"
    "\"integer\"}}},\"maxProperties\":3}";

static void make_plan(rows_store *s)
{
    status st;
    json_t *document = document_parse(s->schema, strlen(s->schema), &st);
    row_plan *rows = row_plan_make(schema_compile(document, NULL, &st), &st);
    s->options.past_us = s->options.future_us = DECODE_ANY;
    s->plan = decode_plan_create(rows, &s->options, &st);
    if (!s->plan)
        abort();
    json_decref(document);
}

static void check_document(const char *text, size_t len)
{
    json_t *value = json_loadb(text, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
    assert(value);
    json_decref(value);
}

static void check_texts(const batch *b, int documents)
{
    for (uint32_t i = 0; i < b->n_columns; i++) {
        const column *c = &b->columns[i];
        for (uint32_t row = 0; row < b->n_rows && c->offsets; row++) {
            const char *text = c->data + c->offsets[row];
            size_t len = (size_t)(c->offsets[row + 1] - c->offsets[row]);
            assert(c->offsets[row] <= c->offsets[row + 1]);
            assert(utf8_valid(text, len));
            assert(!memchr(text, '\0', len));
            if (documents && c->type == COLUMN_JSON && !column_is_null(c, row))
                check_document(text, len);
        }
    }
}

void rows_input(rows_store *stores, size_t n, const decode_context *context, int columns, const uint8_t *data,
                size_t size)
{
    static decoder *the_decoder;
    decode_result r;
    status st;
    if (!the_decoder)
        the_decoder = decoder_create();
    for (size_t i = 0; i < n; i++) {
        if (!stores[i].plan)
            make_plan(&stores[i]);
        if (decode_body(the_decoder, stores[i].plan, context, (const char *)data, size, &r, &st) != STATUS_OK)
            continue;
        assert(r.n_input == r.rows.n_rows + r.n_rejects);
        check_texts(&r.rows, columns);
        for (size_t k = 0; k < r.n_rejects; k++) {
            const decode_reject *reject = &r.rejects[k];
            assert(reject->offset + reject->length <= size && reject->line >= 1);
            assert(!columns || (reject->length > 0 && reject->column >= 1));
        }
    }
}
