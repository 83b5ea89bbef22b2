/* A body as line protocol, into three stores, and read alone: reading goes forward and stays inside. */
#include <assert.h>

#include <string.h>

#include "rows_input.h"
#include "unit/flow/lines_apart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

#define LINES .format = DECODE_LINES, .limits = {.row_bytes = 1000, .text_bytes = 200, .rows = 1000}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static rows_store stores[] = {
        {.schema = rows_typed, .options = {LINES, .time_column = "t"}},
        {.schema = rows_open, .options = {LINES}},
        {.schema = rows_whole, .options = {LINES}},
    };
    decode_context context = {.precision = LINE_NS};
    uint64_t line;
    read_alone((const char *)data, size);
    rows_input(stores, sizeof stores / sizeof *stores, &context, 1, data, size);
    for (size_t i = 0; i < sizeof stores / sizeof *stores && !memchr(data, '"', size); i++)
        assert(!lines_apart(stores[i].plan, &context, (const char *)data, size, &line));
    return 0;
}
