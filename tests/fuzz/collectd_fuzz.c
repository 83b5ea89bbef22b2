/* A body in both of collectd's formats, into a store of just these columns, one that keeps everything, and
 * one whose schema sees the whole row. Whatever the bytes, every value list is rows or a reject, and what is
 * stored is text that PostgreSQL takes. */
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
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
    "\"t\":{\"type\":\"string\",\"format\":\"date-time\"},\"host\":{\"type\":\"string\"},\"plugin\":{},"
    "\"plugin_instance\":{\"type\":[\"object\",\"array\"]},\"type\":{\"type\":\"string\",\"maxLength\":9},"
    "\"type_instance\":{\"type\":\"string\"},\"ds\":{\"type\":\"string\"},"
    "\"value\":{\"type\":[\"integer\",\"null\"]},\"interval\":{\"type\":\"number\"}}}",
    "{\"type\":\"object\",\"properties\":{\"value\":{\"type\":\"number\"}}}",
    "{\"type\":\"object\",\"properties\":{\"value\":{\"type\":\"number\",\"not\":{\"const\":13}}},"
    "\"maxProperties\":9}",
};
#define PLANS 3

static decode_plan *plans[PLANS];
static decoder *the_decoder;

static void make_plans(void)
{
    status st;
    for (int i = 0; i < PLANS; i++) {
        json_t *document = document_parse(schemas[i], strlen(schemas[i]), &st);
        row_plan *rows = row_plan_make(schema_compile(document, NULL, &st), &st);
        decode_options o = {.past_us = DECODE_ANY,
                            .future_us = DECODE_ANY,
                            .time_column = i ? NULL : "t",
                            .limits = {.row_bytes = 1000, .text_bytes = 200, .rows = 1000}};
        plans[i] = decode_plan_create(rows, &o, &st);
        if (!plans[i])
            abort();
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
            if (c->type == COLUMN_JSON && !column_is_null(c, row)) {
                json_t *value = json_loadb(c->data + c->offsets[row], len,
                                           JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
                assert(value);
                json_decref(value);
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_result r;
    status st;
    if (!the_decoder)
        make_plans();
    for (int i = 0; i < PLANS * 2; i++) {
        decode_context context = {.format = i < PLANS ? DECODE_COLLECTD : DECODE_PUTVAL};
        if (decode_body(the_decoder, plans[i % PLANS], &context, (const char *)data, size, &r, &st) !=
            STATUS_OK)
            continue;
        assert(r.n_input == r.rows.n_rows + r.n_rejects);
        check_texts(&r.rows);
        for (size_t k = 0; k < r.n_rejects; k++)
            assert(r.rejects[k].length > 0 && r.rejects[k].offset + r.rejects[k].length <= size &&
                   r.rejects[k].line >= 1 && r.rejects[k].column >= 1);
    }
    return 0;
}
