/* The stand that holds a plugin while a case works on it: loaded into this (forked) process, with a host that
 * the case controls: a wall clock that moves only when a source is idle, a log that is kept, secrets that are
 * known. Structs that the plugin gets end at a page that cannot be read, so a step beyond struct_size is a
 * crash. One thread, but for log and observe. Failures end the case. */
#ifndef PENSTOCK_CHECK_STAND_H
#define PENSTOCK_CHECK_STAND_H
#include <pthread.h>

#include "base/text.h"
#include "check/far_side.h"
#include "check/subject.h"
#include "penstock/batch.h"

#define STAND_SECRET "s3cret-of-penstock-check-5b1f"
#define STAND_BLANK (1UL << 31) /* nothing was kept */

typedef struct stand {
    const subject *subject;
    void *handle; /* dlopen's */
    const pst_plugin *plugin;
    pst_host *host;
    pst_call *call;
    pst_error *error;
    json_t *config; /* complete */
    void *self;
    far_side far;
    int cancel_fd;
    int64_t wall_us;
    bool no_services;
    pthread_mutex_t lock; /* of log and bad_metrics */
    text log;
    unsigned bad_metrics, secrets_given;
} stand;

/* Loads the object; starts the far side that check.json asks for. */
stand *stand_open(const subject *s, far_mode far);
void stand_close(stand *t); /* destroys the plugin's object too */
/* check.json's config with the far side put in, without defaults; the caller's. */
json_t *stand_config(const stand *t);
/* Completes `config` (taken over) by the schema; false with `st` if the schema refuses it. */
bool stand_configure(stand *t, json_t *config, status *st);
/* The object of the configured plugin; on failure t->error says why. */
pst_status stand_create(stand *t);
/* stand_configure with check.json's config, then stand_create; must work. */
void stand_ready(stand *t);
void stand_destroy(stand *t);
const void *stand_interface(const stand *t, const char *id);

/* The call to pass on, ending in `ms`; the error is emptied and a cancel forgotten. */
const pst_call *stand_call(stand *t, int ms);
void stand_cancel(stand *t); /* from any thread */
int64_t stand_now_us(void);
/* "UNAVAILABLE: no answer (/url)" */
const char *stand_said(const stand *t, pst_status status);
/* `size` zeroed bytes that end at a page which cannot be touched. Never freed: a case is short. */
void *stand_guarded(size_t size);

void stand_host_fill(stand *t);     /* stand_host.c */
extern const pst_files stand_files; /* stand_files.c: what check.json's folder holds */
extern const pst_program_service stand_program;
#endif
