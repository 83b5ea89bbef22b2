#include "flow/stream_position.h"

#include <assert.h>

#include "base/fault.h"

static const statement begin = {"begin", "BEGIN ISOLATION LEVEL READ COMMITTED"};
static const statement position_first = {
    "take a stream's first position",
    "INSERT INTO penstock.position (incarnation, wid, store, lane, shard, seq, fence)"
    " VALUES ($1, $2::int, $3, $4::smallint, $5::smallint, $6, 0) ON CONFLICT DO NOTHING"};
static const statement position_move = {
    "move a stream's position",
    "UPDATE penstock.position SET seq = $6 WHERE incarnation = $1 AND wid = $2::int AND store = $3"
    " AND lane = $4::smallint AND shard = $5::smallint AND seq = $7"};
static const statement position_force = {
    "move a stream's position unchecked", /* the fault: without compare-and-set */
    "INSERT INTO penstock.position (incarnation, wid, store, lane, shard, seq, fence)"
    " VALUES ($1, $2::int, $3, $4::smallint, $5::smallint, $6, 0)"
    " ON CONFLICT (incarnation, wid, store, lane, shard) DO UPDATE SET seq = excluded.seq"};
static const statement position_read = {
    "read a stream's position",
    "SELECT seq FROM penstock.position WHERE incarnation = $1 AND wid = $2::int AND store = $3"
    " AND lane = $4::smallint AND shard = $5::smallint"};

enum { POSITION_PARAMS = 7, PIPELINE_MAX = 64, UUID_OID = 2950 };

/* Statements that go to the server together. */
typedef struct pipeline {
    statement_call calls[PIPELINE_MAX + STREAM_POSITIONS_ALONG]; /* and what goes along */
    value params[PIPELINE_MAX][POSITION_PARAMS];
    uint32_t n;
    bool begins; /* the first call is BEGIN, which moves nothing */
} pipeline;

static void stream_params(const uint8_t incarnation[16], const journal_record *r, value out[POSITION_PARAMS])
{
    out[0] = value_binary(UUID_OID, incarnation, 16);
    out[1] = value_integer(r->wid);
    out[2] = value_text(r->store);
    out[3] = value_integer((int64_t)r->lane);
    out[4] = value_integer(r->shard);
}

status_class stream_position_read(const uint8_t incarnation[16], connection *c, const journal_record *record,
                                  uint64_t *seq_out, status *st)
{
    value params[POSITION_PARAMS];
    rows *found;
    stream_params(incarnation, record, params);
    status_class class = connection_run(c, &position_read, params, 5, &found, st);
    if (class != STATUS_OK)
        return class;
    *seq_out = rows_count(found) ? (uint64_t)rows_integer(found, 0, 0) : 0;
    rows_free(found);
    return STATUS_OK;
}

/* True for the last record of its stream in this set: the position moves there from where the first
 * expects it. */
static bool ends_stream(const write_record *records, uint32_t n, uint32_t i)
{
    return i + 1 == n || records[i + 1].record->stream != records[i].record->stream;
}

/* `expected`: where the stream should stand; 0 = it has no position yet. */
static void add_move(pipeline *p, const uint8_t incarnation[16], const journal_record *record,
                     uint64_t expected)
{
    value *params = p->params[p->n];
    stream_params(incarnation, record, params);
    params[5] = value_integer((int64_t)record->seq);
    params[6] = value_integer((int64_t)expected);
    const statement *s = fault_active("position") ? &position_force
                         : expected               ? &position_move
                                                  : &position_first;
    p->calls[p->n++] = (statement_call){s, params, s == &position_move ? 7 : 6, NULL};
}

static status_class check_moved(statement_call *calls, uint32_t n, status *st)
{
    status_class class = STATUS_OK;
    for (uint32_t i = 0; i < n; i++) {
        if (class == STATUS_OK && rows_affected(calls[i].result) != 1)
            class =
                status_set(st, STATUS_CONFLICT, "a stream's position was not where the journal expects it");
        rows_free(calls[i].result);
    }
    return class;
}

static status_class pipeline_send(pipeline *p, connection *c, const statement_call *along, unsigned n_along,
                                  status *st)
{
    for (unsigned i = 0; i < n_along; i++)
        p->calls[p->n + i] = along[i];
    status_class class = connection_pipeline(c, p->calls, p->n + n_along, NULL, st);
    if (p->begins)
        rows_free(p->calls[0].result);
    for (unsigned i = 0; i < n_along; i++)
        rows_free(p->calls[p->n + i].result);
    if (class == STATUS_OK)
        class = check_moved(p->calls + p->begins, p->n - p->begins, st);
    p->n = 0;
    p->begins = false;
    return class;
}

status_class stream_positions_move(const uint8_t incarnation[16], connection *c, const write_record *records,
                                   uint32_t n, const statement_call *along, unsigned n_along, status *st)
{
    pipeline p; /* large: not cleared */
    assert(n_along <= STREAM_POSITIONS_ALONG);
    p.calls[0] = (statement_call){.statement = &begin};
    p.n = 1;
    p.begins = true;
    status_class class = STATUS_OK;
    for (uint32_t i = 0, first = 0; i < n && class == STATUS_OK; i++) {
        if (!ends_stream(records, n, i))
            continue;
        add_move(&p, incarnation, records[i].record, records[first].expected_seq);
        first = i + 1;
        if (first == n)
            class = pipeline_send(&p, c, along, n_along, st);
        else if (p.n == PIPELINE_MAX)
            class = pipeline_send(&p, c, NULL, 0, st);
    }
    return class;
}
