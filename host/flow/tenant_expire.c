/* Retention on a tenant's lane: once an hour, or when it is asked for. It runs behind the refresh, so that
 * what is due was computed. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/keep.h"
#include "base/log.h"
#include "control/audit.h"
#include "flow/retention.h"
#include "flow/tenant_private.h"

static const int64_t retry_us = 60 * INT64_C(1000000);
enum { SERVICE_WAIT_MS = 10000 };

static retention_parts parts_of(work *w)
{
    tenant *t = w->t;
    journal_backlog waiting = journal_backlog_get(t->parts.journal, (uint32_t)t->plan->wid, NULL);
    return (retention_parts){.plan = t->plan,
                             .c = w->service,
                             .partitions = t->parts.partitions,
                             .host = t->parts.flow->host_name,
                             .now_us = w->now_us,
                             .waiting_us = waiting.rows ? waiting.oldest_received_us : 0};
}

/* What went is audited, and said in the log. */
static status_class tell(work *w, const retention_store *stores, uint32_t n, status *st)
{
    status_class class = STATUS_OK;
    for (uint32_t i = 0; i < n && class == STATUS_OK; i++) {
        json_t *one = retention_json(&stores[i], 1), *detail = json_array_get(one, 0);
        const char *store = json_string_value(json_object_get(detail, "store"));
        if (stores[i].rows || stores[i].partitions) {
            log_info("retention", "old rows are removed",
                     LOG_TEXT("workspace", w->t->plan->definition->workspace), LOG_TEXT("store", store),
                     LOG_NUMBER("rows", stores[i].rows), LOG_NUMBER("partitions", stores[i].partitions));
            class = audit_add(w->control, w->t->plan->wid, "retention", "expire", store, detail, st);
        }
        json_decref(one);
    }
    return class;
}

/* Horizons moved: what is built and refreshed from here on must know. */
static void look_again(tenant *t)
{
    pthread_mutex_lock(&t->lock);
    t->look_at_builds = true;
    pthread_mutex_unlock(&t->lock);
}

static void show(tenant *t, const retention_store *stores, uint32_t n)
{
    json_t *all = retention_json(stores, n);
    char *form = json_dumps(all, JSON_COMPACT), *shown = keep_string(form);
    pthread_mutex_lock(&t->lock);
    char *old = t->retention_shown;
    t->retention_shown = shown;
    pthread_mutex_unlock(&t->lock);
    keep_free(old);
    free(form);
    json_decref(all);
}

static status_class expire(work *w, uint64_t *rows_out, status *st)
{
    arena *a = arena_create(0);
    retention_store *stores = NULL;
    uint32_t n = 0;
    bool ran = false;
    retention_parts parts = parts_of(w);
    status_class class = retention_run(&parts, a, &stores, &n, &ran, st);
    if (ran && n > 0) {
        look_again(w->t);
        status audited;
        for (uint32_t i = 0; i < n; i++)
            *rows_out += stores[i].rows;
        show(w->t, stores, n);
        if (tell(w, stores, n, &audited) != STATUS_OK)
            log_status(LOG_LEVEL_WARN, "retention", "what was removed could not be audited", &audited);
    }
    arena_free(a);
    return class;
}

void tenant_expire(work *w)
{
    tenant *t = w->t;
    uint64_t rows = 0;
    status st;
    if (w->now_us < t->expiry.due_us)
        return;
    status_class class =
        w->service ? STATUS_OK : pool_borrow(t->parts.flow->data, NULL, SERVICE_WAIT_MS, &w->service, &st);
    if (class == STATUS_OK)
        class = expire(w, &rows, &st);
    tenant_note(t, &t->expiry, w->now_us + (class == STATUS_OK ? RETENTION_EVERY_US : retry_us), rows,
                class == STATUS_OK ? NULL : &st);
}
