/* The job desk: work that takes longer than people like to wait for is a job of the control plane
 * (control/job), taken and run by this host. A request may wait for the end of the job that it made, or leave
 * with its id.
 *
 * Jobs that a host left unfinished when it died are taken again when their lease has run out. Any thread,
 * unless tagged [lane]. */
#ifndef PENSTOCK_SERVE_JOB_DESK_H
#define PENSTOCK_SERVE_JOB_DESK_H
#include <jansson.h>

#include "base/status.h"
#include "loop/lane.h"

typedef struct job_desk job_desk;
struct services;

/* How a job ended; `result` NULL = failed. On a lane. */
typedef void (*job_ended)(void *arg, const json_t *result, const status *st);
/* That it was made (`id` NULL = it was not, and why). On a lane. */
typedef void (*job_made)(void *arg, const char *id, const status *st);

job_desk *job_desk_create(struct services *s, lane_pool *lanes);
/* The host stops: those who wait for a job are told so now; the jobs go on. */
void job_desk_dismiss(job_desk *d);
/* Those who still wait are told that the host stops. No job may be under way in the flow. NULL is fine. */
void job_desk_free(job_desk *d);

typedef struct job_wish {
    int32_t wid;
    const char *model, *actor; /* copied */
    job_made made;             /* one of the two: who only wants the id, */
    job_ended ended;           /* or who waits for the end */
    void *arg;
} job_wish;
/* Makes a job that trains a model. While one of that model waits or runs, no second is made: the id is that
 * one's. A job that could not be made ends at once for who waits. */
void job_desk_train(job_desk *d, const job_wish *wish);
/* Takes what is due: called at start, after a job was made, and now and then. */
void job_desk_look(job_desk *d);
#endif
