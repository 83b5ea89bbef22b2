/* A schema, a decoder and one body at a time, for the tests of all formats. The body stands alone in a block
 * of exactly its size, so that a sanitizer sees who reads beyond it, and stays until the next one. */
#ifndef PENSTOCK_TESTS_DECODE_KIT_H
#define PENSTOCK_TESTS_DECODE_KIT_H
#include "support/check.h"

#include <stdint.h>

#include "flow/decode.h"

#define NOW 1774720799000000 /* 2026-03-28T17:59:59Z */

typedef struct kit {
    row_plan *rows;
    decode_plan *plan;
    decoder *d;
    decode_result r;
    status st;
    status_class class;
    decode_context context; /* now_us = NOW */
    char *body;
} kit;

/* The plan of a schema that is written with ' for ". */
row_plan *kit_rows(const char *schema_text);
/* Any time is in the window unless the options say otherwise. */
kit kit_open(const char *schema_text, decode_options options);
kit lines_open(const char *schema_text, const char *time_column, decode_limits limits); /* line protocol */
void kit_close(kit *k);

void run_n(kit *k, const char *body, size_t len);
void run(kit *k, const char *body);

void expect(const kit *k, uint32_t rows, size_t rejects);
void expect_text(const kit *k, uint32_t col, uint32_t row, const char *want);
int64_t int_at(const kit *k, uint32_t col, uint32_t row);
double number_at(const kit *k, uint32_t col, uint32_t row);
void expect_reject(const kit *k, size_t i, const char *code, const char *pointer, uint64_t line,
                   uint32_t column);
bool null_at(const kit *k, uint32_t col, uint32_t row);
#endif
