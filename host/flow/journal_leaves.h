/* The leaves of one table of the journal's file, to be looked at when its branches have been. Private to
 * journal_walk.c and journal_doubts.c. */
#ifndef PENSTOCK_FLOW_JOURNAL_LEAVES_H
#define PENSTOCK_FLOW_JOURNAL_LEAVES_H
#include "flow/journal_walk.h"

#define LEAF_THREADS 8U

leaf_list *leaf_list_create(void);
void leaf_list_free(leaf_list *l); /* NULL is fine; nobody looks at it */
/* In the order of their keys. False: its bounds are too long to be kept. */
bool leaf_list_add(leaf_list *l, uint64_t number, page_bytes from, page_bytes to);
size_t leaf_list_count(const leaf_list *l);
/* Looks at them all; adds up what was found. INVALID says what is wrong with the first damaged one. Ends
 * early after leaf_list_stop. */
status_class leaf_list_check(leaf_list *l, const walk *how, unsigned threads, tree *counted, status *st);
void leaf_list_stop(leaf_list *l); /* any thread */
/* [any thread, also while they are all looked at] Are those sound that have keys from `from` to `to`, and the
 * one at either side? */
bool leaf_list_sound_about(leaf_list *l, const walk *how, page_bytes from, page_bytes to);
#endif
