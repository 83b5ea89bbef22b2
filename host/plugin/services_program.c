/* penstock.program: a program of the machine that runs for an instance, outside of every sandbox. So nothing
 * of what is run comes from the cell: program, arguments and variables are read from the configuration, and
 * the program must stand in the host's exec.allow. It has a process group of its own, which is killed with
 * the cell.
 *
 * Only the connector exec is served: others have the configuration keys for something else. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "config/grant.h"
#include "penstock/plugin.h"
#include "plugin/instance_private.h"
#include "plugin/services.h"

#define TRUSTED_PLUGIN "org.penstock.connector.exec"
enum { STRINGS_MAX = 256, STOP_MS = 500, PROGRAM_NICE = 5 };

#ifdef PENSTOCK_SANITIZED
enum { LIMITS = 2 }; /* not of memory: the nursery's sanitizer needs some between fork and exec */
#else
enum { LIMITS = 3 };
#endif

typedef struct program {
    nursery_child child;
    int errors; /* its standard error, until it is asked for; -1 = none */
} program;

/* ---- Its end ---- */

static void signal_group(const program *p, int number)
{
    if (p->child.pid > 1)
        kill(-p->child.pid, number); /* the group lives while anybody is in it */
}

void program_end(instance *in, bool politely)
{
    program *p = in->program;
    nursery *n = in->set->settings.spawner;
    nursery_exit how;
    status st;
    if (!p)
        return;
    if (p->child.pid > 0) {
        if (politely && nursery_wait(n, &p->child, 0, &how, &st) != STATUS_OK) {
            signal_group(p, SIGTERM);
            nursery_wait(n, &p->child, STOP_MS, &how, &st);
        }
        signal_group(p, SIGKILL);
        nursery_release(n, &p->child);
    }
    if (p->errors >= 0)
        close(p->errors);
    free(p);
    in->program = NULL;
}

/* ---- What is to be run ---- */

typedef struct order {
    json_t *config;
    const char *argv[STRINGS_MAX + 2];
    char *env[STRINGS_MAX + 3]; /* owned, wiped: secrets are among them */
    size_t n_env;
} order;

static void order_free(order *o)
{
    for (size_t i = 0; i < o->n_env; i++) {
        explicit_bzero(o->env[i], strlen(o->env[i]));
        free(o->env[i]);
    }
    json_decref(o->config);
}

static void add_variable(order *o, const char *name, const char *value)
{
    text one = {0};
    text_printf(&one, "%s=%s", name, value);
    o->env[o->n_env++] = one.data;
}

static status_class add_secret(service_call *call, order *o, const char *name, const char *reference,
                               status *st)
{
    const instance_secrets *secrets = &call->in->secrets;
    text value = {0};
    status_class class =
        secrets->fetch ? secrets->fetch(secrets->self, call->workspace, reference, call->subject, &value, st)
                       : status_set(st, STATUS_INVALID, "there are no secrets here");
    if (class == STATUS_OK && value.data && memchr(value.data, '\0', value.len))
        class = status_set(st, STATUS_INVALID, "the secret %.60s is no text", reference);
    if (class == STATUS_OK)
        add_variable(o, name, text_or_empty(&value));
    if (value.data)
        explicit_bzero(value.data, value.len);
    text_free(&value);
    return class;
}

/* Nothing of the host's own environment but these. */
static status_class read_order(service_call *call, order *o, status *st)
{
    const char *name;
    json_t *value;
    size_t i;
    pthread_mutex_lock(&call->in->facts_lock);
    o->config = json_loads(call->in->config, JSON_DECODE_ANY, NULL);
    pthread_mutex_unlock(&call->in->facts_lock);
    const json_t *arguments = json_object_get(o->config, "arguments"),
                 *plain = json_object_get(o->config, "environment"),
                 *secrets = json_object_get(o->config, "secrets");
    if (json_array_size(arguments) + json_object_size(plain) + json_object_size(secrets) > STRINGS_MAX)
        return status_set(st, STATUS_LIMIT, "more than %d arguments and variables", STRINGS_MAX);
    o->argv[0] = json_string_value(json_object_get(o->config, "program"));
    json_array_foreach(arguments, i, value)
    {
        o->argv[i + 1] = json_string_value(value);
    }
    add_variable(o, "PATH", "/usr/local/bin:/usr/bin:/bin");
    add_variable(o, "LANG", "C.UTF-8");
    json_object_foreach((json_t *)plain, name, value)
    {
        add_variable(o, name, json_string_value(value));
    }
    status_class class = STATUS_OK;
    json_object_foreach((json_t *)secrets, name, value)
    {
        if (class == STATUS_OK)
            class = add_secret(call, o, name, json_string_value(value), st);
    }
    return class;
}

static status_class may_run(service_call *call, const char *path, status *st)
{
    const instance_set_settings *all = &call->in->set->settings;
    struct stat is;
    if (!path || !all->settings || !grant_program(all->settings, call->workspace_key, path)) {
        status_set(st, STATUS_DENIED, "workspace %s may not run %.200s", call->workspace_key,
                   path ? path : "(nothing)");
        instance_denied(call->in, "exec", path ? path : "");
        return status_hint(st, "the host's setting exec.allow grants programs");
    }
    if (stat(path, &is) != 0)
        return status_set(st, STATUS_INVALID, "%.200s cannot be run: %s", path, strerror(errno));
    if (!S_ISREG(is.st_mode) || !(is.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
        return status_set(st, STATUS_INVALID, "%.200s is no program", path);
    if (is.st_mode & S_IWOTH)
        return status_set(st, STATUS_INVALID, "%.200s can be written by anybody: it is not run", path);
    if (geteuid() == 0 && !all->cell_user) {
        status_set(st, STATUS_DENIED, "the host runs as root, and programs do not");
        return status_hint(st, "name a system user in plugins.user, or run the host as one");
    }
    return STATUS_OK;
}

/* ---- Its beginning ---- */

static uint64_t limit_of(const order *o, const char *key, uint64_t unit)
{
    return (uint64_t)json_integer_value(json_object_get(o->config, key)) * unit;
}

static status_class spawn(service_call *call, const order *o, int out, int errors, status *st)
{
    program *p = call->in->program;
    const nursery_fd fds[] = {{out, 1}, {errors, 2}};
    const nursery_limit limits[] = {{RLIMIT_CORE, 0},
                                    {RLIMIT_NOFILE, limit_of(o, "files", 1)},
                                    {RLIMIT_DATA, limit_of(o, "memory_mb", 1 << 20)}};
    const nursery_request r = {.program = o->argv[0],
                               .argv = o->argv,
                               .env = (const char *const *)o->env,
                               .user = call->in->set->settings.cell_user,
                               .fds = fds,
                               .n_fds = 2,
                               .limits = limits,
                               .n_limits = LIMITS,
                               .nice = PROGRAM_NICE};
    status_class class = nursery_spawn(call->in->set->settings.spawner, &r, &p->child, st);
    if (class == STATUS_NOT_FOUND) /* a person must act: no retry finds an interpreter that is not there */
        class = st->class = STATUS_INVALID;
    return class;
}

static status_class start(service_call *call, const order *o, status *st)
{
    int out[2] = {-1, -1}, errors[2] = {-1, -1};
    program *p = call->in->program = memory_zero(1, sizeof *p);
    *p = (program){.child = {.pidfd = -1}, .errors = -1};
    status_class class = pipe2(out, O_CLOEXEC) != 0 || pipe2(errors, O_CLOEXEC) != 0
                             ? status_errno(st, errno, "cannot make a pipe")
                             : spawn(call, o, out[1], errors[1], st);
    if (class == STATUS_OK) {
        call->reply->fd = out[0];
        p->errors = errors[0];
        out[0] = errors[0] = -1;
    }
    const int left[] = {out[0], out[1], errors[0], errors[1]};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        if (left[i] >= 0)
            close(left[i]);
    if (class != STATUS_OK)
        program_end(call->in, false);
    return class;
}

static status_class on_start(service_call *call, status *st)
{
    order o = {0};
    if (strcmp(call->in->plugin->id, TRUSTED_PLUGIN) != 0)
        return status_set(st, STATUS_UNSUPPORTED, "programs are for the plugin " TRUSTED_PLUGIN);
    program_end(call->in, true);
    status_class class = read_order(call, &o, st);
    if (class == STATUS_OK)
        class = may_run(call, o.argv[0], st);
    if (class == STATUS_OK)
        class = start(call, &o, st);
    order_free(&o);
    return class;
}

static status_class on_errors(service_call *call, status *st)
{
    program *p = call->in->program;
    if (!p || p->errors < 0)
        return status_set(st, STATUS_NOT_FOUND, "no program was started");
    call->reply->fd = p->errors;
    p->errors = -1;
    return STATUS_OK;
}

static status_class on_ended(service_call *call, status *st)
{
    program *p = call->in->program;
    nursery_exit how;
    if (!p) {
        call->reply->status = PST_END;
        return STATUS_OK;
    }
    status_class class = nursery_wait(call->in->set->settings.spawner, &p->child, 0, &how, st);
    if (class == STATUS_TIMEOUT)
        call->reply->status = PST_IDLE;
    if (class != STATUS_OK)
        return class == STATUS_TIMEOUT ? STATUS_OK : class;
    int32_t code = how.exited ? how.code : -how.code;
    frame_put(&call->reply->body, FRAME_AT, 0, &code, sizeof code);
    return STATUS_OK;
}

static status_class on_stop(service_call *call, status *st)
{
    (void)st;
    program_end(call->in, true);
    return STATUS_OK;
}

static const service_function functions[] = {[SERVICE_PROGRAM_START] = on_start,
                                             [SERVICE_PROGRAM_ERRORS] = on_errors,
                                             [SERVICE_PROGRAM_ENDED] = on_ended,
                                             [SERVICE_PROGRAM_STOP] = on_stop};
const service service_program = {SERVICE_PROGRAM, false, functions, sizeof functions / sizeof *functions};
