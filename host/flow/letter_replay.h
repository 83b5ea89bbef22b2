/* Sends dead letters again: through intake with the definition of now, journal and writer, one row each,
 * oldest first. The letter goes in the transaction that stores its row, so whatever dies on the way it is
 * stored once or still there; refused again it stays, with the new reason and one more attempt. A letter that
 * was sent twice, corrected or thrown away while it was on its way is stored once at most (`gone`). */
#ifndef PENSTOCK_FLOW_LETTER_REPLAY_H
#define PENSTOCK_FLOW_LETTER_REPLAY_H
#include "base/arena.h"
#include "flow/intake.h"
#include "flow/letters.h"

#define LETTER_REPLAY_MAX 500 /* of one call */
#define LETTER_REPLAY_NOTES 100

typedef struct letter_note {
    const char *id, *code, *detail;
} letter_note;

typedef struct letter_replay_result { /* texts in the arena */
    uint32_t matched, stored, duplicate, rejected, gone;
    uint32_t waiting; /* durable in the journal, not written in time */
    uint32_t failed;  /* could not be sent: the journal is full, or there is nothing to read them by */
    letter_note notes[LETTER_REPLAY_NOTES]; /* of rejected and failed ones, the first */
    uint32_t n_notes;
    const char *last; /* the id behind which to go on; NULL = these were all */
} letter_replay_result;

typedef struct letter_replay {
    const flow_plan *plan;
    intake *intake;
    connection *c; /* of the service's login */
    const letter_filter *filter;
    const char *after;   /* NULL = from the oldest */
    const char *request; /* unique */
    uint32_t limit;      /* at most LETTER_REPLAY_MAX */
    int64_t wait_us;
} letter_replay;

/* [lane] Blocks until the last one is settled. */
status_class letter_replay_run(const letter_replay *order, arena *a, letter_replay_result *out, status *st);
#endif
