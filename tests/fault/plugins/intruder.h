/* Everything that a hostile plugin tries to get out of its cell: each attempt once, with what came of it. */
#ifndef PENSTOCK_TESTS_INTRUDER_H
#define PENSTOCK_TESTS_INTRUDER_H
#include "penstock/batch.h"
#include "penstock/plugin.h"

enum { INTRUDER_OUTCOMES_MAX = 256 };

typedef struct intruder_targets { /* 0 or NULL: not tried */
    int64_t host, sibling;        /* process ids */
    int64_t tcp_port, udp_port;   /* somebody listens there on 127.0.0.1; the config does not name it */
    int64_t named_port;           /* … and this one is named; tried through a changing address */
    const char *private_address;  /* named by the config, not granted */
    int64_t private_port;
    const char *names;           /* that the config does not name */
    const pst_host *with_config; /* texts at /files/N are files that it may not read */
} intruder_targets;

typedef struct intruder_outcome {
    char attempt[96], outcome[96];
    bool succeeded;
} intruder_outcome;

/* How many. */
int intruder_run(const intruder_targets *targets, intruder_outcome out[INTRUDER_OUTCOMES_MAX]);
/* What was tried by a constructor, before anything was called. */
int intruder_early(intruder_outcome out[INTRUDER_OUTCOMES_MAX]);
/* Rows: time, attempt, outcome, succeeded. */
pst_status intruder_rows(const pst_host *host, pst_bytes cursor, pst_batch *out, pst_error *error);
#endif
