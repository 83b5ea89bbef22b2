/* Long server work: a job that the command line follows, with its progress, until it ends. */
#ifndef PENSTOCK_CLI_JOB_H
#define PENSTOCK_CLI_JOB_H
#include "client.h"
#include "command.h"

/* If the answer is 202 with a Location under /jobs/, waits for the job's end: STATUS_OK when it succeeded,
 * else its own error. Any other answer is OK at once. With --detach it prints the job's id and does not wait.
 * Ctrl-C stops waiting, not the job. */
status_class job_follow(invocation *inv, const answer *a, status *st);
#endif
