#include "store/cluster_settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "base/disk.h"
#include "base/text.h"

static uint64_t machine_memory(const cluster_options *o)
{
    struct sysinfo info;
    if (o->memory_bytes)
        return o->memory_bytes;
    return sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : 1ull << 30;
}

static void memory_settings(text *t, uint64_t bytes)
{
    uint64_t mb = bytes >> 20;
    uint64_t shared = mb / 4 > 2048 ? 2048 : mb / 4 < 32 ? 32 : mb / 4;
    uint64_t wal = mb / 4 > 4096 ? 4096 : mb / 4 < 256 ? 256 : mb / 4;
    text_printf(t, "shared_buffers = %lluMB\nmax_wal_size = %lluMB\nmin_wal_size = 80MB\n",
                (unsigned long long)shared, (unsigned long long)wal);
    text_printf(
        t,
        "effective_cache_size = %lluMB\nmaintenance_work_mem = %lluMB\nwork_mem = 16MB\ntemp_buffers = 8MB\n",
        (unsigned long long)(mb / 2),
        (unsigned long long)(mb / 16 > 512  ? 512
                             : mb / 16 < 32 ? 32
                                            : mb / 16));
}

/* Workspaces have many small tables that change all the time. By the usual thresholds (50 rows) each of them
 * is analysed every minute, and every analysis makes all sessions forget what they know of the table, their
 * plans with it: a thousand workspaces cost the machine more so than by their rows. A table of some thousand
 * rows needs no statistics; what is larger gets them by its scale factor as ever. */
static void autovacuum_settings(text *t)
{
    text_add(t, "autovacuum_naptime = 30s\nautovacuum_vacuum_cost_limit = 1000\n"
                "autovacuum_vacuum_insert_scale_factor = 0.1\nautovacuum_vacuum_insert_threshold = 10000\n"
                "autovacuum_vacuum_threshold = 1000\nautovacuum_analyze_threshold = 5000\n");
}

status_class cluster_settings_write(const cluster_options *o, const cluster *c, status *st)
{
    text t = {0};
    char path[CLUSTER_PATH_SIZE + 32];
    text_add(&t,
             "# Written by Penstock at every start; postgresql.auto.conf and ALTER SYSTEM win over it.\n");
    text_printf(&t, "listen_addresses = ''\nport = %u\nunix_socket_directories = '%s'\n", c->port,
                c->sockets);
    text_add(&t,
             "unix_socket_permissions = 0700\nmax_connections = 100\nsuperuser_reserved_connections = 3\n");
    text_add(&t, "max_locks_per_transaction = 256\npassword_encryption = 'scram-sha-256'\njit = off\n");
    text_add(&t, "timezone = 'UTC'\nlog_timezone = 'UTC'\ndatestyle = 'ISO'\nlc_messages = 'C'\n");
    autovacuum_settings(&t);
    memory_settings(&t, o->ephemeral ? 256ull << 20 : machine_memory(o));
    text_add(&t, "checkpoint_timeout = 15min\ncheckpoint_completion_target = 0.9\nwal_compression = lz4\n"
                 "idle_in_transaction_session_timeout = 60s\ntcp_keepalives_idle = 60\n");
    if (o->ephemeral)
        text_add(&t,
                 "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nlogging_collector = off\n");
    else
        text_add(&t, "logging_collector = on\nlog_directory = 'log'\nlog_filename = 'postgresql-%a.log'\n"
                     "log_truncate_on_rotation = on\nlog_rotation_age = 1d\nlog_rotation_size = "
                     "0\nlog_file_mode = 0600\n"
                     "log_min_error_statement = panic\nlog_parameter_max_length = "
                     "0\nlog_parameter_max_length_on_error = 0\n");
    snprintf(path, sizeof path, "%s/penstock.conf", c->data);
    status_class ret = disk_write(path, t.data, t.len, 0644, st); /* inside a 0700 folder */
    text_free(&t);
    return ret;
}

status_class cluster_settings_include(const cluster *c, status *st)
{
    char path[CLUSTER_PATH_SIZE + 32];
    text t = {0};
    snprintf(path, sizeof path, "%s/postgresql.conf", c->data);
    status_class ret = disk_read(path, 1 << 20, &t, st);
    if (ret == STATUS_OK && !strstr(text_or_empty(&t), "include 'penstock.conf'")) {
        text_add(&t, "\ninclude 'penstock.conf'\n");
        FILE *f = fopen(path, "w");
        if (!f || fwrite(t.data, 1, t.len, f) != t.len)
            ret = status_errno(st, errno, path);
        if (f && fclose(f) != 0 && ret == STATUS_OK)
            ret = status_errno(st, errno, path);
    }
    text_free(&t);
    return ret;
}
