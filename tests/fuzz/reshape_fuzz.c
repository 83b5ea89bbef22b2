/* The first line is a connector's `decode`, the rest a payload: whatever goes in, what comes out is lines of
 * JSON, each read without complaint, and nothing of a payload that is refused. */
#include <assert.h>
#include <jansson.h>
#include <string.h>

#include "flow/json_tape.h"
#include "flow/reshape.h"
#include "schema/compile.h"
#include "schema/document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char store[] = "{\"type\":\"object\",\"properties\":{\"t\":{\"type\":\"string\",\"format\":"
                            "\"date-time\"},\"s\":{\"type\":"
                            "\"string\"},\"n\":{\"type\":\"number\"},\"i\":{\"type\":\"integer\"},\"b\":{"
                            "\"type\":\"boolean\"},\"o\":{}}}";

static const row_plan *rows_of_store(void)
{
    static row_plan *rows;
    status st;
    if (!rows) {
        json_t *document = document_parse(store, sizeof store - 1, &st);
        rows = row_plan_make(schema_compile(document, NULL, &st), &st);
        json_decref(document);
    }
    return rows;
}

static void check_lines(const text *out)
{
    json_tape tape;
    status st;
    json_tape_open(&tape);
    for (const char *p = out->data, *end = p + out->len; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        assert(newline);
        status_class class = json_tape_read(&tape, p, (size_t)(newline - p), &st);
        assert(class == STATUS_OK || class == STATUS_LIMIT); /* the row is one level deeper than its parts */
        p = newline + 1;
    }
    json_tape_close(&tape);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    status st;
    text out = {0};
    reshape_fault fault;
    const char *bytes = (const char *)data, *end = size ? memchr(bytes, '\n', size) : NULL;
    json_t *decode = end ? json_loadb(bytes, (size_t)(end - bytes), 0, NULL) : NULL;
    reshape_plan *plan = json_is_object(decode) ? reshape_plan_create(decode, rows_of_store(), &st) : NULL;
    reshaper *r = reshaper_create();
    if (plan) {
        size_t len = size - (size_t)(end + 1 - bytes);
        reshape_payload from = {end + 1, len, "plant/hall 2//pump", 18, 1774720800000000};
        if (!reshape_payload_rows(r, plan, &from, &out, &fault))
            assert(out.len == 0 && fault.code && fault.detail);
        if (out.len)
            check_lines(&out);
    }
    reshaper_free(r);
    reshape_plan_free(plan);
    json_decref(decode);
    text_free(&out);
    return 0;
}
