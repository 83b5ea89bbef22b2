/*      ready ──take──► claimed ──finish──► done | failed
 *        │                │ lease ran out: taken again, fence + 1
 *        └──cancel──► cancelled ◄──cancel──┘ (its host notices at the next job_progress) */
#include "control/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

#define SHOWN                                                                                              \
    "json_build_object('id', id, 'wid', wid, 'kind', kind, 'state', state, 'done', done, 'total', total, " \
    "'input', input,"                                                                                      \
    " 'result', result, 'error', error, 'created', created, 'finished', finished)"
#define LEASE(n) "now() + " n "::bigint * interval '1 microsecond'"

static const statement add_job = {
    "make a job",
    "INSERT INTO control.job (id, wid, kind, state, once_key, input) VALUES ($1, $2::int, $3, 'ready', $4,"
    " $5::json) ON CONFLICT (wid, kind, once_key) WHERE once_key IS NOT NULL DO NOTHING"};
static const statement find_once = {
    "find a job", "SELECT id FROM control.job WHERE wid = $1::int AND kind = $2 AND once_key = $3"};
static const statement take_job = {
    "take a job",
    "UPDATE control.job SET state = 'claimed', owner = $2, fence = fence + 1, attempt = attempt + 1, "
    "lease_until = " LEASE("$3") " WHERE id = (SELECT id FROM control.job WHERE ($1::text IS NULL OR kind = "
                                 "$1) AND due <= now() AND"
                                 " (state = 'ready' OR (state = 'claimed' AND lease_until < now()))"
                                 " ORDER BY (state = 'claimed') DESC, due, id LIMIT 1 FOR UPDATE SKIP LOCKED)"
                                 " RETURNING id, kind, wid, fence, attempt, coalesce(input, 'null')::text"};
static const statement renew_job = {"renew a job's lease",
                                    "UPDATE control.job SET done = $3, total = $4, lease_until = " LEASE(
                                        "$5") " WHERE id = $1 AND"
                                              " fence = $2 AND state = 'claimed'"};
static const statement state_of = {"read a job's state", "SELECT state FROM control.job WHERE id = $1"};
static const statement end_job = {
    "end a job",
    "UPDATE control.job SET state = CASE WHEN $4::text IS NULL THEN 'done' ELSE 'failed' END, result ="
    " $3::json, error = $4, finished = now(), lease_until = NULL, owner = NULL, once_key = NULL"
    " WHERE id = $1 AND fence = $2 AND state = 'claimed'"};
static const statement cancel_job = {
    "cancel a job",
    "UPDATE control.job SET state = 'cancelled', finished = now(), lease_until = NULL, once_key = NULL"
    " WHERE id = $1 AND state IN ('ready', 'claimed')"};
static const statement show_job = {"show a job", "SELECT " SHOWN "::text FROM control.job WHERE id = $1"};
static const statement list_jobs = {
    "list jobs", "SELECT coalesce(json_agg(j), '[]')::text FROM (SELECT " SHOWN
                 " AS j FROM control.job WHERE $1::int = 0 OR wid = $1::int ORDER BY created DESC, id DESC"
                 " LIMIT $2::bigint) t"};

static status_class find_existing(connection *c, const value *key, char id[32], status *st)
{
    rows *r = NULL;
    status_class class = connection_run(c, &find_once, key, 3, &r, st);
    if (class == STATUS_OK && rows_count(r) == 0)
        class = status_set(st, STATUS_CONFLICT, "the job ended just now: try again");
    if (class == STATUS_OK)
        snprintf(id, 32, "%s", rows_text(r, 0, 0));
    rows_free(r);
    return class;
}

status_class job_create(connection *c, int32_t wid, const char *kind, const char *once_key,
                        const json_t *input, char id[32], status *st)
{
    char ulid[27];
    rows *r = NULL;
    ulid_make(ulid);
    snprintf(id, 32, "job_%s", ulid);
    char *form = input ? json_dumps(input, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    const value params[] = {value_text(id), value_integer(wid), value_text(kind), value_text(once_key),
                            value_text(form)};
    status_class class = connection_run(c, &add_job, params, 5, &r, st);
    bool added = class == STATUS_OK && rows_affected(r) > 0;
    rows_free(r);
    free(form);
    return class == STATUS_OK && !added ? find_existing(c, params + 1, id, st) : class;
}

status_class job_take(connection *c, const char *kind, const char *owner, int64_t lease_us, job_claim *ret,
                      bool *ret_found, status *st)
{
    rows *r = NULL;
    const value params[] = {value_text(kind), value_text(owner), value_integer(lease_us)};
    status_class class = connection_run(c, &take_job, params, 3, &r, st);
    *ret_found = class == STATUS_OK && rows_count(r) > 0;
    if (*ret_found) {
        *ret = (job_claim){.wid = (int32_t)rows_integer(r, 0, 2),
                           .fence = rows_integer(r, 0, 3),
                           .attempt = (int)rows_integer(r, 0, 4),
                           .input = json_loads(rows_text(r, 0, 5), JSON_DECODE_ANY, NULL)};
        snprintf(ret->id, sizeof ret->id, "%s", rows_text(r, 0, 0));
        snprintf(ret->kind, sizeof ret->kind, "%s", rows_text(r, 0, 1));
    }
    rows_free(r);
    return class;
}

/* Why an update of a claim touched nothing. */
static status_class say_lost(connection *c, const char *id, status *st)
{
    rows *r = NULL;
    const value params[] = {value_text(id)};
    status_class class = connection_run(c, &state_of, params, 1, &r, st);
    if (class == STATUS_OK && rows_count(r) == 0)
        class = status_set(st, STATUS_NOT_FOUND, "there is no job \"%.40s\"", id);
    else if (class == STATUS_OK && strcmp(rows_text(r, 0, 0), "cancelled") == 0)
        class = status_set(st, STATUS_CANCELLED, "the job was cancelled");
    else if (class == STATUS_OK)
        class = status_set(st, STATUS_CONFLICT, "the job is %s and belongs to somebody else now",
                           rows_text(r, 0, 0));
    rows_free(r);
    return class;
}

static status_class touch(connection *c, const statement *s, const value *params, unsigned n, const char *id,
                          status *st)
{
    rows *r = NULL;
    status_class class = connection_run(c, s, params, n, &r, st);
    bool lost = class == STATUS_OK && rows_affected(r) == 0;
    rows_free(r);
    return lost ? say_lost(c, id, st) : class;
}

status_class job_progress(connection *c, const job_claim *job, int64_t done, int64_t total, int64_t lease_us,
                          status *st)
{
    const value params[] = {value_text(job->id), value_integer(job->fence), value_integer(done),
                            value_integer(total), value_integer(lease_us)};
    return touch(c, &renew_job, params, 5, job->id, st);
}

status_class job_finish(connection *c, const job_claim *job, const json_t *result, const char *error,
                        status *st)
{
    char *form = result ? json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    const value params[] = {value_text(job->id), value_integer(job->fence), value_text(form),
                            value_text(error)};
    status_class class = touch(c, &end_job, params, 4, job->id, st);
    free(form);
    return class;
}

status_class job_cancel(connection *c, const char *id, status *st)
{
    const value params[] = {value_text(id)};
    status_class class = touch(c, &cancel_job, params, 1, id, st);
    return class == STATUS_CANCELLED ? status_set(st, STATUS_CONFLICT, "the job was cancelled already")
                                     : class;
}

status_class job_show(connection *c, const char *id, json_t **ret, status *st)
{
    rows *r = NULL;
    const value params[] = {value_text(id)};
    status_class class = connection_run(c, &show_job, params, 1, &r, st);
    if (class == STATUS_OK && rows_count(r) == 0)
        class = status_set(st, STATUS_NOT_FOUND, "there is no job \"%.40s\"", id);
    if (class == STATUS_OK)
        *ret = json_loads(rows_text(r, 0, 0), 0, NULL);
    rows_free(r);
    return class;
}

status_class job_list(connection *c, int32_t wid, unsigned limit, json_t **ret, status *st)
{
    rows *r = NULL;
    const value params[] = {value_integer(wid), value_integer(limit)};
    status_class class = connection_run(c, &list_jobs, params, 2, &r, st);
    if (class == STATUS_OK)
        *ret = json_loads(rows_text(r, 0, 0), 0, NULL);
    rows_free(r);
    return class;
}
