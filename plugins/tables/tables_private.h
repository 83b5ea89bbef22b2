/* What the files of a connector over tables share. */
#ifndef TABLES_PRIVATE_H
#define TABLES_PRIVATE_H
#include "statement.h"
#include "tables.h"

typedef struct tables {
    const pst_host *host;
    const pst_json_service *json;
    driver *d;
    setup set;
    layout columns;
    bool described;
    pst_builder *builder;
    int cells[DRIVER_COLUMNS_MAX]; /* the builder's columns */
    int64_t every_us, silence_us;  /* 0 = once; so long no row comes: nobody is there */
    size_t max_row_bytes;
    /* the poll */
    bool reading, ended, aside, waiting;
    int64_t due_us, asked_us; /* wall, monotonic */
    bool from_mark;           /* it began at a mark */
    uint64_t n_seen;          /* rows that came, known ones too */
    bool looking, is_behind;  /* is there something behind the mark? there was (behind.c) */
    statement statement;
    mark at;       /* after the rows that were handed over, or are about to be */
    int64_t order; /* of at.value, where there is one */
    bool has_order;
    mark_row
        known[MARK_SEEN_MAX]; /* rows of the value at which the poll began that it must not hand over again */
    uint32_t n_known;
    char known_value[MARK_VALUE_MAX];
    uint32_t known_len;
    uint8_t cursor[MARK_TEXT_MAX];
} tables;

/* Connects, asks for the query's columns, and finds those that the settings name. */
pst_status tables_describe(tables *t, const pst_call *call, pst_error *error);
/* Says how it is, though its calls succeed; "" = well. */
void tables_tell(tables *t, const pst_call *call, const char *text);
/* A poll that saw not even the row it began at: begins to look whether there are others before it, and goes
 * on looking. PST_IDLE: not known yet. */
pst_status behind_begin(tables *t, const pst_call *call, pst_error *error);
pst_status behind_look(tables *t, const pst_call *call, pst_error *error);
/* poll.c */
pst_status poll_open(void *self, const pst_call *call, pst_bytes resume, pst_error *error);
pst_status poll_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out, pst_error *error);
pst_status poll_skip(void *self, const pst_call *call, uint32_t max, pst_batch *out, pst_error *error);
void poll_close(void *self);
/* listing.c: the JSON of discover. */
pst_status listing_write(tables *t, const pst_call *call, pst_blob *json_out, pst_error *error);
#endif
