/* A body as CSV: with a header, with given columns and a mapping, with decimal commas. */
#include "rows_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const given[] = {"x", "a"};
static const decode_map map[] = {{.column = "a", .from = "x"}};

#define CSV .format = DECODE_CSV, .limits = {.row_bytes = 1000, .rows = 1000}
#define HEADER CSV, .separator = ','
#define NAMED CSV, .separator = ';', .decimal_comma = true, .csv_columns = given, .n_csv_columns = 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static rows_store stores[] = {
        {.schema = rows_typed, .options = {HEADER, .keep_unmapped = true}},
        {.schema = rows_typed, .options = {NAMED, .keep_unmapped = true}},
        {.schema = rows_open, .options = {HEADER}},
        {.schema = rows_open, .options = {NAMED, .map = map, .n_map = 1}},
        {.schema = rows_whole, .options = {HEADER}},
        {.schema = rows_whole, .options = {NAMED}},
    };
    rows_input(stores, sizeof stores / sizeof *stores, &(decode_context){0}, 0, data, size);
    return 0;
}
