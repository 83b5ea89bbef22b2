/* A body as line protocol: into a store of every type, one that keeps everything, and one whose schema sees
 * the whole row; and read alone. Whatever the bytes, every line is a row or a reject, its bytes lie in the
 * body, what is stored is text that PostgreSQL takes, and reading goes forward. */
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
#define PLANS 3

static decode_plan *plans[PLANS];
static decoder *the_decoder;

static void make_plans(void)
{
    status st;
    for (int i = 0; i < PLANS; i++) {
        json_t *document = document_parse(schemas[i], strlen(schemas[i]), &st);
        row_plan *rows = row_plan_make(schema_compile(document, NULL, &st), &st);
        decode_options o = {.format = DECODE_LINES,
                            .past_us = DECODE_ANY,
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

static void read_alone(const char *data, size_t size)
{
    static const line_limits limits = {1000, 200, 64, 20};
    static line_reader r;
    const char *before = data;
    line_text name;
    line_reader_text(&r, data, size, &limits);
    while (line_reader_next(&r)) {
        line_text key, tag;
        line_value value;
        int64_t ns;
        assert(r.line >= before && r.line < data + size);
        before = r.line;
        line_step step = line_reader_measurement(&r, &name) ? LINE_GOT : LINE_BAD;
        while (step == LINE_GOT)
            step = line_reader_tag(&r, &key, &tag);
        if (step == LINE_NONE)
            while ((step = line_reader_field(&r, &key, &value)) == LINE_GOT)
                assert(value.kind != LINE_STRING || value.string.len <= limits.text_bytes);
        if (step == LINE_NONE)
            step = line_reader_time(&r, LINE_MS, &ns);
        if (step == LINE_BAD) {
            assert(r.code && r.detail && r.at >= r.line && r.at <= data + size);
            line_reader_skip(&r);
        }
        assert(r.line_end > r.line && r.line_end <= data + size && r.p >= r.line_end);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_context context = {.precision = LINE_NS};
    decode_result r;
    status st;
    if (!the_decoder)
        make_plans();
    read_alone((const char *)data, size);
    for (int i = 0; i < PLANS; i++) {
        if (decode_body(the_decoder, plans[i], &context, (const char *)data, size, &r, &st) != STATUS_OK)
            continue;
        assert(r.n_input == r.rows.n_rows + r.n_rejects);
        check_texts(&r.rows);
        for (size_t k = 0; k < r.n_rejects; k++)
            assert(r.rejects[k].length > 0 && r.rejects[k].offset + r.rejects[k].length <= size &&
                   r.rejects[k].line >= 1 && r.rejects[k].column >= 1);
    }
    return 0;
}
