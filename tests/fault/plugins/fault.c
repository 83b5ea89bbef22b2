/* A source that does, when it is read, what its config says: crash, hang, or hand over a batch that lies. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "penstock/batch.h"

extern const char config_schema[];

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume_after, pst_error *error)
{
    (void)self, (void)call, (void)resume_after, (void)error;
    return PST_OK;
}

static pst_builder *two_rows(void)
{
    pst_builder *b = pst_builder_create();
    int name = pst_builder_column(b, "name", PST_TEXT), n = pst_builder_column(b, "n", PST_INTEGER);
    for (int i = 0; i < 3; i++) {
        pst_builder_set_text(b, name, "ab\xc3\xa9z");
        pst_builder_set_int(b, n, i);
        pst_builder_row(b);
    }
    return b;
}

/* Bends a good batch. The buffers are the plugin's own, so that is easy. */
static void bend(const char *how, pst_batch *out)
{
    int32_t *offsets = (int32_t *)(uintptr_t)out->array.children[0]->buffers[1];
    char *data = (char *)(uintptr_t)out->array.children[0]->buffers[2];
    if (!strcmp(how, "offsets_negative"))
        offsets[0] = -5;
    else if (!strcmp(how, "offsets_backwards"))
        offsets[1] = 12;
    else if (!strcmp(how, "offsets_beyond"))
        offsets[2] = 1 << 30;
    else if (!strcmp(how, "offsets_split"))
        offsets[1] = 3;
    else if (!strcmp(how, "not_utf8"))
        data[3] = 'x';
    else if (!strcmp(how, "nul"))
        data[0] = '\0';
    else if (!strcmp(how, "same_name"))
        out->schema.children[1]->name = "name";
    else if (!strcmp(how, "format"))
        out->schema.children[1]->format = "+l";
    else if (!strcmp(how, "bytes"))
        out->schema.children[0]->format = "z";
    else if (!strcmp(how, "time"))
        out->schema.children[1]->format = "tsu:UTC",
        ((int64_t *)(uintptr_t)out->array.children[1]->buffers[1])[1] = INT64_MAX;
    else if (!strcmp(how, "length"))
        out->array.children[1]->length = 2;
}

static void die(const char *how, const pst_call *call)
{
    struct pollfd cancel = {.fd = call->cancel_fd, .events = POLLIN};
    if (!strcmp(how, "segv"))
        raise(SIGSEGV);
    else if (!strcmp(how, "abort"))
        abort();
    else if (!strcmp(how, "exit"))
        _exit(0);
    else if (!strcmp(how, "close_socket"))
        shutdown(3, SHUT_RDWR); /* closing it is refused */
    else if (!strcmp(how, "garbage_message"))
        send(3, "garbage", 7, 0);
    else if (!strcmp(how, "garbage_long"))
        send(3, config_schema, 90, 0);
    while (!strcmp(how, "hang") || !strcmp(how, "close_socket"))
        pause();
    while (!strcmp(how, "spin"))
        __asm__ volatile("");
    for (clock_t until = clock() + CLOCKS_PER_SEC / 50; !strcmp(how, "compute") && clock() < until;)
        continue;
    if (!strcmp(how, "polite"))
        poll(&cancel, 1, -1);
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    const pst_host *host = self;
    const char *how = host->config_text(host, "/how");
    die(how, call);
    if (!strcmp(how, "polite"))
        return pst_fail(error, PST_E_CANCELLED, NULL, "it was asked to give up");
    if (!strcmp(how, "bug"))
        return pst_fail(error, PST_E_INTERNAL, NULL, "an invariant does not hold");
    if (!strcmp(how, "unknown_status"))
        return -4711;
    if (!strcmp(how, "mount"))
        return syscall(SYS_mount, 0, 0, 0, 0, 0) == -1 && syscall(SYS_ptrace, 0, 0, 0, 0) == -1
                   ? PST_IDLE
                   : pst_fail(error, PST_E_INTERNAL, NULL, "the sandbox lets it mount or trace");
    for (int i = 0; !strcmp(how, "chatter") && i < 10000; i++)
        host->log(host, PST_LOG_DEBUG, "chatter", NULL, 0);
    for (int i = 0; !strcmp(how, "observe_wrong") && i < 10; i++)
        host->observe(host, 4000000000u, 1);
    pst_builder *b = two_rows();
    if (!strcmp(how, "rows"))
        for (uint32_t i = 0; i <= max_rows; i++)
            pst_builder_row(b);
    pst_status status = pst_builder_finish(b, NULL, (pst_bytes){0}, 0, out, error);
    pst_builder_free(b);
    if (status == PST_OK)
        bend(how, out);
    if (!strcmp(how, "cursor"))
        out->cursor = (pst_bytes){calloc(1, 65537), 65537};
    return status;
}

static void on_close(void *self)
{
    (void)self;
}

static const pst_source source = {
    .struct_size = sizeof source, .open = on_open, .read = on_read, .close = on_close};

static const void *get_interface(const char *id)
{
    return !strcmp(id, PST_IF_SOURCE) ? &source : NULL;
}

static pst_status create(const pst_host *host, void **self, pst_error *error)
{
    (void)error;
    if (!strcmp(host->config_text(host, "/how"), "create"))
        raise(SIGSEGV);
    *self = (void *)(uintptr_t)host;
    return PST_OK;
}

static void destroy(void *self)
{
    (void)self;
}

PST_EXPORT const pst_plugin penstock_plugin_v1 = {.struct_size = sizeof(pst_plugin),
                                                  .abi_minor = PST_ABI_MINOR,
                                                  .id = "org.penstock.test.fault",
                                                  .kind = PST_KIND_CONNECTOR,
                                                  .version = "1.0.0",
                                                  .title = "Fault",
                                                  .licence = "Apache-2.0",
                                                  .config_schema = config_schema,
                                                  .get_interface = get_interface,
                                                  .create = create,
                                                  .destroy = destroy};
