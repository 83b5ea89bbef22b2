/* Why a workspace's rows are not stored, or not computed, faster: what is in force now, with figures. The
 * first reason is the one that holds everything up; `nothing` is an answer, too. Asks PostgreSQL about locks:
 * on a lane. */
#ifndef PENSTOCK_FLOW_WHY_SLOW_H
#define PENSTOCK_FLOW_WHY_SLOW_H
#include <jansson.h>

#include "flow/journal.h"
#include "flow/plan.h"
#include "flow/tenant.h"
#include "flow/writer.h"
#include "plugin/instance.h"
#include "store/pool.h"

typedef struct why_slow_parts {
    tenant *tenant;
    const flow_plan *plan; /* its */
    journal *journal;
    writer *const *writers; /* NULL where none runs */
    unsigned n_writers;
    bool held; /* a journal is missing */
    pool *data;
    instance_set *instances;
    /* The key of another workspace; NULL = whoever asks may not know it. Valid as long as `arg`'s owner says.
     */
    const char *(*name_of)(void *arg, uint32_t wid);
    void *arg;
} why_slow_parts;

/* {workspace, verdict, reasons: [{reason, detail, limit?, since?}], waiting: {…}, writers: {…}}; a new
 * reference. */
json_t *why_slow(const why_slow_parts *parts);
#endif
