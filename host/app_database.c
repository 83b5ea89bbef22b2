/* PostgreSQL for the host: the private cluster (or the outside servers that the settings name), the service
 * login, the two databases, their migrations and pools. Every step may be repeated, so a server that is away
 * only delays the start. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app_private.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/random.h"
#include "store/migrations.h"
#include "store/roles.h"

#define SERVICE_LOGIN "penstock_service"
#define CONTROL_DATABASE "penstock_control"
#define DATA_DATABASE "penstock_data"
enum { CONNECT_MS = 5000, DSN_MAX = 4096, WATCH_MS = 500, WATCH_PAUSE_TICKS_MAX = 20 };

/* ---- the cluster's processes are the nursery's children ---- */

static status_class spawn_start(void *self, const cluster_process *p, pid_t *pid_out, status *st)
{
    app *a = self;
    nursery_child child;
    status_class class;
    int out = open(p->output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out < 0)
        return status_errno(st, errno, p->output);
    nursery_fd fds[] = {{out, 1}, {out, 2}};
    nursery_request request = {.program = p->argv[0],
                               .argv = p->argv,
                               .env = p->env,
                               .folder = p->folder,
                               .user =
                                   p->uid == getuid() ? NULL : settings_text(a->settings, "database.user"),
                               .fds = fds,
                               .n_fds = 2,
                               .outlive = p->outlive};
    class = nursery_spawn(a->nursery, &request, &child, st);
    close(out);
    if (class != STATUS_OK)
        return class;
    *pid_out = child.pid;
    pthread_mutex_lock(&a->lock);
    nursery_child before = a->database_child;
    a->database_child = child;
    pthread_mutex_unlock(&a->lock);
    nursery_release(a->nursery, &before);
    return STATUS_OK;
}

static status_class spawn_wait(void *self, pid_t pid, int64_t timeout_ms, int *code_out, status *st)
{
    app *a = self;
    nursery_exit exit;
    pthread_mutex_lock(&a->lock);
    nursery_child child = a->database_child;
    pthread_mutex_unlock(&a->lock);
    if (child.pid != pid)
        return status_set(st, STATUS_INTERNAL, "process %d is not the database's", (int)pid);
    status_class class = nursery_wait(a->nursery, &child, (int)timeout_ms, &exit, st);
    if (class == STATUS_OK)
        *code_out = exit.exited ? exit.code : 128 + exit.code;
    return class;
}

static status_class start_cluster(app *a, status *st)
{
    cluster_spawn spawn = {spawn_start, spawn_wait, a};
    cluster_options options = {
        .state = a->state, .user = settings_text(a->settings, "database.user"), .spawn = &spawn};
    return cluster_start(&options, &a->cluster, st);
}

/* ---- while the host runs: a private cluster that has ended is started again ---- */

static void look_after_cluster(void *arg)
{
    app *a = arg;
    cluster_options options = {.state = a->state};
    pid_t pid;
    status st;
    if (!atomic_load(&a->stopping) && !cluster_running(&options, &pid)) {
        log_warn("app", "the private PostgreSQL has ended, starting it again");
        if (start_cluster(a, &st) != STATUS_OK) {
            log_status(LOG_LEVEL_ERROR, "app", "the private PostgreSQL does not start", &st);
            a->cluster_pause_ticks = a->cluster_pause_ticks ? a->cluster_pause_ticks * 2 : 1;
            if (a->cluster_pause_ticks > WATCH_PAUSE_TICKS_MAX)
                a->cluster_pause_ticks = WATCH_PAUSE_TICKS_MAX;
        } else {
            a->cluster_pause_ticks = 0;
        }
    }
    a->cluster_ticks_left = a->cluster_pause_ticks;
    atomic_store(&a->cluster_looking, false);
}

/* On the loop, so the two counters are the lane's only while `cluster_looking` is set. */
static void on_look(void *arg)
{
    app *a = arg;
    if (!atomic_load(&a->ready) || !a->private_cluster || atomic_load(&a->cluster_looking))
        return;
    if (a->cluster_ticks_left > 0) {
        a->cluster_ticks_left--;
        return;
    }
    atomic_store(&a->cluster_looking, true);
    lane_post(a->start_lane, look_after_cluster, a);
}

void app_database_watch(app *a)
{
    timer_start(a->loop, WATCH_MS, true, on_look, a);
}

/* ---- logins and databases of the private cluster ---- */

static connection_options super_options(const app *a, const char *database)
{
    return (connection_options){.host = a->cluster.sockets,
                                .port = a->cluster.port,
                                .database = database,
                                .user = a->cluster.superuser,
                                .password = a->cluster.password,
                                .application = "penstock set-up",
                                .connect_timeout_ms = CONNECT_MS};
}

static status_class close_database(app *a, const char *database, status *st)
{
    connection *c;
    connection_options options = super_options(a, database);
    status_class class = connection_open(&options, &c, st);
    if (class != STATUS_OK)
        return class;
    class = roles_database_close(c, database, SERVICE_LOGIN, st);
    connection_close(c);
    return class;
}

static status_class make_databases(app *a, status *st)
{
    connection *c;
    connection_options options = super_options(a, "postgres");
    status_class class = connection_open(&options, &c, st);
    if (class != STATUS_OK)
        return class;
    class = roles_service_create(c, SERVICE_LOGIN, a->service_password, st);
    if (class == STATUS_OK)
        class = roles_database_create(c, CONTROL_DATABASE, SERVICE_LOGIN, st);
    if (class == STATUS_OK)
        class = roles_database_create(c, DATA_DATABASE, SERVICE_LOGIN, st);
    connection_close(c);
    if (class == STATUS_OK)
        class = close_database(a, CONTROL_DATABASE, st);
    return class == STATUS_OK ? close_database(a, DATA_DATABASE, st) : class;
}

/* ---- pools ---- */

static pool *private_pool(const app *a, const char *database)
{
    pool_options options = {.base = {.host = a->cluster.sockets,
                                     .port = a->cluster.port,
                                     .database = database,
                                     .user = SERVICE_LOGIN,
                                     .password = a->service_password,
                                     .connect_timeout_ms = CONNECT_MS}};
    return pool_create(&options);
}

static pool *outside_pool(const char *dsn_file, status *st)
{
    text dsn = {0};
    if (disk_read(dsn_file, DSN_MAX, &dsn, st) != STATUS_OK)
        return NULL;
    while (dsn.len && (dsn.data[dsn.len - 1] == '\n' || dsn.data[dsn.len - 1] == ' '))
        dsn.data[--dsn.len] = '\0';
    pool_options options = {.base = {.dsn = dsn.data, .connect_timeout_ms = CONNECT_MS}};
    pool *p = pool_create(&options);
    sodium_memzero(dsn.data, dsn.len);
    text_free(&dsn);
    return p;
}

static status_class open_pools(app *a, status *st)
{
    const char *control_dsn = settings_text(a->settings, "database.control.dsn_file");
    const char *data_dsn = settings_text(a->settings, "database.data.dsn_file");
    if (!a->control.control)
        a->control.control = control_dsn ? outside_pool(control_dsn, st) : private_pool(a, CONTROL_DATABASE);
    if (!a->control.data && a->control.control)
        a->control.data = data_dsn ? outside_pool(data_dsn, st) : private_pool(a, DATA_DATABASE);
    return a->control.control && a->control.data ? STATUS_OK : st->class;
}

static status_class migrate(pool *p, migration_plane plane, status *st)
{
    connection *c;
    uint32_t applied;
    status_class class = pool_borrow(p, NULL, CONNECT_MS, &c, st);
    if (class != STATUS_OK)
        return class;
    class = migrations_run(c, plane, &applied, st);
    if (class == STATUS_OK && applied)
        log_info("app", "the database was brought up to date",
                 LOG_TEXT("plane", plane == MIGRATION_CONTROL ? "control" : "data"),
                 LOG_NUMBER("migrations", applied));
    pool_return(p, c);
    return class;
}

static void make_service_password(app *a)
{
    unsigned char raw[24];
    if (a->service_password[0])
        return;
    random_bytes(raw, sizeof raw);
    sodium_bin2hex(a->service_password, sizeof a->service_password, raw, sizeof raw);
}

status_class app_database_open(app *a, status *st)
{
    status_class class = STATUS_OK;
    a->private_cluster = !settings_text(a->settings, "database.control.dsn_file") ||
                         !settings_text(a->settings, "database.data.dsn_file");
    if (a->private_cluster) {
        make_service_password(a);
        class = start_cluster(a, st);
        if (class == STATUS_OK)
            class = make_databases(a, st);
    }
    if (class == STATUS_OK)
        class = open_pools(a, st);
    if (class == STATUS_OK)
        class = migrate(a->control.control, MIGRATION_CONTROL, st);
    return class == STATUS_OK ? migrate(a->control.data, MIGRATION_DATA, st) : class;
}

void app_database_close(app *a)
{
    pool_free(a->control.control);
    pool_free(a->control.data);
    nursery_release(a->nursery, &a->database_child);
    sodium_memzero(a->service_password, sizeof a->service_password);
}
