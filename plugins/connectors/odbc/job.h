/* One call that blocks and cannot be told when to stop, on a thread of its own, so that the plugin's call
 * ends in time all the same. One job at a time; a job that was left alone must be done before the next. */
#ifndef ODBC_JOB_H
#define ODBC_JOB_H
#include <pthread.h>

#include "tcp.h"

typedef struct job {
    pthread_t thread;
    int done_fd; /* an eventfd; -1 = none yet */
    bool running;
    void (*work)(void *arg);
    void *arg;
} job;

bool job_start(job *j, void (*work)(void *arg), void *arg);
/* PST_IDLE: it is not done within `wait_us`. */
pst_status job_wait(job *j, const pst_host *host, const pst_call *call, int64_t wait_us, pst_error *error);
bool job_within(job *j, int wait_ms); /* is it done by then? */
void job_end(job *j);                 /* waits for it, however long that takes */
#endif
