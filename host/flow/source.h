/* Sources: connectors that are pulled. A source works in turns on its lane:
 *
 *     closed ──open at the newest durable cursor──► open ──read──► rows ──journal──► acked ──► open
 *        ▲                                           │  └─idle: wait─┘
 *        └──── cell died, far side away: back off ───┘        end of a bounded source: ended
 *
 * One batch is on its way at a time, so back-pressure is simply not asking. The cursor is committed with its
 * rows and acknowledged to the plugin only afterwards; whatever happens in between is read again. A record
 * that kills the plugin is found, skipped and put aside as a dead letter (source_hunt.h); one that it cannot
 * skip stops the source, and only it. */
#ifndef PENSTOCK_FLOW_SOURCE_H
#define PENSTOCK_FLOW_SOURCE_H
#include "flow/intake.h"
#include "flow/plan.h"
#include "loop/lane.h"
#include "plugin/instance.h"

typedef struct source source;

#define SOURCE_PREFIX "connector:" /* of its name, before the connector's key */

typedef enum source_state {
    SOURCE_STARTING,  /* it has not answered yet */
    SOURCE_OK,        /* rows come, or there are none now */
    SOURCE_DEGRADED,  /* the journal is full, or the plugin says so (penstock.health): it goes on by itself */
    SOURCE_DOWN,      /* the far side or the plugin is away: backing off */
    SOURCE_NEEDS_YOU, /* the configuration is wrong, or a credential was refused */
    SOURCE_PAUSED,
    SOURCE_ENDED, /* a bounded source came to its end */
} source_state;
const char *source_state_name(source_state state);

typedef struct source_look {
    source_state state;
    uint64_t rows_read, rows_rejected;
    int64_t last_rows_us; /* wall time of the last rows; 0 = none */
    char problem[256];    /* "" = fine */
} source_look;

typedef struct source_parts {
    intake *intake;
    journal *journal;
    lane_group *lanes; /* of the workspace */
    /* The workspace's plan, retained: asked for when there is work, given back when there is none for long.
     * NULL with the reason. */
    const flow_plan *(*plan_of)(void *arg, status *st);
    void *arg;
    int32_t wid;
    int64_t rest_us;  /* without work for longer a hook gives the plan back */
    instance *plugin; /* owned by the source from now on */
} source_parts;

source *source_create(const source_parts *parts, const defined_connector *defined);
/* Stops asking, waits for what is on its way, closes. NULL is fine. Not on the loop thread. */
void source_free(source *s);
/* Runs a turn if one is due at `now_us` (monotonic). [any], cheap: called by the flow's tick. */
void source_tick(source *s, int64_t now_us);
void source_pause(source *s, bool paused); /* [any] */
/* A secret has changed: it is closed and opened with the new one, and what it waits for is tried at once.
 * [any] */
void source_renew(source *s);
source_look source_look_at(source *s); /* [any] */
/* What a plugin says of itself makes a state that is otherwise well "degraded". [any] */
void source_hear(instance *plugin, source_state *state, char *problem, size_t size);
#endif
