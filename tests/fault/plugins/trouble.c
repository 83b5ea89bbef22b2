/* The faults themselves. Those that end or stop the process do not return. */
#include "trouble.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BEND_NONE, BEND_OFFSETS, BEND_RELEASE, BEND_NOT_UTF8, BEND_LENGTH };
enum { LEAK_STEP = 1 << 20, GROWTH = 24 << 20, DESCRIPTORS = 10000 };

void trouble_read(trouble *t, const pst_host *host)
{
    *t = (trouble){.host = host, .what = host->config_text(host, "/trouble/what")};
    t->text = host->config_text(host, "/trouble/text");
    t->by_value = host->config_has(host, "/trouble/value");
    t->value = host->config_real(host, "/trouble/value");
    t->at_call = host->config_int(host, "/trouble/call");
}

static bool is(const trouble *t, const char *what)
{
    return !strcmp(t->what, what);
}

static void *idle(void *unused)
{
    for (;;)
        pause();
    return unused;
}

/* To the limit and beyond: touched, so that it counts. Without a limit on malloc the host's own ends it. */
static void leak(void)
{
    for (;;) {
        char *p = malloc(LEAK_STEP);
        if (!p)
            abort();
        for (size_t i = 0; i < LEAK_STEP; i += 4096)
            ((volatile char *)p)[i] = 1;
    }
}

/* A little more with each call, and on it goes. */
static void grow(void)
{
    char *p = malloc(GROWTH);
    for (size_t i = 0; p && i < GROWTH; i += 4096)
        ((volatile char *)p)[i] = 1;
}

static void leak_descriptors(void)
{
    for (int i = 0; i < DESCRIPTORS; i++)
        if (dup(0) < 0)
            return;
}

static void leave_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, idle, NULL) == 0)
        pthread_detach(thread);
}

static void end(const trouble *t)
{
    if (is(t, "segv"))
        raise(SIGSEGV);
    if (is(t, "abort"))
        abort();
    if (is(t, "exit"))
        _exit(3);
    if (is(t, "hang"))
        idle(NULL);
    while (is(t, "spin"))
        __asm__ volatile("");
    if (is(t, "leak"))
        leak();
}

static pst_status make(trouble *t, const pst_call *call, pst_error *error)
{
    struct pollfd cancel = {.fd = call->cancel_fd, .events = POLLIN};
    end(t);
    if (is(t, "grow"))
        grow();
    else if (is(t, "descriptors"))
        leak_descriptors();
    else if (is(t, "thread"))
        leave_thread();
    else if (is(t, "garbage"))
        send(3, "garbage", 7, 0);
    else if (is(t, "offsets"))
        t->bend = BEND_OFFSETS;
    else if (is(t, "release"))
        t->bend = BEND_RELEASE;
    else if (is(t, "utf8"))
        t->bend = BEND_NOT_UTF8;
    else if (is(t, "length"))
        t->bend = BEND_LENGTH;
    else if (is(t, "bug"))
        return pst_fail(error, PST_E_INTERNAL, NULL, "an invariant does not hold");
    else if (is(t, "error"))
        return pst_fail(error, PST_E_DATA, NULL, "it does not like this row");
    else if (is(t, "polite")) {
        poll(&cancel, 1, -1);
        return pst_fail(error, PST_E_CANCELLED, NULL, "it was asked to give up");
    }
    return PST_OK;
}

pst_status trouble_call(trouble *t, const pst_call *call, pst_error *error)
{
    t->calls++;
    t->bend = BEND_NONE;
    if (!t->what)
        return PST_OK;
    bool always = !t->text && !t->by_value && !t->at_call;
    return always || t->calls == t->at_call ? make(t, call, error) : PST_OK;
}

pst_status trouble_row(trouble *t, const pst_call *call, double value, pst_error *error)
{
    return t->what && t->by_value && value == t->value ? make(t, call, error) : PST_OK;
}

pst_status trouble_bytes(trouble *t, const pst_call *call, const void *data, size_t len, pst_error *error)
{
    bool found = t->what && t->text && len && memmem(data, len, t->text, strlen(t->text));
    return found ? make(t, call, error) : PST_OK;
}

static pst_status one_input(trouble *t, const pst_call *call, const pst_input *in, pst_error *error)
{
    pst_column c;
    pst_error none = {.struct_size = sizeof none};
    const char *name = t->host->config_text(t->host, "/trouble/column");
    if (pst_column_find(in->schema, in->array, name ? name : "value", &c, &none) != PST_OK)
        return PST_OK;
    pst_status status = PST_OK;
    for (uint32_t i = 0; i < c.rows && status == PST_OK; i++)
        if (!pst_column_null(&c, i) && pst_column_numeric(&c))
            status = trouble_row(t, call, pst_column_real(&c, i), error);
    return status;
}

pst_status trouble_inputs(trouble *t, const pst_call *call, const pst_input *inputs, size_t n,
                          pst_error *error)
{
    pst_status status = PST_OK;
    for (size_t i = 0; t->what && t->by_value && i < n && status == PST_OK; i++)
        status = one_input(t, call, &inputs[i], error);
    return status;
}

static void release_wrongly(struct ArrowArray *array)
{
    raise(SIGSEGV);
    array->release = NULL;
}

/* The first text column; a batch without one is left alone. */
static struct ArrowArray *text_of(pst_batch *out)
{
    for (int64_t i = 0; i < out->array.n_children; i++)
        if (!strcmp(out->schema.children[i]->format, "u") && out->array.length > 0)
            return out->array.children[i];
    return NULL;
}

void trouble_bend(trouble *t, pst_batch *out)
{
    struct ArrowArray *column = text_of(out);
    int32_t *offsets = column ? (int32_t *)(uintptr_t)column->buffers[1] : NULL;
    char *data = column ? (char *)(uintptr_t)column->buffers[2] : NULL;
    if (t->bend == BEND_RELEASE)
        out->array.release = release_wrongly;
    else if (t->bend == BEND_OFFSETS && offsets)
        offsets[0] = -5;
    else if (t->bend == BEND_NOT_UTF8 && offsets && offsets[out->array.length])
        data[0] = '\xff';
    else if (t->bend == BEND_LENGTH && out->array.n_children)
        out->array.children[0]->length = out->array.length + 1;
    t->bend = BEND_NONE;
}
