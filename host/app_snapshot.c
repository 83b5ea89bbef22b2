/* PostgreSQL away while the host starts: rows are taken all the same, by what a signed snapshot says of keys
 * and workspaces (control/snapshot.h), and wait in the journal. Everything else answers 503 with the reason.
 * When the databases are there, the start goes on where it stood; the writers begin with what waits. While
 * the host runs, the snapshot is written again and again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_private.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "serve/access.h"

enum { LOOK_MS = 500 };

static void path_of(const app *a, char out[PATH_MAX + 16])
{
    snprintf(out, PATH_MAX + 16, "%s/snapshot", a->state);
}

/* ---- writing, while the host runs ---- */

static void write_on_lane(void *arg)
{
    app *a = arg;
    char path[PATH_MAX + 16];
    status st;
    path_of(a, path);
    status_class class = snapshot_write(&a->control, path, &st);
    if (class != STATUS_OK && class != a->snapshot_class)
        log_status(LOG_LEVEL_WARN, "app", "the snapshot for a start without PostgreSQL grows old", &st);
    a->snapshot_class = class;
    atomic_store(&a->snapshot_writing, false);
}

static void on_time(void *arg)
{
    app *a = arg;
    int64_t now_us = clock_monotonic_us();
    bool due = now_us >= a->snapshot_due_us || atomic_load(&a->snapshot_stale);
    if (!atomic_load(&a->ready) || !due || atomic_exchange(&a->snapshot_writing, true))
        return;
    atomic_store(&a->snapshot_stale, false);
    a->snapshot_due_us = now_us + settings_integer(a->settings, "snapshot.every");
    lane_post(a->snapshot_lane, write_on_lane, a);
}

void app_snapshot_begin(app *a)
{
    a->snapshot_lane = lane_open(a->lanes, "snapshot");
    timer_start(a->loop, LOOK_MS, true, on_time, a);
}

void app_snapshot_changed(void *arg)
{
    app *a = arg;
    atomic_store(&a->snapshot_stale, true);
}

void app_snapshot_end(app *a)
{
    lane_close(a->snapshot_lane);
}

/* ---- a start without PostgreSQL ---- */

static void put_workspace(void *arg, workspace *w, const status *problem)
{
    app *a = arg;
    status st;
    const flow_workspace taken = {w->definition, w->role, w->password, w->paused};
    if (!problem && flow_put(a->flow, &taken, &st) != STATUS_OK)
        problem = &st;
    if (problem)
        log_status(LOG_LEVEL_ERROR, "app", "a workspace of the snapshot cannot take rows", problem);
    else
        directory_put(a->services.directory, &(directory_entry){w->wid, w->key, w->id, w->paused});
}

static void on_degraded(void *arg)
{
    app *a = arg;
    if (!atomic_load(&a->stopping))
        flow_accept(a->flow);
    atomic_store(&a->degraded, true);
}

static status_class start_from(app *a, status *st)
{
    snprintf(a->control.stack_id, sizeof a->control.stack_id, "%s", snapshot_stack(a->snapshot));
    status_class class = app_flow_create(a, st);
    if (class != STATUS_OK)
        return class;
    a->services.flow = a->flow;
    snapshot_each(a->snapshot, put_workspace, a);
    log_warn(
        "app", "degraded: rows are taken by the snapshot and wait in the journal, PostgreSQL is away",
        LOG_NUMBER("snapshot_age_seconds", (clock_wall_us() - snapshot_written_us(a->snapshot)) / 1000000));
    loop_post(a->loop, on_degraded, a);
    return STATUS_OK;
}

/* What stands in the way of PostgreSQL is in `why`; what stands in the way of the snapshot is added. */
void app_snapshot_start(app *a, status *why)
{
    char path[PATH_MAX + 16];
    status st;
    path_of(a, path);
    if (a->flow || why->class == STATUS_CONFLICT || why->class == STATUS_INVALID)
        return;
    status_class class =
        a->snapshot ? STATUS_OK : snapshot_read(a->secret_key, path, clock_wall_us(), &a->snapshot, &st);
    if (class == STATUS_OK)
        class = start_from(a, &st);
    if (class == STATUS_OK)
        return;
    log_status(LOG_LEVEL_ERROR, "app", "no rows are taken while PostgreSQL is away", &st);
    char text[sizeof why->text];
    snprintf(text, sizeof text, "%.200s; no rows are taken meanwhile: %.200s", why->text, st.text);
    snprintf(why->text, sizeof why->text, "%s", text);
}

/* ---- while it lasts ---- */

bool app_snapshot_admits(void *self, unsigned route_flags, status *st)
{
    app *a = self;
    if (!atomic_load(&a->degraded) || (route_flags & ROUTE_ROWS))
        return true;
    pthread_mutex_lock(&a->lock);
    *st = a->starting;
    pthread_mutex_unlock(&a->lock);
    st->class = STATUS_UNAVAILABLE;
    char text[sizeof st->text];
    snprintf(text, sizeof text, "degraded: only rows are taken now: %.400s", st->text);
    snprintf(st->text, sizeof st->text, "%s", text);
    return false;
}

status_class app_snapshot_verify(app *a, const char *key, principal *out, status *st)
{
    key_record record = {.scopes = NULL};
    int64_t now_us = clock_wall_us(), age_us = now_us - snapshot_written_us(a->snapshot);
    status_class class = snapshot_verify(a->snapshot, key, now_us, &record, st);
    if (class == STATUS_DENIED) /* it may have been made since */
        status_set(st, STATUS_UNAVAILABLE,
                   "the key is not in the snapshot, and cannot be checked while PostgreSQL is away");
    if (class != STATUS_OK)
        return st->class = STATUS_UNAVAILABLE;
    *out = (principal){.kind = "key", .age_us = age_us > 0 ? age_us : 0};
    snprintf(out->id, sizeof out->id, "%s", record.id);
    access_scopes_read(record.scopes, out);
    json_decref(record.scopes);
    return STATUS_OK;
}

/* ---- PostgreSQL is there ---- */

static void drop_deleted(void *arg, workspace *w, const status *problem)
{
    app *a = arg;
    workspace *now = NULL;
    status st;
    (void)problem;
    if (workspace_load(&a->control, w->wid, NULL, &now, &st) == STATUS_NOT_FOUND)
        services_unload(&a->services, w->wid);
    workspace_free(now);
}

status_class app_snapshot_resume(app *a, status *st)
{
    if (strcmp(a->control.stack_id, snapshot_stack(a->snapshot)) != 0)
        return status_set(st, STATUS_CONFLICT, "the database is of the stack %s, the snapshot of %s",
                          a->control.stack_id, snapshot_stack(a->snapshot));
    status_class class = flow_attach(a->flow, a->control.data, a->control.control, st);
    if (class != STATUS_OK)
        return class;
    app_fill_services(a);
    class = services_load_all(&a->services, st);
    if (class == STATUS_OK)
        snapshot_each(a->snapshot, drop_deleted, a);
    return class;
}
