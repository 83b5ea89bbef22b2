/* Everything a case takes from here is real but the host: the object file is loaded as a cell would load it.
 */
#include "check/stand.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/utc.h"
#include "check/verdict.h"
#include "plugin/entry.h"

#define ANSWER_MAX_BYTES (1UL << 20)
#define CLOCK_DEFAULT "2026-01-01T00:00:00Z"

int64_t stand_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void *stand_guarded(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (size + page - 1) / page * page;
    uint8_t *memory = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(memory != MAP_FAILED && mprotect(memory + room, page, PROT_NONE) == 0);
    return memory + room - size;
}

static void load(stand *t)
{
    verdict_doing("loading it");
    t->handle = dlopen(t->subject->file, RTLD_NOW | RTLD_LOCAL);
    if (!t->handle)
        verdict_fail(t->subject->file, "cannot be loaded: %s", dlerror());
    t->plugin = dlsym(t->handle, "penstock_plugin_v1");
    if (!t->plugin)
        verdict_fail(t->subject->file, "does not export penstock_plugin_v1");
}

/* The bytes of the file that check.json names as the far side's answer; the caller's. */
static text answer_of(const subject *s)
{
    const char *name = project_text(&s->project, "answer");
    char path[4200];
    text answer = {0};
    status st;
    if (name)
        project_path(&s->project, name, path, sizeof path);
    if (name && disk_read(path, ANSWER_MAX_BYTES, &answer, &st) != STATUS_OK)
        verdict_fail("check.json: answer", "%s", st.text);
    return answer;
}

stand *stand_open(const subject *s, far_mode mode)
{
    stand *t = calloc(1, sizeof *t);
    const char *clock = project_text(&s->project, "clock"), *protocol = project_text(&s->project, "far_side");
    clock = clock ? clock : CLOCK_DEFAULT;
    t->subject = s;
    t->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&t->lock, NULL);
    if (!utc_parse(clock, strlen(clock), &t->wall_us))
        verdict_fail("check.json: clock", "%s is no date-time", clock);
    if (protocol) {
        const char *program = project_text(&s->project, "program");
        text answer = {0};
        if (program)
            text_add(&answer, program);
        else
            answer = answer_of(s);
        far_side_start(protocol, text_or_empty(&answer), mode, &t->far);
        text_free(&answer);
    }
    t->host = stand_guarded(sizeof *t->host);
    t->call = stand_guarded(sizeof *t->call);
    t->error = stand_guarded(sizeof *t->error);
    stand_host_fill(t);
    stand_call(t, 30000);
    load(t);
    return t;
}

void stand_destroy(stand *t)
{
    verdict_doing("destroy");
    t->plugin->destroy(t->self);
    t->self = NULL;
}

void stand_close(stand *t)
{
    stand_destroy(t);
    far_side_stop(&t->far);
    json_decref(t->config);
    text_free(&t->log);
    close(t->cancel_fd);
    free(t);
}

/* Puts the far side into the texts of a config; "{port}" alone becomes a number. */
static json_t *place_put(json_t *value, const stand *t)
{
    const char *s = json_string_value(value), *key;
    json_t *item;
    size_t i;
    if (s && !strcmp(s, "{port}"))
        return json_integer(t->far.port);
    if (s) {
        text out = {0};
        for (; *s; s++) {
            if (!strncmp(s, "{host}", 6))
                text_add(&out, "127.0.0.1"), s += 5;
            else if (!strncmp(s, "{port}", 6))
                text_printf(&out, "%d", t->far.port), s += 5;
            else if (!strncmp(s, "{address}", 9))
                text_printf(&out, "127.0.0.1:%d", t->far.port), s += 8;
            else if (!strncmp(s, "{folder}", 8))
                text_add(&out, t->subject->project.folder), s += 7;
            else
                text_add_char(&out, *s);
        }
        json_t *made = json_string(text_or_empty(&out));
        text_free(&out);
        return made;
    }
    json_t *copy = json_is_object(value)  ? json_object()
                   : json_is_array(value) ? json_array()
                                          : json_incref(value);
    json_object_foreach(value, key, item)
    {
        json_object_set_new(copy, key, place_put(item, t));
    }
    json_array_foreach(value, i, item)
    {
        json_array_append_new(copy, place_put(item, t));
    }
    return copy;
}

json_t *stand_config(const stand *t)
{
    json_t *given = json_object_get(t->subject->project.check, "config");
    return given ? place_put(given, t) : json_object();
}

bool stand_configure(stand *t, json_t *config, status *st)
{
    json_t *complete = NULL;
    status_class class = plugin_config_complete(t->subject->entry, config, &complete, st);
    json_decref(config);
    if (class != STATUS_OK)
        return false;
    json_decref(t->config);
    t->config = complete;
    return true;
}

pst_status stand_create(stand *t)
{
    stand_call(t, 30000);
    verdict_doing("create");
    return t->plugin->create(t->host, &t->self, t->error);
}

void stand_ready(stand *t)
{
    status st;
    if (!stand_configure(t, stand_config(t), &st)) {
        verdict_hint("put a config that works into check.json beside the plugin, or give --config FILE");
        verdict_fail(st.where[0] ? st.where : "the config", "%s", st.text);
    }
    pst_status status = stand_create(t);
    if (status != PST_OK)
        verdict_fail(t->error->where, "create with check.json's config: %s", stand_said(t, status));
}

const void *stand_interface(const stand *t, const char *id)
{
    return t->plugin->get_interface(id);
}

const pst_call *stand_call(stand *t, int ms)
{
    uint64_t n;
    while (read(t->cancel_fd, &n, sizeof n) > 0)
        ;
    memset(t->error, 0, sizeof *t->error);
    t->error->struct_size = sizeof *t->error;
    *t->call = (pst_call){.struct_size = sizeof *t->call,
                          .cancel_fd = t->cancel_fd,
                          .deadline_us = stand_now_us() + ms * 1000LL,
                          .work_id = "work-1",
                          .trace = "penstock-check"};
    return t->call;
}

void stand_cancel(stand *t)
{
    uint64_t one = 1;
    if (write(t->cancel_fd, &one, sizeof one) < 0)
        abort();
}

const char *stand_said(const stand *t, pst_status status)
{
    static const char *const names[] = {"INTERNAL",  "RESOURCE", "UNSUPPORTED", "TIMEOUT",
                                        "CANCELLED", "DATA",     "UNAVAILABLE", "AUTH",
                                        "CONFIG",    "OK",       "IDLE",        "END"};
    static char said[600];
    const char *name =
        status >= PST_E_INTERNAL && status <= PST_END ? names[status - PST_E_INTERNAL] : "an unknown status";
    t->error->message[sizeof t->error->message - 1] = '\0';
    snprintf(said, sizeof said, "%s%s%s", name, t->error->message[0] ? ": " : "", t->error->message);
    return said;
}
