#include "flow/letters.h"

#include <string.h>

#include "flow/ledger.h"
#include "flow/rejected.h"
#include "flow/wid_statement.h"

enum { FILTER_PARAMS = 5 };
#define FILTER                                                                                   \
    " ($1::text IS NULL OR store = $1) AND ($2::text IS NULL OR code = $2)"                      \
    " AND ($3::timestamptz IS NULL OR received >= $3) AND ($4::timestamptz IS NULL OR received " \
    "< $4) AND ($5::text[] IS NULL OR id = ANY ($5))"
#define SHOWN                                                                                             \
    "id, store, code, pointer, detail, received, origin, request, form, attempts, signal, tried, fixed, " \
    "fixed_by"

static void filter_params(const letter_filter *f, value out[FILTER_PARAMS])
{
    out[0] = value_text(f->store);
    out[1] = value_text(f->code);
    out[2] = f->from_us ? value_time_us(f->from_us) : value_null();
    out[3] = f->to_us ? value_time_us(f->to_us) : value_null();
    out[4] = f->n_ids ? value_texts(f->ids, f->n_ids) : value_null();
}

status_class letters_list(connection *c, int32_t wid, const letter_filter *filter, const char *before,
                          uint32_t limit, rows **out, status *st)
{
    static const statement sql = {"list dead letters",
                                  "SELECT " SHOWN " FROM penstock.dead_letter_wid# WHERE" FILTER
                                  " AND ($6::text IS NULL OR id < $6) ORDER BY id DESC LIMIT $7"};
    value params[FILTER_PARAMS + 2];
    filter_params(filter, params);
    params[5] = value_text(before);
    params[6] = value_integer(limit);
    return wid_statement_run(c, &sql, wid, params, 7, out, st);
}

status_class letters_show(connection *c, int32_t wid, const char *id, rows **out, status *st)
{
    static const statement sql = {"read a dead letter",
                                  "SELECT " SHOWN ", revision, body, header, correction FROM "
                                  "penstock.dead_letter_wid# WHERE id = $1"};
    const value params[] = {value_text(id)};
    return wid_statement_run(c, &sql, wid, params, 1, out, st);
}

status_class letters_to_send(connection *c, int32_t wid, const letter_filter *filter, const char *after,
                             uint32_t limit, rows **out, status *st)
{
    static const statement sql = {"read dead letters to send again",
                                  "SELECT id, revision, store, origin, form, header, body, correction FROM "
                                  "penstock.dead_letter_wid# WHERE" FILTER
                                  " AND ($6::text IS NULL OR id > $6) ORDER BY id LIMIT $7"};
    value params[FILTER_PARAMS + 2];
    filter_params(filter, params);
    params[5] = value_text(after);
    params[6] = value_integer(limit);
    return wid_statement_run(c, &sql, wid, params, 7, out, st);
}

status_class letters_fix(connection *c, int32_t wid, const char *id, int64_t revision, const char *json,
                         size_t len, const char *actor, status *st)
{
    static const statement sql = {
        "correct a dead letter",
        "UPDATE penstock.dead_letter_wid# SET correction = $3, fixed = now(), fixed_by = "
        "$4, revision = revision + 1 WHERE id = $1 AND revision = $2"};
    const value params[] = {value_text(id), value_integer(revision), value_bytes(json, len),
                            value_text(actor)};
    rows *done;
    if (len > REJECTED_BYTES_MAX)
        return status_set(st, STATUS_LIMIT, "the correction is longer than %d bytes", REJECTED_BYTES_MAX);
    status_class class = wid_statement_run(c, &sql, wid, params, 4, &done, st);
    if (class != STATUS_OK)
        return class;
    if (rows_affected(done) != 1)
        class = status_set(st, STATUS_CONFLICT, "the dead letter %.30s was changed meanwhile", id);
    rows_free(done);
    return class;
}

/* Letters of a stage ("model:judge") stand beside the balance: their rows are stored. */
static void book_purged(ledger_book *b, int32_t wid, const rows *gone)
{
    for (uint32_t i = 0; i < rows_count(gone); i++) {
        const char *store = rows_text(gone, i, 0);
        int64_t n = rows_integer(gone, i, 2), of_balance = strchr(store, ':') ? 0 : n;
        ledger_book_add(b, wid, store, rows_time_us(gone, i, 1),
                        &(ledger_counts){.rejected = -of_balance,
                                         .dropped = of_balance,
                                         .purged = n,
                                         .letters = -n,
                                         .letter_bytes = -rows_integer(gone, i, 3)});
    }
}

static status_class purge(connection *c, int32_t wid, const letter_filter *filter, int64_t *n_out, status *st)
{
    static const statement sql = {
        "throw dead letters away",
        "WITH chosen AS (SELECT id FROM penstock.dead_letter_wid# WHERE" FILTER
        " ORDER BY id LIMIT $6 FOR UPDATE), gone AS (DELETE FROM penstock.dead_letter_wid# d USING chosen "
        "WHERE d.id = chosen.id RETURNING store, received, octet_length(body) AS bytes) SELECT store, "
        "date_trunc('minute', received), count(*), coalesce(sum(bytes), 0)::bigint FROM gone GROUP BY 1, 2"};
    value params[FILTER_PARAMS + 1];
    rows *gone;
    filter_params(filter, params);
    params[5] = value_integer(LETTERS_PURGE_MAX);
    status_class class = wid_statement_run(c, &sql, wid, params, 6, &gone, st);
    if (class != STATUS_OK)
        return class;
    ledger_book *b = ledger_book_create(LEDGER_OTHERS);
    book_purged(b, wid, gone);
    *n_out = 0;
    for (uint32_t i = 0; i < rows_count(gone); i++)
        *n_out += rows_integer(gone, i, 2);
    rows_free(gone);
    class = ledger_book_write(b, c, st);
    ledger_book_free(b);
    return class;
}

status_class letters_purge(connection *c, int32_t wid, const letter_filter *filter, int64_t *n_out,
                           status *st)
{
    status_class class = connection_begin(c, st);
    if (class == STATUS_OK)
        class = purge(c, wid, filter, n_out, st);
    if (class == STATUS_OK)
        return connection_commit(c, st);
    connection_rollback(c);
    return class;
}
