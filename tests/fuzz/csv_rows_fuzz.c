/* A body as CSV: with a header, with given columns and a mapping, with decimal commas. Checked like
 * json_rows_fuzz.c. */
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
    static const char *const given[] = {"x", "a"};
    static const decode_map map[] = {{.column = "a", .from = "x"}};
    status st;
    for (int i = 0; i < PLANS; i++) {
        json_t *document = document_parse(schemas[i / 2], strlen(schemas[i / 2]), &st);
        row_plan *rows = row_plan_make(schema_compile(document, NULL, &st), &st);
        bool named = i % 2;
        decode_options o = {.format = DECODE_CSV,
                            .past_us = DECODE_ANY,
                            .future_us = DECODE_ANY,
                            .separator = named ? ';' : ',',
                            .decimal_comma = named,
                            .csv_columns = given,
                            .n_csv_columns = named ? 2 : 0,
                            .map = map,
                            .n_map = i == 3,
                            .keep_unmapped = i < 2,
                            .limits = {.row_bytes = 1000, .rows = 1000}};
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
