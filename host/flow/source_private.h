/* The inside of a source, shared by source.c (its turns) and source_batch.c (what becomes of one batch).
 * Functions run on the source's lane. */
#ifndef PENSTOCK_FLOW_SOURCE_PRIVATE_H
#define PENSTOCK_FLOW_SOURCE_PRIVATE_H
#include "base/arena.h"
#include "flow/pace.h"
#include "flow/source.h"
#include "flow/source_decode.h"
#include "flow/source_hunt.h"

enum { SOURCE_CURSOR_HEAD = 8 /* our own part of a cursor: the time shift */ };
#define SOURCE_NO_SHIFT INT64_MIN

struct source {
    source_parts parts;
    lane *lane;
    char instance_name[JOURNAL_INSTANCE_MAX], origin[JOURNAL_ORIGIN_MAX];
    pace pace;        /* renewed: closed and opened by the next turn */
    source_look look; /* under the pace's lock */
    unsigned back_off_ms;
    /* of the lane alone */
    bool open;
    const flow_plan *plan; /* with what lies in it; NULL while it stands still */
    const defined_connector *defined;
    int64_t shift_us;        /* SOURCE_NO_SHIFT = not known yet */
    arena *arena;            /* of one batch */
    source_decode *decoders; /* by target of `into` */
    instance_batch *batch;   /* on its way */
    text cursor;             /* as it lies in the journal */
    source_hunt hunt;        /* for a record that kills the plugin */
    unsigned closed_in_row;  /* openings that led to no read */
};

void source_set_state(source *s, source_state state, const char *problem);
/* Ends the turn; the next one is due in `ms`, or PACE_FOR_EVER. */
void source_rest(source *s, int64_t ms);
/* The next turn begins at once. */
void source_go_on(source *s);
void source_close(source *s);
/* A call into the plugin failed: what follows. */
void source_failed(source *s, const instance_call *call, const status *st);
/* The plugin had rows, or none now: it is well. */
void source_answered(source *s);
/* Hands s->batch to intake; its end, good or bad, goes on with the source. */
void source_take_batch(source *s);
#endif
