/* A body as NDJSON and as one document, through three stores: strict columns, kept additional members, rules
 * that need a tree. Beside memory safety: the counts add up, places lie inside the body, text columns are
 * UTF-8. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "flow/decode.h"
#include "schema/compile.h"
#include "schema/document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const schemas[] = {
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"a\"],\"properties\":{"
    "\"t\":{\"type\":\"string\",\"format\":\"date-time\"},\"a\":{\"type\":\"integer\"},\"b\":{\"type\":"
    "\"number\"},"
    "\"c\":{\"type\":\"string\",\"maxLength\":9},\"d\":{\"type\":\"boolean\"},\"e\":{\"type\":\"object\"},"
    "\"f\":{},"
    "\"g\":{\"type\":\"string\",\"format\":\"uuid\"},\"h\":{\"type\":\"string\",\"format\":\"date\"}}}",
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":[\"integer\",\"null\"]}}}",
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}},"
    "\"maxProperties\":3}",
};
#define PLANS 6

static decode_plan *plans[PLANS];
static decoder *the_decoder;

static void make_plans(void)
{
    status st;
    for (int i = 0; i < PLANS; i++) {
        json_t *document = document_parse(schemas[i / 2], strlen(schemas[i / 2]), &st);
        row_plan *rows = row_plan_make(schema_compile(document, NULL, &st), &st);
        decode_options o = {.format = i % 2 ? DECODE_JSON : DECODE_NDJSON,
                            .time_column = i < 2 ? "t" : NULL,
                            .past_us = DECODE_ANY,
                            .future_us = DECODE_ANY,
                            .limits = {.depth = 8, .members = 50, .rows = 1000}};
        plans[i] = decode_plan_create(rows, &o, &st);
        assert(plans[i]);
        json_decref(document);
    }
    the_decoder = decoder_create();
}

static void check_texts(const batch *b)
{
    for (uint32_t i = 0; i < b->n_columns; i++) {
        const column *c = &b->columns[i];
        for (uint32_t row = 0; row < b->n_rows && c->offsets; row++) {
            size_t len = (size_t)(c->offsets[row + 1] - c->offsets[row]);
            assert(c->offsets[row] <= c->offsets[row + 1]);
            assert(utf8_valid(c->data + c->offsets[row], len));
            assert(!memchr(c->data + c->offsets[row], '\0', len));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_context context = {0};
    decode_result r;
    status st;
    if (!the_decoder)
        make_plans();
    for (int i = 0; i < PLANS; i++) {
        if (decode_body(the_decoder, plans[i], &context, (const char *)data, size, &r, &st) != STATUS_OK)
            continue;
        assert(r.n_input == r.rows.n_rows + r.n_rejects);
        check_texts(&r.rows);
        for (size_t k = 0; k < r.n_rejects; k++)
            assert(r.rejects[k].offset + r.rejects[k].length <= size && r.rejects[k].line >= 1);
    }
    return 0;
}
