/* The private cluster. State on disk:
 *
 *   <state>/postgres/        data folder (0700, owned by the system user)
 *   <state>/postgres.secret  the superuser's password (0600, ours)
 *   <state>/postgres.log     what the postmaster says; PostgreSQL rotates its own log inside the data folder
 *
 * absent → initdb → stopped → start → running → (host killed: still running) → adopted → stop → stopped
 *
 * initdb works in a folder beside and is renamed, so a half-made cluster is never taken for a whole one. */
#include "store/cluster.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/name.h"
#include "base/random.h"
#include "base/text.h"
#include "store/cluster_settings.h"
#include "store/connection.h"

#define BIN_ROOT "/usr/lib/postgresql"
#define SUPERUSER "penstock_admin"
#define OLDEST_MAJOR 15
#define SECRET_LIMIT 256
#define STOP_POLL_MS 20
#define START_TRIES 3
#define START_PAUSE_MS 500

/* ---- where things are ---- */

/* The newest major under BIN_ROOT that has a server; 0 = none. */
static int newest_major(void)
{
    char path[CLUSTER_PATH_SIZE];
    int best = 0;
    DIR *dir = opendir(BIN_ROOT);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        int major = (int)strtol(e->d_name, NULL, 10);
        snprintf(path, sizeof path, BIN_ROOT "/%.32s/bin/initdb", e->d_name);
        if (major > best && access(path, X_OK) == 0)
            best = major;
    }
    if (dir)
        closedir(dir);
    return best;
}

/* Which major made the data; 0 = there are none. */
static int data_major(const char *data)
{
    char path[CLUSTER_PATH_SIZE + 32];
    text t = {0};
    status ignored;
    snprintf(path, sizeof path, "%s/PG_VERSION", data);
    int major = disk_read(path, 64, &t, &ignored) == STATUS_OK ? (int)strtol(text_or_empty(&t), NULL, 10) : 0;
    text_free(&t);
    return major;
}

/* The programs that fit the data; for a new cluster the newest. */
static status_class find_bin(const cluster_options *o, cluster *c, status *st)
{
    char path[CLUSTER_PATH_SIZE + 16];
    int made_by = data_major(c->data), newest = newest_major();
    if (o->bin) {
        const char *version = strstr(o->bin, "postgresql/");
        snprintf(c->bin, sizeof c->bin, "%.240s", o->bin);
        c->major = version ? (int)strtol(version + strlen("postgresql/"), NULL, 10) : made_by;
    } else {
        c->major = made_by ? made_by : newest;
        snprintf(c->bin, sizeof c->bin, BIN_ROOT "/%d/bin", c->major);
    }
    snprintf(path, sizeof path, "%s/postgres", c->bin);
    bool there = access(path, X_OK) == 0;
    if (made_by && (!there || (c->major && c->major != made_by))) {
        status_set(st, STATUS_UNSUPPORTED,
                   "private database: its data were made by PostgreSQL %d, which is not installed", made_by);
        return status_hint(st, "install postgresql-%d again, or run penstock up --upgrade-database", made_by);
    }
    if (there && (c->major == 0 || c->major >= OLDEST_MAJOR))
        return STATUS_OK;
    status_set(st, STATUS_UNAVAILABLE, "private database: no PostgreSQL %d or later on this machine",
               OLDEST_MAJOR);
    return status_hint(st,
                       "apt-get install postgresql-15, or name a server of your own in the configuration");
}

static status_class find_user(const char *name, uid_t *uid, gid_t *gid, status *st)
{
    *uid = geteuid();
    *gid = getegid();
    if (*uid != 0)
        return STATUS_OK;
    const char *wanted = name ? name : "penstock";
    struct passwd entry, *found = NULL;
    char buffer[4096];
    getpwnam_r(wanted, &entry, buffer, sizeof buffer, &found);
    if (!found || found->pw_uid == 0) {
        status_set(st, STATUS_UNAVAILABLE,
                   "private database: no system user \"%s\", and PostgreSQL does not run as root", wanted);
        return status_hint(st, "adduser --system --group --home /var/lib/penstock %s", wanted);
    }
    *uid = found->pw_uid;
    *gid = found->pw_gid;
    return STATUS_OK;
}

/* A short folder for the socket: its path with the file's name must fit into sockaddr_un. */
static status_class socket_folder(const cluster_options *o, uid_t uid, gid_t gid, char *out, status *st)
{
    if (o->sockets)
        snprintf(out, CLUSTER_PATH_SIZE, "%s", o->sockets);
    else
        snprintf(out, CLUSTER_PATH_SIZE, "%s/penstock-%08x", geteuid() == 0 ? "/run" : "/tmp",
                 (unsigned)name_hash(o->state, strlen(o->state)));
    if (strlen(out) + strlen("/.s.PGSQL.65535") > CLUSTER_SOCKET_MAX)
        return status_set(st, STATUS_LIMIT,
                          "private database: the socket folder's path is longer than %d bytes",
                          CLUSTER_SOCKET_MAX);
    status_class ret = disk_make_folder(out, 0750, st);
    if (ret != STATUS_OK)
        return ret;
    struct stat s;
    if (lstat(out, &s) != 0 || !S_ISDIR(s.st_mode) || (s.st_uid != uid && s.st_uid != geteuid()))
        return status_set(st, STATUS_DENIED, "private database: socket folder %s belongs to somebody else",
                          out);
    if (geteuid() == 0 && chown(out, uid, gid) != 0)
        return status_errno(st, errno, out);
    if (chmod(out, 0700) != 0)
        return status_errno(st, errno, out);
    return STATUS_OK;
}

/* The system user must be able to walk through the state folder, and nothing more. */
static status_class let_through(const char *state, gid_t gid, status *st)
{
    struct stat s;
    if (geteuid() != 0)
        return STATUS_OK;
    if (stat(state, &s) != 0)
        return status_errno(st, errno, state);
    if (s.st_mode & S_IXOTH)
        return STATUS_OK;
    if (chown(state, (uid_t)-1, gid) != 0 || chmod(state, (s.st_mode & 07777) | S_IXGRP) != 0)
        return status_errno(st, errno, state);
    return STATUS_OK;
}

/* ---- the password ---- */

static status_class read_secret(const char *path, char *out, size_t size, status *st)
{
    text t = {0};
    status_class ret = disk_read(path, SECRET_LIMIT, &t, st);
    if (ret == STATUS_OK) {
        snprintf(out, size, "%s", text_or_empty(&t));
        out[strcspn(out, "\n")] = '\0';
    }
    if (t.data)
        explicit_bzero(t.data, t.len);
    text_free(&t);
    return ret;
}

static void make_secret(char out[64])
{
    unsigned char bytes[24];
    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* ---- running programs ---- */

static status_class run(const cluster_options *o, const cluster *c, const char *const *argv, bool outlive,
                        uid_t uid, gid_t gid, pid_t *pid_out, status *st)
{
    static const char *const env[] = {"LC_ALL=C.UTF-8", "TZ=UTC", "PATH=/usr/bin:/bin", NULL};
    cluster_process p = {.argv = argv,
                         .env = env,
                         .uid = uid,
                         .gid = gid,
                         .folder = "/",
                         .output = c->log,
                         .outlive = outlive};
    const cluster_spawn *spawn = o->spawn ? o->spawn : &cluster_spawn_plain;
    return spawn->start(spawn->self, &p, pid_out, st);
}

/* The last line of the log, to go into an error. */
static void last_line(const char *path, char *out, size_t size)
{
    text t = {0};
    status ignored;
    out[0] = '\0';
    if (disk_read(path, 1 << 20, &t, &ignored) == STATUS_OK && t.len > 0) {
        while (t.len > 0 && t.data[t.len - 1] == '\n')
            t.data[--t.len] = '\0';
        const char *line = strrchr(t.data, '\n');
        snprintf(out, size, "%s", line ? line + 1 : t.data);
    }
    text_free(&t);
}

static status_class give_to(const char *path, uid_t uid, gid_t gid, status *st)
{
    return geteuid() == 0 && chown(path, uid, gid) != 0 ? status_errno(st, errno, path) : STATUS_OK;
}

/* initdb into the empty folder `data`. */
static status_class init_data(const cluster_options *o, const cluster *c, const char *data,
                              const char *password_file, uid_t uid, gid_t gid, status *st)
{
    char program[CLUSTER_PATH_SIZE + 16], pwfile[CLUSTER_PATH_SIZE + 48], line[256];
    pid_t pid;
    int code = 0;
    snprintf(program, sizeof program, "%s/initdb", c->bin);
    snprintf(pwfile, sizeof pwfile, "--pwfile=%s", password_file);
    const char *const argv[] = {program,
                                "-D",
                                data,
                                "-U",
                                SUPERUSER,
                                "--auth=scram-sha-256",
                                pwfile,
                                "--encoding=UTF8",
                                "--locale=C.UTF-8",
                                "--data-checksums",
                                "--no-instructions",
                                o->ephemeral ? "--no-sync" : NULL,
                                NULL};
    const cluster_spawn *spawn = o->spawn ? o->spawn : &cluster_spawn_plain;
    status_class ret = run(o, c, argv, false, uid, gid, &pid, st);
    if (ret == STATUS_OK)
        ret = spawn->wait(spawn->self, pid, CLUSTER_START_TIMEOUT_MS * 2, &code, st);
    if (ret != STATUS_OK || code == 0)
        return ret;
    last_line(c->log, line, sizeof line);
    return status_set(st, STATUS_UNAVAILABLE, "private database: initdb ended with %d: %s", code, line);
}

static status_class make_data(const cluster_options *o, const cluster *c, const char *secret_path, uid_t uid,
                              gid_t gid, status *st)
{
    char making[CLUSTER_PATH_SIZE + 8], password_file[CLUSTER_PATH_SIZE + 32];
    snprintf(making, sizeof making, "%s.new", c->data);
    snprintf(password_file, sizeof password_file, "%s/initdb.secret", c->sockets);
    status_class ret = disk_remove_tree(making, st);
    if (ret == STATUS_OK)
        ret = disk_make_folder(making, 0700, st);
    if (ret == STATUS_OK)
        ret = give_to(making, uid, gid, st);
    if (ret == STATUS_OK)
        ret = disk_write(secret_path, c->password, strlen(c->password), 0600, st);
    if (ret == STATUS_OK)
        ret = disk_write(password_file, c->password, strlen(c->password), 0600, st);
    if (ret == STATUS_OK)
        ret = give_to(password_file, uid, gid, st);
    if (ret == STATUS_OK)
        ret = init_data(o, c, making, password_file, uid, gid, st);
    unlink(password_file);
    if (ret == STATUS_OK && rename(making, c->data) != 0)
        ret = status_errno(st, errno, c->data);
    return ret;
}

/* ---- running or not ---- */

/* The postmaster named by the pid file, if it is really ours: its command line names our data folder. */
static pid_t running_pid(const char *data)
{
    char path[CLUSTER_PATH_SIZE + 32], cmdline[1024] = "";
    status ignored;
    text t = {0};
    snprintf(path, sizeof path, "%s/postmaster.pid", data);
    pid_t pid =
        disk_read(path, 4096, &t, &ignored) == STATUS_OK ? (pid_t)strtol(text_or_empty(&t), NULL, 10) : 0;
    text_free(&t);
    if (pid <= 1)
        return 0;
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, cmdline, sizeof cmdline - 1) : 0;
    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i < n; i++)
        if (strcmp(cmdline + i, data) == 0 && (i == 0 || cmdline[i - 1] == '\0'))
            return pid;
    return 0;
}

bool cluster_running(const cluster_options *o, pid_t *pid_out)
{
    char data[CLUSTER_PATH_SIZE];
    snprintf(data, sizeof data, "%.220s/postgres", o->state);
    *pid_out = running_pid(data);
    return *pid_out > 0;
}

static void pause_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static bool has_ended(const cluster_options *o, const cluster *c)
{
    const cluster_spawn *spawn = o->spawn ? o->spawn : &cluster_spawn_plain;
    status ignored;
    int code;
    if (c->adopted)
        return kill(c->pid, 0) != 0 && errno == ESRCH;
    return spawn->wait(spawn->self, c->pid, 0, &code, &ignored) != STATUS_TIMEOUT;
}

/* Until a session can be opened. Crash recovery may take its time; a dead postmaster ends the wait. */
static status_class wait_until_ready(const cluster_options *o, const cluster *c, status *st)
{
    char line[256];
    connection_options login = {.host = c->sockets,
                                .port = c->port,
                                .database = "postgres",
                                .user = c->superuser,
                                .password = c->password,
                                .connect_timeout_ms = 2000};
    int64_t deadline = clock_monotonic_us() + CLUSTER_START_TIMEOUT_MS * 1000LL;
    for (;;) {
        connection *conn;
        status_class ret = connection_open(&login, &conn, st);
        connection_close(conn);
        if (ret == STATUS_OK || ret == STATUS_DENIED)
            return ret;
        if (has_ended(o, c)) {
            last_line(c->log, line, sizeof line);
            return status_set(st, STATUS_UNAVAILABLE, "private database: PostgreSQL did not start: %s", line);
        }
        if (clock_monotonic_us() > deadline)
            return status_wrap(st, "private database: not ready after %d s", CLUSTER_START_TIMEOUT_MS / 1000);
        pause_ms(STOP_POLL_MS);
    }
}

static status_class start_postmaster(const cluster_options *o, cluster *c, uid_t uid, gid_t gid, status *st)
{
    char program[CLUSTER_PATH_SIZE + 16];
    snprintf(program, sizeof program, "%s/postgres", c->bin);
    const char *const argv[] = {program, "-D", c->data, NULL};
    status_class ret = cluster_settings_include(c, st);
    if (ret == STATUS_OK)
        ret = cluster_settings_write(o, c, st);
    if (ret == STATUS_OK)
        ret = run(o, c, argv, !o->ephemeral, uid, gid, &c->pid, st);
    return ret;
}

static status_class prepare_paths(const cluster_options *o, cluster *c, char *secret_path, uid_t *uid,
                                  gid_t *gid, status *st)
{
    memset(c, 0, sizeof *c);
    if (strlen(o->state) > CLUSTER_PATH_SIZE - 40)
        return status_set(st, STATUS_LIMIT, "private database: the state folder's path is too long");
    snprintf(c->data, sizeof c->data, "%.220s/postgres", o->state);
    snprintf(c->log, sizeof c->log, "%.220s/postgres.log", o->state);
    snprintf(secret_path, CLUSTER_PATH_SIZE, "%.220s/postgres.secret", o->state);
    snprintf(c->superuser, sizeof c->superuser, SUPERUSER);
    c->port = CLUSTER_PORT;
    status_class ret = find_bin(o, c, st);
    if (ret == STATUS_OK)
        ret = find_user(o->user, uid, gid, st);
    if (ret == STATUS_OK)
        ret = disk_make_folder(o->state, 0755, st);
    if (ret == STATUS_OK)
        ret = let_through(o->state, *gid, st);
    if (ret == STATUS_OK)
        ret = socket_folder(o, *uid, *gid, c->sockets, st);
    return ret;
}

status_class cluster_start(const cluster_options *o, cluster *c, status *st)
{
    char secret_path[CLUSTER_PATH_SIZE];
    uid_t uid = 0;
    gid_t gid = 0;
    status_class ret = prepare_paths(o, c, secret_path, &uid, &gid, st);
    if (ret != STATUS_OK)
        return ret;
    c->pid = running_pid(c->data);
    c->adopted = c->pid > 0;
    if (!disk_exists(c->data)) {
        make_secret(c->password);
        c->created = true;
        ret = make_data(o, c, secret_path, uid, gid, st);
    } else {
        ret = read_secret(secret_path, c->password, sizeof c->password, st);
    }
    for (int attempt = 0; ret == STATUS_OK; attempt++) {
        if (!c->adopted)
            ret = start_postmaster(o, c, uid, gid, st);
        if (ret == STATUS_OK)
            ret = wait_until_ready(o, c, st);
        if (ret != STATUS_UNAVAILABLE || c->adopted || attempt == START_TRIES - 1)
            break;
        pause_ms(START_PAUSE_MS); /* backends of a killed postmaster hold its shared memory for a moment */
        ret = STATUS_OK;
    }
    if (ret == STATUS_OK)
        log_info("cluster", c->adopted ? "adopted" : "started", LOG_TEXT("data", c->data),
                 LOG_NUMBER("pid", c->pid));
    return ret;
}

status_class cluster_stop(const cluster *c, int64_t timeout_ms, status *st)
{
    int64_t deadline = clock_monotonic_us() + timeout_ms * 1000;
    pid_t pid = running_pid(c->data);
    if (pid == 0)
        return STATUS_OK;
    if (kill(pid, SIGINT) != 0 && errno != ESRCH)
        return status_errno(st, errno, "private database: stop");
    while (running_pid(c->data) == pid) {
        if (clock_monotonic_us() > deadline)
            return status_set(st, STATUS_TIMEOUT, "private database: still stopping after %lld ms",
                              (long long)timeout_ms);
        pause_ms(STOP_POLL_MS);
    }
    rmdir(c->sockets); /* it may lie outside of the state folder; what is not empty stays */
    return STATUS_OK;
}
