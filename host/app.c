/* The host's life: settings → nursery → lanes, loop, API (which says why it is not ready yet) → on a lane,
 * again and again until it works: database, control plane, plugins, flow, workspaces → ready. A signal drains
 * the API, ends the loop, and everything is taken down in reverse. The private PostgreSQL stays: the next
 * host adopts it. */
#include "app.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app_private.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "config/weight.h"
#include "control/key.h"
#include "serve/job_desk.h"

enum {
    DRAIN_MS = 5000,
    DISMISS_MS = 2000,
    STOP_S = 8,
    RETRY_FIRST_MS = 250,
    RETRY_LAST_MS = 5000,
    LANES_LEAST = 16,
    MINUTE_MS = 60000,
};

static const int64_t idle_cell_us = 300 * INT64_C(1000000);

/* ---- starting what needs a database, on a lane ---- */

static status_class open_control(app *a, status *st)
{
    connection *c;
    char path[PATH_MAX + 16];
    bool made;
    a->control.key = a->secret_key;
    a->control.plugins = app_plugins(a);
    status_class class = control_identify(&a->control, st);
    if (class == STATUS_OK)
        class = pool_borrow(a->control.control, NULL, CONTROL_WAIT_MS, &c, st);
    if (class != STATUS_OK)
        return class;
    snprintf(path, sizeof path, "%s/admin.key", a->state);
    class = key_ensure_admin(c, path, &made, st);
    pool_return(a->control.control, c);
    if (class == STATUS_OK && made)
        log_info("app", "the first admin key was made", LOG_TEXT("file", path));
    return class;
}

static status_class load_workspaces(app *a, status *st)
{
    app_fill_services(a);
    return services_load_all(&a->services, st);
}

status_class app_flow_create(app *a, status *st)
{
    flow_parts parts = {.loop = a->loop,
                        .lanes = a->lanes,
                        .data = a->control.data,
                        .control = a->control.control,
                        .catalog = a->catalog,
                        .instances = a->instances,
                        .secrets = app_secrets(a),
                        .state_folder = a->state,
                        .journal_bytes = (uint64_t)settings_integer(a->settings, "journal.size"),
                        .journal_keep_free = (uint32_t)settings_integer(a->settings, "journal.keep_free"),
                        .store_bytes = (uint64_t)settings_integer(a->settings, "limits.store_bytes"),
                        .letters = {settings_integer(a->settings, "limits.dead_letters"),
                                    settings_integer(a->settings, "limits.dead_letter_bytes")},
                        .ledger_every_us = settings_integer(a->settings, "ledger.every"),
                        .query_rows = (uint32_t)settings_integer(a->settings, "limits.query_rows"),
                        .hook_rate = (unsigned)settings_integer(a->settings, "limits.hook_rate"),
                        .rest_us = settings_integer(a->settings, "workspaces.rest"),
                        .query_timeout_ms =
                            (int)(settings_integer(a->settings, "limits.query_timeout") / 1000),
                        .writers = (unsigned)settings_integer(a->settings, "writers"),
                        .build_share = (unsigned)settings_integer(a->settings, "build_share"),
                        .settings = a->settings,
                        .stack_id = a->control.stack_id,
                        .host_name = a->host_name};
    status_class class = flow_create(&parts, &a->flow, st);
    if (class == STATUS_OK)
        a->reload = app_reload(a);
    return class;
}

static status_class open_flow(app *a, status *st)
{
    if (a->snapshot && a->flow)
        return app_snapshot_resume(a, st);
    if (a->flow)
        return STATUS_OK;
    status_class class = app_flow_create(a, st);
    return class == STATUS_OK ? load_workspaces(a, st) : class;
}

/* On the thread that watches the folders. */
static void on_catalog_change(void *arg)
{
    app *a = arg;
    reload_look(a->reload);
    flow_retry_sources(a->flow); /* a plugin that was missing may be there now */
}

static void on_started(void *arg)
{
    app *a = arg;
    status st;
    if (atomic_load(&a->stopping))
        return;
    flow_start(a->flow);
    if (catalog_watch(a->catalog, on_catalog_change, a, &st) != STATUS_OK)
        log_status(LOG_LEVEL_ERROR, "app", "new plugin files are not seen", &st);
    job_desk_look(a->services.jobs);
    atomic_store(&a->ready, true);
    atomic_store(&a->degraded, false);
    log_info("app", "ready", LOG_TEXT("listen", settings_text(a->settings, "listen")));
}

static void start_on_lane(void *arg);

static void on_retry(void *arg)
{
    app *a = arg;
    timer_stop(a->retry);
    a->retry = NULL;
    lane_post(a->start_lane, start_on_lane, a);
}

static void on_not_started(void *arg)
{
    app *a = arg;
    if (atomic_load(&a->stopping))
        return;
    a->retry_ms = a->retry_ms ? a->retry_ms * 2 : RETRY_FIRST_MS;
    a->retry_ms = a->retry_ms > RETRY_LAST_MS ? RETRY_LAST_MS : a->retry_ms;
    a->retry = timer_start(a->loop, a->retry_ms, false, on_retry, a);
}

static void start_on_lane(void *arg)
{
    app *a = arg;
    status st;
    status_class class = app_plugins_open(a, &st);
    if (class == STATUS_OK)
        class = app_database_open(a, &st);
    if (class == STATUS_OK)
        class = open_control(a, &st);
    bool away = class != STATUS_OK && a->catalog;
    if (class == STATUS_OK)
        class = open_flow(a, &st);
    if (class == STATUS_OK) {
        loop_post(a->loop, on_started, a);
        return;
    }
    log_status(LOG_LEVEL_ERROR, "app", "not ready yet, trying again", &st);
    if (away)
        app_snapshot_start(a, &st);
    pthread_mutex_lock(&a->lock);
    a->starting = st;
    pthread_mutex_unlock(&a->lock);
    loop_post(a->loop, on_not_started, a);
}

/* ---- signals ---- */

static void on_drained(void *arg)
{
    app *a = arg;
    router_free(a->router);
    a->router = NULL;
    loop_stop(a->loop);
}

/* Requests that wait for a table which may be away are told that their rows are kept. */
static void on_dismiss(void *arg)
{
    flow_dismiss(((app *)arg)->flow);
}

/* Whoever stops the host waits for STOP_S at most. What then still hangs (a statement that a stopped
 * PostgreSQL does not answer, a plugin) is left as a kill would leave it: nothing that was acknowledged
 * depends on it. */
static void *end_in_time(void *arg)
{
    struct timespec left = {.tv_sec = STOP_S};
    (void)arg;
    while (nanosleep(&left, &left) != 0)
        ;
    log_warn("app", "stopped without waiting for what still hangs");
    _exit(0);
}

static void limit_stop(app *a)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, end_in_time, NULL) == 0)
        pthread_detach(thread);
    if (atomic_load(&a->ready) || atomic_load(&a->degraded))
        timer_start(a->loop, DISMISS_MS, true, on_dismiss, a);
}

static void stop(app *a)
{
    if (atomic_exchange(&a->stopping, true))
        return;
    log_info("app", "stopping");
    limit_stop(a);
    timer_stop(a->retry);
    a->retry = NULL;
    for (int i = 0; i < 3; i++)
        uv_close((uv_handle_t *)&a->signals[i], NULL);
    if (atomic_load(&a->ready))
        job_desk_dismiss(a->services.jobs);
    if (a->router)
        router_drain(a->router, DRAIN_MS, on_drained, a);
    else
        loop_stop(a->loop);
}

/* The flags without --describe, which is no setting. */
static status_class load_settings(const app *a, settings **out, status *st)
{
    int n = 0;
    const char **argv = memory_zero((size_t)a->argc + 1, sizeof *argv);
    for (int i = 0; i < a->argc; i++)
        if (strcmp(a->argv[i], "--describe") != 0)
            argv[n++] = a->argv[i];
    settings_source source = {.environment = (const char *const *)environ,
                              .file = "/etc/penstock/penstock.yaml",
                              .argc = n,
                              .argv = argv};
    status_class class = settings_load(&source, out, st);
    if (class == STATUS_OK && (class = weights_check(*out, st)) != STATUS_OK)
        settings_free(*out);
    free(argv);
    return class;
}

static void apply_log_settings(const settings *s)
{
    log_level level = LOG_LEVEL_INFO;
    log_level_parse(settings_text(s, "log.level"), &level);
    bool json = strcmp(settings_text(s, "log.format"), "json") == 0;
    log_setup(STDERR_FILENO, json ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT, level);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    stop(handle->data);
}

static void on_changed(void *arg, const setting_key *key)
{
    (void)arg;
    if (key->reloadable)
        log_info("app", "a setting has changed", LOG_TEXT("setting", key->name));
    else
        log_warn("app", "a setting has changed that needs a restart", LOG_TEXT("setting", key->name));
}

static void on_reload(uv_signal_t *handle, int number)
{
    app *a = handle->data;
    status st;
    settings *fresh;
    (void)number;
    if (load_settings(a, &fresh, &st) != STATUS_OK) {
        log_status(LOG_LEVEL_ERROR, "app", "the new settings are wrong, the old ones stay", &st);
        return;
    }
    apply_log_settings(fresh);
    settings_compare(a->reloaded ? a->reloaded : a->settings, fresh, on_changed, NULL);
    settings_free(a->reloaded);
    a->reloaded = fresh;
    log_info("app", "settings were read again");
}

static void watch_signals(app *a)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (int i = 0; i < 3; i++) {
        uv_signal_init(loop_uv(a->loop), &a->signals[i]);
        a->signals[i].data = a;
        uv_signal_start(&a->signals[i], numbers[i] == SIGHUP ? on_reload : on_signal, numbers[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like a full disk */
}

/* ---- life ---- */

static status_class open_state(app *a, status *st)
{
    char path[PATH_MAX + 16];
    const char *folder = settings_text(a->settings, "state");
    if (folder[0] != '/')
        return status_at(st, STATUS_INVALID, settings_origin(a->settings, "state"),
                         "state: %s is not an absolute path", folder);
    snprintf(a->state, sizeof a->state, "%s", folder);
    gethostname(a->host_name, sizeof a->host_name - 1);
    status_class class = disk_make_folder(a->state, 0700, st);
    if (class != STATUS_OK)
        return class;
    snprintf(path, sizeof path, "%s/host.lock", a->state);
    a->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (a->lock_fd < 0)
        return status_errno(st, errno, path);
    if (flock(a->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        status_at(st, STATUS_CONFLICT, a->state, "another host uses this state folder");
        return status_hint(st, "stop it (penstock down), or give this one its own --state");
    }
    return secret_key_open(a->state, &a->secret_key, st);
}

static unsigned lane_threads(const app *a)
{
    int64_t set = settings_integer(a->settings, "lanes.threads");
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned by_cores = cores > 0 ? (unsigned)cores * 4 : LANES_LEAST;
    return set > 0 ? (unsigned)set : by_cores > LANES_LEAST ? by_cores : LANES_LEAST;
}

/* What nobody needs any more: cells, then the memory that work has left behind. */
static void tidy_up(void *arg)
{
    app *a = arg;
    if (a->instances)
        instance_set_stop_idle(a->instances, idle_cell_us);
    memory_give_back();
}

static void on_minute(void *arg)
{
    app *a = arg;
    if (atomic_load(&a->ready)) {
        lane_post(a->start_lane, tidy_up, a);
        job_desk_look(a->services.jobs); /* leases of dead hosts run out */
    }
}

static status_class run(app *a, status *st)
{
    status_class class = open_state(a, st);
    if (class != STATUS_OK)
        return class;
    a->loop = loop_create();
    a->lanes = lane_pool_create(lane_threads(a));
    a->start_lane = lane_open(a->lanes, "start");
    status_set(&a->starting, STATUS_UNAVAILABLE, "the host is starting");
    class = app_api_open(a, st);
    if (class != STATUS_OK)
        return class;
    app_metrics_begin(a);
    watch_signals(a);
    timer_start(a->loop, MINUTE_MS, true, on_minute, a);
    app_database_watch(a);
    app_snapshot_begin(a);
    lane_post(a->start_lane, start_on_lane, a);
    loop_run(a->loop);
    return STATUS_OK;
}

static void take_down(app *a)
{
    app_metrics_end();
    lane_close(a->start_lane);
    app_snapshot_end(a);
    reload_end(a->reload);
    if (a->flow)
        flow_stop(a->flow);
    if (a->catalog)
        catalog_unwatch(a->catalog); /* it may have been trying a version with what the flow has */
    job_desk_free(a->services.jobs);
    if (a->router)
        router_free(a->router);
    loop_free(a->loop);
    flow_free(a->flow);
    reload_free(a->reload);
    instance_set_free(a->instances);
    catalog_free(a->catalog);
    lane_pool_free(a->lanes);
    directory_free(a->services.directory);
    snapshot_free(a->snapshot);
    hook_book_free(a->services.hooks);
    app_database_close(a);
    route_table_free(a->routes);
    secret_key_free(a->secret_key);
    if (a->lock_fd > 0)
        close(a->lock_fd);
}

static int explain(const status *st)
{
    fprintf(stderr, "penstockd: %s%s%s\n", st->where[0] ? st->where : "", st->where[0] ? ": " : "", st->text);
    if (st->hint[0])
        fprintf(stderr, "  try: %s\n", st->hint);
    return st->class == STATUS_INVALID ? 2 : 1;
}

static bool asked_for(const app *a, const char *flag)
{
    for (int i = 0; i < a->argc; i++)
        if (strcmp(a->argv[i], flag) == 0)
            return true;
    return false;
}

/* Every setting with its value and where that came from. */
static int describe(const app *a)
{
    status st;
    settings *s = NULL;
    text out = {0};
    if (load_settings(a, &s, &st) != STATUS_OK)
        return explain(&st);
    settings_describe(s, &out);
    fputs(text_or_empty(&out), stdout);
    text_free(&out);
    settings_free(s);
    return 0;
}

static int help(void)
{
    text out = {0};
    settings_help(&out);
    printf(
        "usage: penstockd [--config FILE] [--SETTING VALUE …]\n"
        "       penstockd --describe | --version | --help\n\n"
        "Each setting is a flag, a variable (log.level: PENSTOCK_LOG_LEVEL) or a key of the YAML file:\n%s",
        text_or_empty(&out));
    text_free(&out);
    return 0;
}

int app_main(int argc, char **argv)
{
    app a = {.argc = argc - 1, .argv = (const char *const *)argv + 1};
    status st;
    memory_use_one_heap();
    umask(077);
    if (asked_for(&a, "--version")) {
        printf("penstockd %s\n", PENSTOCK_VERSION);
        return 0;
    }
    if (asked_for(&a, "--help"))
        return help();
    if (asked_for(&a, "--describe"))
        return describe(&a);
    a.nursery = nursery_start(&st); /* before there are threads or much memory */
    if (!a.nursery || sodium_init() < 0)
        return explain(&st);
    status_class class = load_settings(&a, &a.settings, &st);
    if (class == STATUS_OK) {
        apply_log_settings(a.settings);
        pthread_mutex_init(&a.lock, NULL);
        class = run(&a, &st);
        take_down(&a);
        pthread_mutex_destroy(&a.lock);
    }
    settings_free(a.settings);
    settings_free(a.reloaded);
    nursery_stop(a.nursery);
    if (class == STATUS_OK)
        log_info("app", "stopped");
    return class == STATUS_OK ? 0 : explain(&st);
}
