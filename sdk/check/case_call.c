/* Calls that wait: for a far side that takes the connection and never says a word, or over more rows than
 * usual. And what becomes of secrets while everything goes wrong. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "check/case.h"
#include "check/drive.h"
#include "check/verdict.h"

enum { BEFORE_CANCEL_MS = 200, AFTER_CANCEL_MS = 500, DEADLINE_MS = 700, LATE_MS = 300, REPEAT = 2000 };

typedef struct watchdog {
    stand *t;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool cancels, done, cancelled;
    int64_t cancelled_us;
} watchdog;

/* Waits until the call has ended or the moment has come; true if it has ended. */
static bool wait_until(watchdog *w, int64_t moment_us)
{
    struct timespec at = {.tv_sec = moment_us / 1000000, .tv_nsec = moment_us % 1000000 * 1000};
    while (!w->done && pthread_cond_timedwait(&w->ended, &w->lock, &at) != ETIMEDOUT)
        ;
    return w->done;
}

static void *watch(void *arg)
{
    watchdog *w = arg;
    int64_t from = stand_now_us();
    pthread_mutex_lock(&w->lock);
    int first = w->cancels ? BEFORE_CANCEL_MS : DEADLINE_MS, rest = w->cancels ? AFTER_CANCEL_MS : LATE_MS;
    if (!wait_until(w, from + first * 1000LL)) {
        w->cancelled = w->cancels;
        w->cancelled_us = stand_now_us();
        if (w->cancels)
            stand_cancel(w->t);
        if (!wait_until(w, from + (first + rest) * 1000LL)) {
            if (w->cancels)
                verdict_fail("cancel_fd", "the call is still running %d ms after it was cancelled",
                             AFTER_CANCEL_MS);
            verdict_fail("deadline_us",
                         "the call is still running %d ms after its deadline; the host would kill the cell",
                         LATE_MS);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void watchdog_start(watchdog *w, stand *t, bool cancels)
{
    pthread_condattr_t clock;
    *w = (watchdog){.t = t, .cancels = cancels};
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&w->ended, &clock);
    pthread_create(&w->thread, NULL, watch, w);
}

static void watchdog_end(watchdog *w)
{
    pthread_mutex_lock(&w->lock);
    w->done = true;
    pthread_cond_signal(&w->ended);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
}

static pst_status read_once(stand *t)
{
    const pst_source *source = stand_interface(t, PST_IF_SOURCE);
    pst_batch b = {.struct_size = sizeof b};
    verdict_doing("read");
    pst_status status = source->read(t->self, t->call, 1000, &b, t->error);
    if (b.array.release)
        b.array.release(&b.array);
    if (b.schema.release)
        b.schema.release(&b.schema);
    return status;
}

/* The call of this kind that may wait. */
static pst_status long_call(stand *t, const inputs *in)
{
    text out = {0};
    pst_status status = PST_OK;
    size_t refused;
    if (stand_interface(t, PST_IF_SOURCE))
        status = read_once(t);
    else if (stand_interface(t, PST_IF_SINK))
        status = drive_write(t, in, 0, &refused);
    else if (t->subject->entry->kind == PLUGIN_CONNECTOR)
        status = PST_OK;
    else if (t->subject->entry->kind == PLUGIN_NOTIFIER)
        status = drive_send(t);
    else
        status = drive_answer(t, in, &out);
    text_free(&out);
    return status;
}

static stand *prepare(const subject *s, inputs *in)
{
    stand *t = stand_open(s, FAR_SILENT);
    memset(in, 0, sizeof *in);
    bool writes = subject_offers(s, PST_IF_SINK) && !subject_offers(s, PST_IF_SOURCE);
    if (ON_PURE & 1 << s->entry->kind || writes)
        drive_inputs(t, writes ? 1 : REPEAT, 0, in);
    stand_ready(t);
    if (stand_interface(t, PST_IF_SOURCE)) {
        const pst_source *source = stand_interface(t, PST_IF_SOURCE);
        verdict_doing("open");
        source->open(t->self, stand_call(t, DEADLINE_MS), (pst_bytes){0}, t->error);
    }
    return t;
}

void case_cancel(const subject *s)
{
    watchdog w;
    inputs in;
    stand *t = prepare(s, &in);
    stand_call(t, 20000);
    watchdog_start(&w, t, true);
    pst_status status = long_call(t, &in);
    int64_t now = stand_now_us();
    watchdog_end(&w);
    if (w.cancelled)
        verdict_measured("%s after %d ms", stand_said(t, status), (int)((now - w.cancelled_us) / 1000));
    else
        verdict_measured("the call did not wait");
    verdict_pass();
}

void case_deadline(const subject *s)
{
    watchdog w;
    inputs in;
    stand *t = prepare(s, &in);
    stand_call(t, DEADLINE_MS);
    int64_t from = stand_now_us();
    watchdog_start(&w, t, false);
    pst_status status = long_call(t, &in);
    int64_t took_ms = (stand_now_us() - from) / 1000;
    watchdog_end(&w);
    verdict_measured("%.60s after %d of %d ms", stand_said(t, status), (int)took_ms, DEADLINE_MS);
    verdict_pass();
}

/* ---- Secrets ---- */

/* Does a setting inside another one take a secret? */
static bool has_secret(const json_t *schema)
{
    const char *key, *format = json_string_value(json_object_get(schema, "format"));
    json_t *one;
    if (format && !strcmp(format, "penstock-secret"))
        return true;
    json_object_foreach((json_t *)schema, key, one)
    {
        if (json_is_object(one) && has_secret(one))
            return true;
    }
    return false;
}

/* Gives every setting that is a secret a reference, if the schema then still takes the config. */
static void configure_with_secrets(stand *t)
{
    status st;
    json_t *all = stand_config(t),
           *properties = json_object_get(t->subject->entry->config_schema, "properties"), *one;
    const char *key, *format;
    unsigned found = 0;
    json_object_foreach(properties, key, one)
    {
        format = json_string_value(json_object_get(one, "format"));
        if (!format || strcmp(format, "penstock-secret") != 0)
            continue;
        found++;
        if (!json_object_get(all, key) && strstr(key, "url") == NULL)
            json_object_set_new(all, key, json_string("reference-of-a-secret"));
    }
    if (!found && !has_secret(t->subject->entry->config_schema))
        verdict_skip("its schema has no secret");
    if (!stand_configure(t, all, &st) && !stand_configure(t, stand_config(t), &st))
        verdict_fail(st.where, "%s", st.text);
}

static void look_for_secret(const char *what, const char *said)
{
    if (said && strstr(said, STAND_SECRET))
        verdict_fail(what, "the secret's value stands in it");
}

static void spill(stand *t)
{
    const pst_check *check = stand_interface(t, PST_IF_CHECK);
    if (stand_create(t) != PST_OK) {
        look_for_secret("the error of create", t->error->message);
        stand_destroy(t);
        return;
    }
    if (check)
        check->check(t->self, stand_call(t, 1000), t->error);
    look_for_secret("the error of check", t->error->message);
    stand_call(t, 1000);
    if (stand_interface(t, PST_IF_SEND)) {
        drive_send(t);
        look_for_secret("the error of send", t->error->message);
    }
    if (stand_interface(t, PST_IF_SINK) && project_text(&t->subject->project, "input")) {
        static inputs in;
        size_t refused;
        drive_inputs(t, 1, 0, &in);
        drive_write(t, &in, 0, &refused);
        look_for_secret("the error of write", t->error->message);
    }
    const pst_source *source = stand_interface(t, PST_IF_SOURCE);
    if (source && source->open(t->self, t->call, (pst_bytes){0}, t->error) == PST_OK) {
        for (int i = 0; i < 5; i++)
            read_once(t);
        look_for_secret("the error of read", t->error->message);
        source->close(t->self);
    }
    stand_destroy(t);
}

static void captured_check(int fd)
{
    static char said[1 << 20];
    ssize_t n = pread(fd, said, sizeof said - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    look_for_secret("standard output or error", said);
}

/* Once with a far side that answers, once with one that refuses, once with one that is silent. */
void case_secrets(const subject *s)
{
    static const far_mode modes[] = {FAR_ANSWERS, FAR_REFUSES, FAR_SILENT};
    unsigned given = 0;
    int fd = memfd_create("said", MFD_CLOEXEC);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        stand *t = stand_open(s, modes[i]);
        configure_with_secrets(t);
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
            verdict_fail(NULL, "no file for what it says: %s", strerror(errno));
        spill(t);
        look_for_secret("the log", text_or_empty(&t->log));
        given += t->secrets_given;
        far_side_stop(&t->far);
    }
    fflush(NULL);
    captured_check(fd);
    verdict_measured("%u times a secret was asked for", given);
    verdict_pass();
}
