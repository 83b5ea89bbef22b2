/* Which statements a session has prepared. A statement is known by a digest of its text and of the types of
 * its values, so that a thousand tables cost the host 40 bytes a statement, not its text; nobody can make two
 * texts with one digest. On the server it has a number, "p17", which is never used twice: a lost answer
 * cannot collide.
 *
 * Places are bounded. Of so many statements that find none, one gets the place of the one used longest ago;
 * the others are parsed for their call. When more statements than there are places come in turns, replacing
 * each time would never hit. Not thread-safe: part of a connection. */
#ifndef PENSTOCK_STORE_PREPARED_H
#define PENSTOCK_STORE_PREPARED_H
#include "store/connection.h"

typedef struct prepared_key {
    uint64_t words[2];
} prepared_key;

typedef struct prepared_entry {
    prepared_key key;
    uint64_t used; /* when, in uses */
    uint32_t number;
} prepared_entry;

typedef struct prepared_set { /* {0} has no place */
    prepared_entry *slots;    /* open addressing; number 0 = free */
    uint32_t n_slots, n, max;
    uint32_t numbers, misses;
    uint64_t uses;
} prepared_set;

void prepared_free(prepared_set *s);
prepared_key prepared_key_of(const statement *s, const value *params, unsigned n);
/* Its number, noted as used now; 0 = it is not prepared. */
uint32_t prepared_find(prepared_set *s, const prepared_key *key);
/* Whether a statement that was not found gets a place; *evicted_out is who must leave for it (0 = nobody). */
bool prepared_has_place(prepared_set *s, uint32_t *evicted_out);
/* Takes it in, as used now; returns its number. There must be a place. */
uint32_t prepared_add(prepared_set *s, const prepared_key *key);
void prepared_forget(prepared_set *s, uint32_t number); /* fine if it is not there */
#endif
