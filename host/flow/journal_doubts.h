/* What of a large journal's file has not been looked at when it is opened: the leaves of its records, which a
 * thread of its own then reads in the order of the file. Until that has ended LMDB may touch a leaf only when
 * it was found sound (journal_doubts_sound), takes no page that the file calls free (store_hold_pages), and
 * nothing is deleted. Private to journal*.c. */
#ifndef PENSTOCK_FLOW_JOURNAL_DOUBTS_H
#define PENSTOCK_FLOW_JOURNAL_DOUBTS_H
#include "flow/journal_pages.h"

typedef struct journal_doubts journal_doubts;

typedef enum doubts_state { DOUBTS_OPEN, DOUBTS_SOUND, DOUBTS_DAMAGED } doubts_state;

/* Takes `f` and `rest`; begins with journal_doubts_start. */
journal_doubts *journal_doubts_create(page_file *f, page_rest *rest);
/* `on_end` is called once, on the thread, when the state is not open any more. False: no thread. */
bool journal_doubts_start(journal_doubts *d, void (*on_end)(void *arg), void *arg);
/* Ends the thread. NULL is fine; nobody else has it. */
void journal_doubts_free(journal_doubts *d);
/* [any thread] */
doubts_state journal_doubts_state(const journal_doubts *d);
/* [any thread] May LMDB go to the records with keys from `from` to `to`? Looks at their leaves if nobody has.
 */
bool journal_doubts_sound(journal_doubts *d, page_bytes from, page_bytes to);
#endif
