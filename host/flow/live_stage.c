#include "flow/live_stage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fault.h"
#include "base/log.h"

/* PostgreSQL compares transactions of 32 bits by their distance: further apart it cannot tell. */
#define COMPARABLE ((uint64_t)1 << 31)

void live_stage_name(char out[LIVE_STORE_SIZE], const store_table *table)
{
    snprintf(out, LIVE_STORE_SIZE, "%s:%s", store_class_schema(table->class), table->key);
}

/* "transaction-system-timeline". */
static bool parse_id(const char *id, uint64_t *xid_out, const char **cluster_out)
{
    char *end;
    if (id[0] < '0' || id[0] > '9' || strlen(id) >= LIVE_ID_SIZE)
        return false;
    *xid_out = strtoull(id, &end, 10);
    *cluster_out = end + 1;
    size_t system = *end == '-' ? strspn(end + 1, "0123456789") : 0;
    const char *line = system ? end + 1 + system : NULL;
    return line && *line == '-' && line[1] && line[1 + strspn(line + 1, "0123456789")] == '\0';
}

bool live_stage_is_id(const char *id)
{
    uint64_t xid;
    const char *cluster;
    return parse_id(id, &xid, &cluster);
}

/* Whether the table itself is as old as `xid`: neither made, switched nor altered since. */
static status_class table_is_older(connection *c, const char *label, const char *xid, bool *older_out,
                                   status *st)
{
    static const statement look = {"look how old a table is",
                                   "SELECT age(xmin) NOT BETWEEN 0 AND age($2::xid) "
                                   "FROM pg_class WHERE oid = $1::regclass"};
    value params[] = {value_text(label), value_text(xid)};
    rows *found;
    status_class class = connection_run(c, &look, params, 2, &found, st);
    if (class != STATUS_OK)
        return class;
    *older_out = rows_count(found) == 1 && rows_boolean(found, 0, 0);
    rows_free(found);
    return STATUS_OK;
}

status_class live_stage_place(connection *c, const store_table *table, const char *id, live_place *out,
                              status *st)
{
    static const statement look = {
        "look where transactions are",
        "SELECT pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text, "
        "(SELECT system_identifier::text FROM pg_control_system()) || '-' || "
        "(SELECT timeline_id::text FROM pg_control_checkpoint()) FROM pg_current_snapshot() s"};
    char label[TABLE_LABEL_SIZE];
    const char *cluster = "";
    uint64_t xid = 0;
    rows *found;
    bool older = false;
    *out = (live_place){.whole = false};
    table_label(label, table);
    status_class class = connection_run(c, &look, NULL, 0, &found, st);
    if (class != STATUS_OK)
        return class;
    uint64_t next = strtoull(rows_text(found, 0, 1), NULL, 10);
    unsigned oldest = fault_active("live_place") ? 1 : 0; /* the fault: the next one, whoever is under way */
    snprintf(out->id, sizeof out->id, "%s-%s", rows_text(found, 0, oldest), rows_text(found, 0, 2));
    bool known = id && parse_id(id, &xid, &cluster) && strcmp(cluster, rows_text(found, 0, 2)) == 0 &&
                 xid <= next && next - xid < COMPARABLE;
    rows_free(found);
    snprintf(out->since, sizeof out->since, "%" PRIu32, (uint32_t)xid);
    if (known)
        class = table_is_older(c, label, out->since, &older, st);
    out->whole = id && !older;
    return class;
}

bool live_stage_watched(live_hub *h, const store_table *table)
{
    char name[LIVE_STORE_SIZE];
    live_stage_name(name, table);
    return live_watched(h, table->wid, name);
}

void live_stage_restart(live_hub *h, const store_table *table)
{
    char name[LIVE_STORE_SIZE];
    live_stage_name(name, table);
    live_restart(h, table->wid, name);
}

void live_stage_unsettled(live_hub *h, const store_table *table)
{
    char name[LIVE_STORE_SIZE];
    live_stage_name(name, table);
    live_unsettled(h, table->wid, name);
}

void live_stage_settled(live_hub *h, const store_table *table)
{
    char name[LIVE_STORE_SIZE];
    live_stage_name(name, table);
    live_settled(h, table->wid, name);
}

/* The place is looked up first: everything before its id is in the rows that are read then. */
void live_stage_tell(live_hub *h, connection *c, const store_table *table, const store_ranges *ranges)
{
    char name[LIVE_STORE_SIZE];
    live_place place;
    metric_result now = {0};
    status st;
    if (!live_stage_watched(h, table))
        return;
    live_stage_name(name, table);
    arena *a = arena_create(0);
    status_class class = live_stage_place(c, table, NULL, &place, &st);
    if (class == STATUS_OK)
        class = store_rows_ranges(table, c, ranges, LIVE_STAGE_ROWS_MAX + 1, a, &now, &st);
    if (class != STATUS_OK)
        log_status(LOG_LEVEL_WARN, "live", "what was computed cannot be read for a live view", &st);
    if (class != STATUS_OK || now.cut || now.rows.n_rows > LIVE_STAGE_ROWS_MAX)
        live_restart(h, table->wid, name);
    else if (now.rows.n_rows > 0)
        live_tell(h, table->wid, name, &now, place.id);
    metric_result_free(&now);
    arena_free(a);
}
