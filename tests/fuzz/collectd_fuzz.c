/* A body in both of collectd's formats, into a store of just these columns, one that keeps everything, and
 * one whose schema sees the whole row. */
#include "rows_input.h"

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
#define LIMITS .limits = {.row_bytes = 1000, .text_bytes = 200, .rows = 1000}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static rows_store stores[3] = {
        {.options = {.time_column = "t", LIMITS}}, {.options = {LIMITS}}, {.options = {LIMITS}}};
    static const decode_format formats[] = {DECODE_COLLECTD, DECODE_PUTVAL};
    for (int i = 0; i < 3; i++)
        stores[i].schema = schemas[i];
    for (int i = 0; i < 2; i++)
        rows_input(stores, 3, &(decode_context){.format = formats[i]}, 1, data, size);
    return 0;
}
