/* Dead letters: rows that could not go on, with their bytes and the reason, in the workspace's own data
 * plane. Written, sent again and thrown away inside the caller's transaction, and booked in its ledger.
 *
 * A workspace keeps so many letters and so many bytes of them; beyond, rejected rows are counted (`unkept`)
 * and one in LETTER_SAMPLE is kept. What lies in the table is known from the ledger's sums. */
#ifndef PENSTOCK_FLOW_DEAD_LETTER_H
#define PENSTOCK_FLOW_DEAD_LETTER_H
#include "flow/journal.h"
#include "flow/ledger.h"
#include "flow/letter_ref.h"
#include "flow/rejected.h"
#include "store/connection.h"

#define LETTER_COUNT_MAX 1000000
#define LETTER_BYTES_MAX (INT64_C(1) << 30)
#define LETTER_SAMPLE 1000

typedef struct letter_limits { /* of one workspace; 0 = the default */
    int64_t letters, bytes;
} letter_limits;

/* How full the workspaces of one transaction are. */
typedef struct letter_book letter_book;
letter_book *letter_book_create(const letter_limits *limits);
void letter_book_free(letter_book *b); /* NULL is fine */
void letter_book_clear(letter_book *b);

typedef struct dead_letter {
    int32_t wid;
    const char *store; /* a datastore's key, or the stage that the row was to go through: "model:judge" */
    const char *origin, *request;
    int64_t received_us;
    const char *header; /* of the CSV that the row stood in */
    size_t header_len;
    rejected_row row;
} dead_letter;
/* The ledger gets letters, letter_bytes, unkept; rejected is the caller's. */
status_class dead_letter_write(letter_book *b, connection *c, ledger_book *ledger, const dead_letter *letter,
                               status *st);
dead_letter dead_letter_of(const journal_record *from, const rejected_row *row);

/* ---- sent again ---- */

/* False: the record is no letter. */
bool dead_letter_ref(const journal_record *record, letter_ref *out);

typedef struct letter_claim {
    bool there; /* and in the state that was sent */
    char store[64];
    int64_t received_us, bytes;
} letter_claim;
/* Locks the letter until the transaction ends. */
status_class dead_letter_claim(connection *c, int32_t wid, const letter_ref *ref, letter_claim *out,
                               status *st);
/* Its row is in a table, or was there: the letter goes, the row is booked where it is now. `settled` says
 * stored, updated, duplicate. */
status_class dead_letter_settle(connection *c, ledger_book *ledger, int32_t wid, const char *store,
                                const letter_ref *ref, const letter_claim *claim,
                                const ledger_counts *settled, status *st);
/* It was refused again: the letter stays with the new reason and one more attempt. */
status_class dead_letter_return(connection *c, int32_t wid, const letter_ref *ref, const rejected_row *why,
                                status *st);
#endif
