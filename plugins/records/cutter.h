/* Records out of a text that comes in pieces, into a raw batch: CSV records, lines, or the text as a whole. A
 * CSV header goes along as `_meta`; otherwise the topic does. A record that is too long, or whose quote is
 * never closed, becomes a reject, and the ones around it are taken. Positions count the text's bytes. A batch
 * has records of one text, since it can have one header only. One thread. */
#ifndef RECORDS_CUTTER_H
#define RECORDS_CUTTER_H
#include "penstock/batch.h"

enum { CUTTER_REJECT_BYTES = 1024, CUTTER_PIECE_BYTES = 65536 };

typedef enum cutter_kind { CUTTER_CSV, CUTTER_LINES, CUTTER_WHOLE } cutter_kind;

typedef struct cutter {
    pst_builder *builder; /* the cutter's */
    size_t limit;         /* bytes of a record */
    bool aside;           /* records are handed over as rejects: the host asked to pass over them */
    uint32_t n_aside;     /* of this batch */

    cutter_kind kind;
    const char *topic; /* borrowed, or NULL */
    bool header;       /* the first record is one, and was not seen yet */
    bool spoilt;       /* it is none: nothing is cut any more */
    uint64_t offset;   /* of the first byte that was not cut */
    char *buffer, *meta;
    size_t have, used, cap, meta_len; /* bytes in the buffer; those already cut */
    bool skipping;
    uint64_t long_from;
    char long_start[CUTTER_REJECT_BYTES];
    size_t long_len;
    int payload_column, meta_column;
} cutter;

/* False: no memory. cutter_close also then; zeroed is fine. */
bool cutter_open(cutter *c, size_t limit);
void cutter_close(cutter *c);

/* A text begins. `header`: its first record names the columns (CSV). */
void cutter_begin(cutter *c, cutter_kind kind, bool header, const char *topic);
/* Room for bytes that come next; NULL: no memory. cutter_came says how many came. */
char *cutter_room(cutter *c, size_t *len_out);
void cutter_came(cutter *c, size_t len);
/* Cuts one record; false: more bytes are needed, or, if `last` (none will come), all is cut. */
bool cutter_cut(cutter *c, bool last);
/* Passes over bytes up to `to`, as far as they are there; what was behind them stays. */
void cutter_pass(cutter *c, uint64_t to);
/* Goes on at `to` with bytes that come next. */
void cutter_jump(cutter *c, uint64_t to);
/* Where to go on so that nothing is missing: in the middle of a record that is too long its start. */
uint64_t cutter_position(const cutter *c);

/* Something that is no record, said as a reject. */
void cutter_reject(cutter *c, const void *data, size_t len, const char *reason);
/* Records taken since the batch began. */
uint32_t cutter_taken(const cutter *c);
/* Forgets what was taken. */
void cutter_clear(cutter *c);
pst_status cutter_finish(cutter *c, const char *stream, pst_bytes cursor, pst_batch *out, pst_error *error);
#endif
