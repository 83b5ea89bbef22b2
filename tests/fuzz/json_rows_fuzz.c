/* A body as NDJSON and as one document, through three stores each. */
#include "rows_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMITS .limits = {.depth = 8, .members = 50, .rows = 1000}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static rows_store stores[] = {
        {.schema = rows_typed, .options = {.format = DECODE_NDJSON, .time_column = "t", LIMITS}},
        {.schema = rows_typed, .options = {.format = DECODE_JSON, .time_column = "t", LIMITS}},
        {.schema = rows_open, .options = {.format = DECODE_NDJSON, LIMITS}},
        {.schema = rows_open, .options = {.format = DECODE_JSON, LIMITS}},
        {.schema = rows_whole, .options = {.format = DECODE_NDJSON, LIMITS}},
        {.schema = rows_whole, .options = {.format = DECODE_JSON, LIMITS}},
    };
    rows_input(stores, sizeof stores / sizeof *stores, &(decode_context){0}, 0, data, size);
    return 0;
}
