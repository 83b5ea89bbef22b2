/* From create to destroy, and with hosts that are older or newer than the plugin. */
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check/case.h"
#include "check/drive.h"
#include "check/memory_fault.h"
#include "check/verdict.h"

enum { WARM_UP = 100, TIMES = 1000, HEAP_SLACK_BYTES = 8192, ALLOCATIONS_MAX = 500 };

/* There in sanitizer builds. NOLINTNEXTLINE(bugprone-reserved-identifier) */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

typedef struct holdings {
    size_t heap, descriptors, threads;
} holdings;

static size_t entries(const char *folder)
{
    DIR *d = opendir(folder);
    size_t n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static holdings holdings_now(void)
{
    struct mallinfo2 m = mallinfo2();
    size_t heap = __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
                                                          : m.uordblks + m.hblkhd;
    return (holdings){heap, entries("/proc/self/fd"), entries("/proc/self/task")};
}

static void round_trip(stand *t)
{
    pst_status status = stand_create(t);
    if (status != PST_OK)
        verdict_fail(t->error->where, "create: %s", stand_said(t, status));
    stand_destroy(t);
}

/* Threads that were told to end may still be on their way out. */
static holdings settled(const holdings *before)
{
    holdings now = holdings_now();
    for (int i = 0; i < 50 && now.threads > before->threads; i++) {
        usleep(10000);
        now = holdings_now();
    }
    return now;
}

void case_create_destroy(const subject *s)
{
    stand *t = stand_open(s, FAR_ANSWERS);
    stand_ready(t);
    stand_destroy(t);
    for (int i = 0; i < WARM_UP; i++)
        round_trip(t);
    holdings before = holdings_now();
    for (int i = 0; i < TIMES; i++)
        round_trip(t);
    holdings after = settled(&before);
    if (after.threads > before.threads)
        verdict_fail("create", "%zu threads more after %d times", after.threads - before.threads, TIMES);
    if (after.descriptors > before.descriptors)
        verdict_fail("create", "%zu descriptors more after %d times", after.descriptors - before.descriptors,
                     TIMES);
    if (after.heap > before.heap + HEAP_SLACK_BYTES)
        verdict_fail("create", "%zu bytes of heap more after %d times: %zu each", after.heap - before.heap,
                     TIMES, (after.heap - before.heap) / TIMES);
    if (t->bad_metrics)
        verdict_fail("observe", "an index beyond the declared metrics");
    verdict_measured("heap %+zd bytes", (ssize_t)(after.heap - before.heap));
    verdict_pass();
}

/* create, with each of its allocations failing in turn. How many there were. */
static unsigned starve(stand *t)
{
    unsigned n = 0;
    bool more = true;
    memory_fault_install(t->handle);
    while (more && n < ALLOCATIONS_MAX) {
        memory_fault_arm(++n);
        pst_status status = stand_create(t);
        more = memory_fault_fired();
        memory_fault_arm(0);
        if (more && status != PST_OK && status != PST_E_RESOURCE)
            verdict_fail("create", "allocation %u fails, and create says %s; RESOURCE is expected", n,
                         stand_said(t, status));
        stand_destroy(t);
    }
    return n - 1;
}

void case_half_built(const subject *s)
{
    stand *t = stand_open(s, FAR_ANSWERS);
    stand_ready(t);
    stand_destroy(t);
    verdict_doing("destroy(NULL)");
    t->plugin->destroy(NULL);
    t->no_services = true; /* create may give up here, with or without an object */
    stand_create(t);
    stand_destroy(t);
    t->no_services = false;
    verdict_measured("%u allocations failed, one at a time", starve(t));
    verdict_pass();
}

/* The structs of version 1.0 as they were: whatever comes later in them must be asked for with PST_HAS. */
enum {
    HOST_V1_0 = offsetof(pst_host, secret) + sizeof((pst_host *)0)->secret,
    CALL_V1_0 = offsetof(pst_call, trace) + sizeof((pst_call *)0)->trace
};

static void work(stand *t)
{
    static taken b;
    text out = {0};
    stand_call(t, 10000);
    switch (t->subject->entry->kind) {
    case PLUGIN_CONNECTOR:
        if (!stand_interface(t, PST_IF_SOURCE))
            break;
        drive_open(t, NULL);
        drive_take(t, 10, &b);
        drive_close(t);
        break;
    case PLUGIN_NOTIFIER:
        drive_send(t);
        break;
    case PLUGIN_METRIC:
    case PLUGIN_MODEL:
        if (project_text(&t->subject->project, "input") ||
            json_object_get(t->subject->project.check, "inputs")) {
            inputs in;
            drive_inputs(t, 1, 0, &in);
            drive_answer(t, &in, &out);
        }
        break;
    }
    text_free(&out);
}

void case_old_host(const subject *s)
{
    status st;
    stand *t = stand_open(s, FAR_ANSWERS);
    pst_host *host = stand_guarded(HOST_V1_0); /* the next byte is a crash */
    memcpy(host, t->host, HOST_V1_0);
    host->struct_size = HOST_V1_0;
    host->abi_minor = 0;
    t->host = host;
    if (!stand_configure(t, stand_config(t), &st))
        verdict_fail(st.where, "%s", st.text);
    t->no_services = true;
    pst_status status = stand_create(t);
    if (status != PST_OK && status != PST_E_UNSUPPORTED)
        verdict_fail(t->error->where, "create on a host without services: %s; UNSUPPORTED or OK is expected",
                     stand_said(t, status));
    if (status == PST_E_UNSUPPORTED && !t->error->message[0])
        verdict_fail("create", "UNSUPPORTED without a message: nobody can see what the host lacks");
    if (status == PST_OK)
        work(t);
    stand_destroy(t);
    t->no_services = false;
    status = stand_create(t);
    if (status != PST_OK)
        verdict_fail(t->error->where, "create on a host of version 1.0: %s", stand_said(t, status));
    work(t);
    stand_destroy(t);
    verdict_pass();
}

enum { GREW_BY = 256 };

void case_new_host(const subject *s)
{
    status st;
    stand *t = stand_open(s, FAR_ANSWERS);
    size_t size = sizeof(pst_host) + GREW_BY;
    pst_host *host = stand_guarded(size);
    memset(host, 0xA5, size); /* fields nobody knows yet */
    memcpy(host, t->host, sizeof *host);
    host->struct_size = (uint32_t)size;
    host->abi_minor = 99;
    t->host = host;
    if (!stand_configure(t, stand_config(t), &st))
        verdict_fail(st.where, "%s", st.text);
    pst_status status = stand_create(t);
    if (status != PST_OK)
        verdict_fail(t->error->where, "create on a newer host: %s", stand_said(t, status));
    work(t);
    stand_destroy(t);
    verdict_pass();
}

void case_unknown_names(const subject *s)
{
    static const char *const needed[][3] = {[PLUGIN_CONNECTOR] = {PST_IF_SOURCE, PST_IF_PUSH, PST_IF_SINK},
                                            [PLUGIN_NOTIFIER] = {PST_IF_SEND, PST_IF_SEND, PST_IF_SEND},
                                            [PLUGIN_METRIC] = {PST_IF_METRIC, PST_IF_METRIC, PST_IF_METRIC},
                                            [PLUGIN_MODEL] = {PST_IF_INFER, PST_IF_INFER, PST_IF_INFER}};
    static const char *const unknown[] = {"", "penstock", "penstock.connector.source/2",
                                          "org.example.nobody.knows.this/1"};
    stand *t = stand_open(s, FAR_ANSWERS);
    plugin_kind kind = s->entry->kind;
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        verdict_doing("get_interface(\"%s\")", unknown[i]);
        if (stand_interface(t, unknown[i]))
            verdict_fail("get_interface", "\"%s\" gives an interface", unknown[i]);
    }
    if (!stand_interface(t, needed[kind][0]) && !stand_interface(t, needed[kind][1]) &&
        !stand_interface(t, needed[kind][2]))
        verdict_fail("get_interface", "a %s without %s", plugin_kind_name(kind), needed[kind][0]);
    verdict_pass();
}
