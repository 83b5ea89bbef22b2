/* Journals of this host that the data plane has seen and that are not here any more: a disk was replaced, or
 * the folder deleted. Rows that were acknowledged may have been in one, so nothing is written until somebody
 * says that the loss is accepted. Also written down here: the journal that this host has now. [lane],
 * start-up. */
#ifndef PENSTOCK_FLOW_LOST_JOURNAL_H
#define PENSTOCK_FLOW_LOST_JOURNAL_H
#include <stdint.h>

#include "base/status.h"
#include "store/pool.h"

typedef struct journal_owner {
    pool *data;
    const uint8_t *incarnation; /* 16 bytes: of the journal that is here */
    const char *stack, *host;
} journal_owner;

typedef struct lost_journal {
    unsigned n;      /* how many are missing; 0 = none */
    char newest[40]; /* its incarnation … */
    char made[40];   /* … and when it was made */
} lost_journal;

/* Registers the owner's journal and looks for others of the same stack and host. */
status_class lost_journal_look(const journal_owner *owner, lost_journal *out, status *st);
/* They are given up: never looked for again. */
status_class lost_journal_accept(const journal_owner *owner, status *st);
#endif
