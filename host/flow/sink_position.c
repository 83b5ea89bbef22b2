#include "flow/sink_position.h"

#include <stdio.h>

#include "base/text.h"

enum { UUID_OID = 2950, STORE_NAME_SIZE = 64, PASS_TIMEOUT_MS = 10 * 60 * 1000 };

static const statement find = {
    "find a sink's position",
    "SELECT seq, coalesce(trying, 0), delivered, refused, rewound FROM penstock.sink "
    "WHERE wid = $1::int AND sink = $2 AND store = $3"};
static const statement begin = {
    "begin a sink",
    "INSERT INTO penstock.sink (wid, sink, store, seq) VALUES ($1::int, $2, $3, $4) ON CONFLICT DO NOTHING"};
static const statement claim = {"note what a sink tries",
                                "UPDATE penstock.sink SET trying = $5 WHERE wid = $1::int AND sink = $2 AND "
                                "store = $3 AND seq = $4 AND rewound = $6::int AND trying IS NULL"};
static const statement move = {
    "move a sink",
    "UPDATE penstock.sink SET seq = $5, trying = NULL, delivered = delivered + $6, refused = refused + $7, "
    "moved = now() WHERE wid = $1::int AND sink = $2 AND store = $3 AND seq = $4 AND trying = $5 AND rewound "
    "= $8::int"};
static const statement back = {
    "set a sink back",
    "INSERT INTO penstock.sink AS s (wid, sink, store, seq, rewound) VALUES ($1::int, $2, $3, $4, 1) "
    "ON CONFLICT (wid, sink, store) DO UPDATE SET seq = EXCLUDED.seq, trying = NULL, "
    "rewound = s.rewound + 1, moved = now() WHERE s.seq > EXCLUDED.seq"};
static const statement others = {"look for other journals of a store",
                                 "SELECT EXISTS (SELECT FROM penstock.position p JOIN penstock.journal j "
                                 "USING (incarnation) WHERE p.wid = "
                                 "$1::int AND p.store = $2 AND p.incarnation <> $3 AND j.retired IS NULL)"};

static void owner(const sink_position *at, value out[3])
{
    out[0] = value_integer(at->wid);
    out[1] = value_text(at->sink);
    out[2] = value_text(at->store->key);
}

static status_class find_one(connection *c, sink_position *at, bool *there_out, status *st)
{
    value params[3];
    rows *found;
    owner(at, params);
    status_class class = connection_run(c, &find, params, 3, &found, st);
    if (class != STATUS_OK)
        return class;
    *there_out = rows_count(found) > 0;
    if (*there_out) {
        at->seq = (uint64_t)rows_integer(found, 0, 0);
        at->trying = (uint64_t)rows_integer(found, 0, 1);
        at->delivered = (uint64_t)rows_integer(found, 0, 2);
        at->refused = (uint64_t)rows_integer(found, 0, 3);
        at->rewound = (uint32_t)rows_integer(found, 0, 4);
    }
    rows_free(found);
    return STATUS_OK;
}

static status_class ask_first(connection *c, const store_table *store, int64_t since_us, uint64_t *first_out,
                              status *st)
{
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    rows *found;
    bool all = since_us == SINK_REWIND_ALL;
    const value since = value_time_us(since_us);
    table_label(label, store);
    text_printf(&sql, "SELECT min(\"_seq\") FROM %s%s", label, all ? "" : " WHERE \"_received\" >= $1");
    statement ask = {"find the oldest row", sql.data};
    status_class class = connection_run(c, &ask, &since, all ? 0 : 1, &found, st);
    text_free(&sql);
    if (class != STATUS_OK)
        return class;
    *first_out = rows_null(found, 0, 0) ? UINT64_MAX : (uint64_t)rows_integer(found, 0, 0);
    rows_free(found);
    return STATUS_OK;
}

/* Before the first row that was received at `since_us` or later, but not behind `settled`: rows with lower
 * numbers than those that are there may be on their way. By time this is a pass over the table. Where there
 * is no B-tree on `_seq`, all of them begin at 0, and the search finds the first one faster than we would. */
static status_class before_first(connection *c, const store_table *store, int64_t since_us, uint64_t settled,
                                 uint64_t *seq_out, status *st)
{
    uint64_t first = 1;
    status ignored;
    status_class class = STATUS_OK;
    if (since_us != SINK_REWIND_ALL)
        class = connection_set_timeout(c, PASS_TIMEOUT_MS, st);
    if (class == STATUS_OK && (store->n_unique || since_us != SINK_REWIND_ALL))
        class = ask_first(c, store, since_us, &first, st);
    if (since_us != SINK_REWIND_ALL)
        connection_set_timeout(c, CONNECTION_TIMEOUT_MS, &ignored);
    *seq_out = first - 1 < settled ? first - 1 : settled;
    return class;
}

status_class sink_position_load(connection *c, sink_position *at, uint64_t settled, bool newest, status *st)
{
    bool there;
    uint64_t from = settled;
    status_class class = find_one(c, at, &there, st);
    if (class != STATUS_OK || there)
        return class;
    if (!newest)
        class = before_first(c, at->store, SINK_REWIND_ALL, settled, &from, st);
    value params[4];
    owner(at, params);
    params[3] = value_integer((int64_t)from);
    if (class == STATUS_OK)
        class = connection_run(c, &begin, params, 4, NULL, st);
    return class == STATUS_OK ? find_one(c, at, &there, st) : class;
}

status_class sink_position_rewind(connection *c, sink_position *at, uint64_t settled, int64_t since_us,
                                  uint64_t *was_out, status *st)
{
    bool there = false;
    uint64_t to;
    value params[4];
    status_class class = find_one(c, at, &there, st);
    if (class == STATUS_OK)
        class = before_first(c, at->store, since_us, settled, &to, st);
    if (class != STATUS_OK)
        return class;
    *was_out = there ? at->seq : 0;
    owner(at, params);
    params[3] = value_integer((int64_t)to);
    class = connection_run(c, &back, params, 4, NULL, st);
    return class == STATUS_OK ? find_one(c, at, &there, st) : class;
}

/* The statement touches the row if it is where we think. */
static status_class set(connection *c, const statement *s, const value *params, unsigned n, status *st)
{
    rows *done;
    status_class class = connection_run(c, s, params, n, &done, st);
    if (class != STATUS_OK)
        return class;
    bool there = rows_affected(done) == 1;
    rows_free(done);
    return there ? STATUS_OK
                 : status_set(st, STATUS_CONFLICT, "%s: its position was moved by somebody else", s->name);
}

status_class sink_position_try(connection *c, sink_position *at, uint64_t upto, status *st)
{
    value params[6];
    owner(at, params);
    params[3] = value_integer((int64_t)at->seq);
    params[4] = value_integer((int64_t)upto);
    params[5] = value_integer(at->rewound);
    status_class class = set(c, &claim, params, 6, st);
    if (class == STATUS_OK)
        at->trying = upto;
    return class;
}

static status_class bury(connection *c, const sink_position *at, const char *batch_id,
                         const letter_limits *limits, const sink_refused *letters, uint32_t n, status *st)
{
    char stage[STORE_NAME_SIZE];
    status_class class = STATUS_OK;
    letter_book *book = letter_book_create(limits);
    ledger_book *ledger = ledger_book_create(LEDGER_OTHERS);
    snprintf(stage, sizeof stage, "sink:%s", at->sink);
    for (uint32_t i = 0; i < n && class == STATUS_OK; i++) {
        const sink_refused *r = &letters[i];
        dead_letter letter = {.wid = at->wid,
                              .store = stage,
                              .origin = stage,
                              .request = batch_id,
                              .received_us = r->received_us,
                              .row = {.row = i,
                                      .code = "refused",
                                      .pointer = "",
                                      .detail = r->reason,
                                      .bytes = r->row,
                                      .len = r->len < REJECTED_BYTES_MAX ? r->len : REJECTED_BYTES_MAX,
                                      .form = REJECTED_JSON}};
        class = dead_letter_write(book, c, ledger, &letter, st);
    }
    if (class == STATUS_OK)
        class = ledger_book_write(ledger, c, st);
    ledger_book_free(ledger);
    letter_book_free(book);
    return class;
}

status_class sink_position_move(connection *c, sink_position *at, uint64_t delivered, const char *batch_id,
                                const letter_limits *limits, const sink_refused *letters, uint32_t n,
                                status *st)
{
    value params[8];
    owner(at, params);
    params[3] = value_integer((int64_t)at->seq);
    params[4] = value_integer((int64_t)at->trying);
    params[5] = value_integer((int64_t)delivered);
    params[6] = value_integer(n);
    params[7] = value_integer(at->rewound);
    status_class class = connection_begin(c, st);
    if (class == STATUS_OK)
        class = set(c, &move, params, 8, st);
    if (class == STATUS_OK && n)
        class = bury(c, at, batch_id, limits, letters, n, st);
    if (class == STATUS_OK)
        class = connection_commit(c, st);
    else
        connection_rollback(c);
    if (class != STATUS_OK)
        return class;
    at->seq = at->trying;
    at->trying = 0;
    at->delivered += delivered;
    at->refused += n;
    return STATUS_OK;
}

status_class sink_position_alone(connection *c, const sink_position *at, const uint8_t incarnation[16],
                                 bool *alone_out, status *st)
{
    rows *found;
    value params[] = {value_integer(at->wid), value_text(at->store->key),
                      value_binary(UUID_OID, incarnation, 16)};
    status_class class = connection_run(c, &others, params, 3, &found, st);
    if (class != STATUS_OK)
        return class;
    *alone_out = !rows_boolean(found, 0, 0);
    rows_free(found);
    return STATUS_OK;
}
