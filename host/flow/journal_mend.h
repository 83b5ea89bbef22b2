/* What happens to a journal whose file is damaged: it is set aside whole (<folder>/damaged/data-<ULID>.mdb)
 * and everything that can still be read goes into a fresh one, so that damage costs the records on the page
 * or below it and never the start of the host. Where records are missing a marker with JOURNAL_LOSS takes
 * their place: it says how many rows went, and the data plane's position may stand anywhere inside. Private
 * to journal*.c. */
#ifndef PENSTOCK_FLOW_JOURNAL_MEND_H
#define PENSTOCK_FLOW_JOURNAL_MEND_H
#include <stdbool.h>

#include "flow/journal.h"
#include "flow/journal_doubts.h"

typedef struct journal_loss { /* of one stream */
    uint32_t wid;
    char store[NAME_KEY_MAX + 1];
    uint64_t records, rows;
    bool open_end; /* the newest ones are among them: there may have been more */
} journal_loss;

typedef struct journal_losses {
    journal_loss *items; /* from malloc */
    size_t n;
    bool mended; /* the file was damaged */
} journal_losses;

/* Before LMDB opens the file. `deep` also looks at the pages of the values (after a failed write). OK when
 * the file is sound, was mended, or is not there yet; with more than `at_once` leaves of records that is so
 * but for those, which *doubts_out (else NULL) is then for. */
status_class journal_mend(const char *folder, uint64_t size_bytes, bool deep, size_t at_once,
                          journal_losses *losses_out, journal_doubts **doubts_out, status *st);
#endif
