/* Two statements are made for a store once, when it is described:
 *   insert  INSERT … SELECT … FROM unnest(arrays) … ON CONFLICT DO NOTHING (datastores; the rows that are
 * new), or ON CONFLICT DO UPDATE for stores that keep no _seq; change  UPDATE … FROM unnest(arrays) for those
 * that were there, where the stored row is older. Only sent when the insert left rows over, so a stream of
 * new rows costs one statement. (One INSERT … DO UPDATE could not tell new rows from changed ones:
 * partitioned tables give no xmax.) Each of them exists once more with RETURNING "_seq", for several parts in
 * one statement: the _seq tells whose row it was. */
#include "store/upsert.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/batch_builder.h"
#include "base/fault.h"
#include "store/batch_key.h"
#include "store/copy.h"

struct upsert {
    char *insert_sql, *change_sql;           /* change_sql NULL: not needed */
    char *insert_each_sql, *change_each_sql; /* the same, telling the _seq of every row; datastores only */
    uint32_t key[TABLE_KEY_COLUMNS_MAX];
    uint32_t n_key, n_columns; /* with _extra */
    column_type *types;
    bool *is_key;
    table_conflict conflict;
    int32_t version;
    bool sequenced; /* has _seq and _received */
};

/* ---- the statements ---- */

static const char *column_name(const store_table *t, uint32_t i)
{
    return i < t->n_columns ? t->columns[i].name : "_extra";
}

static column_type column_type_of(const store_table *t, uint32_t i)
{
    return i < t->n_columns ? t->columns[i].type : COLUMN_JSON;
}

static void add_name(text *s, const char *prefix, const char *name)
{
    text_add(s, prefix);
    sql_identifier(s, name);
}

/* `unnest($1::timestamptz[], …, $n::bigint[]) AS i("time", …, "_seq")`, with presence arrays for merge. */
static void add_source(text *s, const store_table *t, const upsert *u, bool presence)
{
    unsigned n = 0;
    text_add(s, " FROM unnest(");
    for (uint32_t i = 0; i < u->n_columns; i++)
        text_printf(s, "%s$%u::%s[]", i ? ", " : "", ++n, column_sql_type(column_type_of(t, i)));
    if (u->sequenced) {
        text_printf(s, ", $%u::bigint[], $%u::timestamptz[]", n + 1, n + 2);
        n += 2;
    }
    for (uint32_t i = 0; presence && i < u->n_columns; i++)
        if (!u->is_key[i])
            text_printf(s, ", $%u::boolean[]", ++n);
    text_add(s, ") AS i(");
    for (uint32_t i = 0; i < u->n_columns; i++)
        add_name(s, i ? ", " : "", column_name(t, i));
    if (u->sequenced)
        text_add(s, ", \"_seq\", \"_received\"");
    for (uint32_t i = 0; presence && i < u->n_columns; i++)
        if (!u->is_key[i])
            text_printf(s, ", \"has %u\"", i); /* no column has a blank in its name, so none is met */
    text_add(s, ")");
}

static void add_key_list(text *s, const store_table *t, const upsert *u)
{
    for (uint32_t i = 0; i < u->n_key; i++)
        add_name(s, i ? ", " : "", column_name(t, u->key[i]));
}

static void add_overwrites(text *s, const store_table *t, const upsert *u)
{
    const char *comma = "";
    for (uint32_t i = 0; i < u->n_columns; i++)
        if (!u->is_key[i]) {
            add_name(s, comma, column_name(t, i));
            add_name(s, " = excluded.", column_name(t, i));
            comma = ", ";
        }
}

static char *insert_statement(const store_table *t, const upsert *u)
{
    char label[TABLE_LABEL_SIZE];
    text s = {0};
    table_label(label, t);
    text_printf(&s, "%sINSERT INTO %s AS t (", u->sequenced ? "" : "WITH w AS (", label);
    for (uint32_t i = 0; i < u->n_columns; i++)
        add_name(&s, i ? ", " : "", column_name(t, i));
    text_add(&s, u->sequenced ? ", \"_seq\", \"_received\") SELECT " : ") SELECT ");
    for (uint32_t i = 0; i < u->n_columns; i++)
        add_name(&s, i ? ", i." : "i.", column_name(t, i));
    if (u->sequenced)
        text_add(&s, ", i.\"_seq\", i.\"_received\"");
    add_source(&s, t, u, false);
    text_add(&s, " ON CONFLICT (");
    add_key_list(&s, t, u);
    bool overwrite = !u->sequenced && u->conflict != CONFLICT_KEEP_FIRST && u->n_key < u->n_columns;
    text_add(&s, overwrite ? ") DO UPDATE SET " : ") DO NOTHING");
    if (overwrite)
        add_overwrites(&s, t, u);
    if (!u->sequenced)
        text_add(&s, " RETURNING t.xmax = 0 AS fresh) SELECT count(*) FILTER (WHERE fresh), "
                     "count(*) FILTER (WHERE NOT fresh) FROM w");
    return text_take(&s);
}

/* One assignment of the change: for merge only where the column stood in the input. */
static void add_assignment(text *s, const store_table *t, const upsert *u, uint32_t i)
{
    const char *name = column_name(t, i);
    add_name(s, "", name);
    if (u->conflict == CONFLICT_MERGE && !fault_active("presence")) {
        text_printf(s, " = CASE WHEN i.\"has %u\" THEN ", i);
        add_name(s, "i.", name);
        add_name(s, " ELSE t.", name);
        text_add(s, " END, ");
        return;
    }
    add_name(s, " = i.", name);
    text_add(s, ", ");
}

static char *change_statement(const store_table *t, const upsert *u)
{
    char label[TABLE_LABEL_SIZE];
    text s = {0};
    table_label(label, t);
    text_printf(&s, "UPDATE %s AS t SET ", label);
    for (uint32_t i = 0; i < u->n_columns; i++)
        if (!u->is_key[i])
            add_assignment(&s, t, u, i);
    text_add(&s, "\"_seq\" = i.\"_seq\", \"_received\" = i.\"_received\"");
    add_source(&s, t, u, u->conflict == CONFLICT_MERGE);
    for (uint32_t i = 0; i < u->n_key; i++) {
        add_name(&s, i ? " AND t." : " WHERE t.", column_name(t, u->key[i]));
        add_name(&s, " = i.", column_name(t, u->key[i]));
    }
    if (fault_active(u->version < 0 ? "order" : "version"))
        return text_take(&s);
    if (u->version < 0) {
        text_add(&s, " AND t.\"_seq\" < i.\"_seq\"");
    } else {
        const char *version = column_name(t, (uint32_t)u->version);
        text_add(&s, " AND t.\"_seq\" <> i.\"_seq\" AND (");
        add_name(&s, "t.", version);
        add_name(&s, " IS NULL OR t.", version);
        add_name(&s, " <= i.", version);
        text_add(&s, ")");
    }
    return text_take(&s);
}

static char *telling_each(const char *sql)
{
    text s = {0};
    text_printf(&s, "%s RETURNING t.\"_seq\"", sql);
    return text_take(&s);
}

upsert *upsert_create(const store_table *t)
{
    upsert *u = memory_zero(1, sizeof *u);
    assert(t->n_unique > 0 && t->n_unique <= TABLE_KEY_COLUMNS_MAX);
    u->n_key = t->n_unique;
    memcpy(u->key, t->unique, t->n_unique * sizeof *u->key);
    u->sequenced = t->class == STORE_DATASTORE;
    u->n_columns = t->n_columns + (t->has_extra ? 1 : 0);
    u->types = memory_zero(u->n_columns, sizeof *u->types);
    u->is_key = memory_zero(u->n_columns, sizeof *u->is_key);
    for (uint32_t i = 0; i < u->n_columns; i++)
        u->types[i] = column_type_of(t, i);
    for (uint32_t i = 0; i < u->n_key; i++)
        u->is_key[u->key[i]] = true;
    u->conflict = t->conflict;
    u->version = u->sequenced ? t->version_column : -1;
    u->insert_sql = insert_statement(t, u);
    if (u->sequenced && u->conflict != CONFLICT_KEEP_FIRST)
        u->change_sql = change_statement(t, u);
    if (u->sequenced)
        u->insert_each_sql = telling_each(u->insert_sql);
    if (u->change_sql)
        u->change_each_sql = telling_each(u->change_sql);
    return u;
}

void upsert_free(upsert *u)
{
    if (!u)
        return;
    free(u->insert_sql);
    free(u->change_sql);
    free(u->insert_each_sql);
    free(u->change_each_sql);
    free(u->types);
    free(u->is_key);
    free(u);
}

/* ---- writing ---- */

typedef struct parameter_list {
    text bytes;
    size_t *starts; /* where each begins in bytes; it grows, so pointers come last */
    uint32_t *oids;
    value *values;
    unsigned n;
} parameter_list;

static void begin_parameter(parameter_list *p, uint32_t oid)
{
    p->starts[p->n] = p->bytes.len;
    p->oids[p->n++] = oid;
}

/* What is to be stored: the chosen rows of a batch, and _seq and _received of every row that came in. */
typedef struct load {
    const batch *rows;
    const uint32_t *order; /* of `rows`; NULL = all, as they stand */
    const uint32_t *came;  /* which row that came in each of them is, for seq and received */
    uint32_t n;
    const int64_t *seq, *received_us;
} load;

static void fill_column(parameter_list *p, const column *c, const uint32_t *order, uint32_t n)
{
    begin_parameter(p, column_array_oid(c->type));
    copy_encode_array(&p->bytes, c, &(copy_rows){.order = order, .n_rows = n}, n);
}

static void fill(parameter_list *p, const upsert *u, const load *l)
{
    for (uint32_t i = 0; i < u->n_columns; i++) {
        assert(l->rows->columns[i].type == u->types[i]);
        fill_column(p, &l->rows->columns[i], l->order, l->n);
    }
    if (!u->sequenced)
        return;
    fill_column(p, &(column){.type = COLUMN_INTEGER, .values = (void *)l->seq}, l->came, l->n);
    fill_column(p, &(column){.type = COLUMN_TIMESTAMP, .values = (void *)l->received_us}, l->came, l->n);
}

static void fill_presence(parameter_list *p, const upsert *u, const load *l)
{
    for (uint32_t i = 0; i < u->n_columns; i++)
        if (!u->is_key[i]) {
            begin_parameter(p, 1000);
            copy_encode_presence(&p->bytes, &l->rows->columns[i],
                                 &(copy_rows){.order = l->order, .n_rows = l->n}, l->n);
        }
}

static void finish(parameter_list *p)
{
    for (unsigned i = 0; i < p->n; i++) {
        size_t end = i + 1 < p->n ? p->starts[i + 1] : p->bytes.len;
        p->values[i] = value_binary(p->oids[i], p->bytes.data + p->starts[i], end - p->starts[i]);
    }
}

/* The part that a row came with. */
static upsert_part *part_of(upsert_part *parts, uint32_t n, int64_t seq)
{
    uint32_t lo = 0;
    while (n - lo > 1) {
        uint32_t middle = lo + (n - lo) / 2;
        if (parts[middle].first_seq <= seq)
            lo = middle;
        else
            n = middle;
    }
    return &parts[lo];
}

/* Of one part the number of rows is enough; feature- and inferencestores answer both numbers themselves. */
static void count(const upsert *u, const rows *result, bool changed, upsert_part *parts, uint32_t n)
{
    if (!u->sequenced) {
        parts->counts.stored = rows_integer(result, 0, 0);
        parts->counts.updated = rows_integer(result, 0, 1);
    } else if (n == 1 && changed) {
        parts->counts.updated = rows_affected(result);
    } else if (n == 1) {
        parts->counts.stored = rows_affected(result);
    } else {
        for (uint32_t i = 0; i < rows_count(result); i++) {
            upsert_part *part = part_of(parts, n, rows_integer(result, i, 0));
            part->counts.updated += changed;
            part->counts.stored += !changed;
        }
    }
}

static status_class run(connection *c, const upsert *u, bool change, parameter_list *p, upsert_part *parts,
                        uint32_t n, status *st)
{
    const char *once = change ? u->change_sql : u->insert_sql,
               *each = change ? u->change_each_sql : u->insert_each_sql;
    statement s = {change ? "correct rows" : "store rows", n > 1 ? each : once};
    rows *result = NULL;
    finish(p);
    status_class ret = connection_run(c, &s, p->values, p->n, &result, st);
    if (ret == STATUS_OK)
        count(u, result, change, parts, n);
    rows_free(result);
    return ret;
}

static bool all_new(const upsert_part *parts, uint32_t n, uint32_t sent)
{
    int64_t stored = 0;
    for (uint32_t i = 0; i < n; i++)
        stored += parts[i].counts.stored;
    return stored == sent;
}

static status_class send(connection *c, const upsert *u, const load *l, upsert_part *parts, uint32_t n,
                         arena *a, status *st)
{
    uint32_t most = 2 * u->n_columns + 2;
    parameter_list p = {.starts = arena_zero(a, most, sizeof(size_t)),
                        .oids = arena_zero(a, most, sizeof(uint32_t)),
                        .values = arena_zero(a, most, sizeof(value))};
    fill(&p, u, l);
    status_class ret = run(c, u, false, &p, parts, n, st);
    if (ret == STATUS_OK && u->change_sql && !all_new(parts, n, l->n)) {
        if (u->conflict == CONFLICT_MERGE)
            fill_presence(&p, u, l);
        ret = run(c, u, true, &p, parts, n, st);
    }
    text_free(&p.bytes);
    return ret;
}

/* One row a key out of what came in. */
static load choose(const upsert *u, const batch *b, arena *a)
{
    uint32_t *chosen = NULL;
    load l = {.rows = b, .n = b->n_rows};
    if (fault_active("batch_once"))
        return l;
    if (u->conflict == CONFLICT_MERGE && u->sequenced) {
        l.rows = batch_fold(a, b, u->key, u->n_key, u->version, &chosen);
        l.n = l.rows->n_rows;
    } else {
        batch_pick pick = u->conflict == CONFLICT_KEEP_FIRST ? BATCH_FIRST : BATCH_LAST;
        l.n = batch_distinct(a, b, u->key, u->n_key, pick, u->version, &chosen);
    }
    l.order = l.rows == b ? chosen : NULL; /* a folded batch stands in order already */
    l.came = chosen;
    return l;
}

static void number_rows(load *l, const upsert_part *parts, uint32_t n, uint32_t total, arena *a)
{
    int64_t *seq = arena_alloc(a, (total + 1) * sizeof *seq);
    int64_t *received_us = arena_alloc(a, (total + 1) * sizeof *received_us);
    l->seq = seq;
    l->received_us = received_us;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < parts[i].rows->n_rows; k++) {
            *seq++ = parts[i].first_seq + k;
            *received_us++ = parts[i].received_us;
        }
}

static batch join(batch_builder *joined, const upsert_part *parts, uint32_t n, arena *a)
{
    uint32_t longest = 0;
    for (uint32_t i = 0; i < n; i++)
        longest = parts[i].rows->n_rows > longest ? parts[i].rows->n_rows : longest;
    uint32_t *all = arena_alloc(a, (longest + 1) * sizeof *all);
    for (uint32_t k = 0; k < longest; k++)
        all[k] = k;
    for (uint32_t i = 0; i < n; i++)
        batch_builder_copy_rows(joined, parts[i].rows, all, parts[i].rows->n_rows);
    return batch_builder_freeze(joined);
}

static status_class write_batch(connection *c, const upsert *u, const batch *b, upsert_part *parts,
                                uint32_t n, arena *a, status *st)
{
    assert(b->n_columns == u->n_columns);
    load l = choose(u, b, a);
    number_rows(&l, parts, n, b->n_rows, a);
    for (uint32_t i = 0; i < n; i++)
        parts[i].counts = (upsert_counts){0};
    status_class ret = l.n > 0 ? send(c, u, &l, parts, n, a, st) : STATUS_OK;
    for (uint32_t i = 0; i < n; i++)
        parts[i].counts.duplicate =
            (int64_t)parts[i].rows->n_rows - parts[i].counts.stored - parts[i].counts.updated;
    return ret;
}

status_class upsert_write(connection *c, const upsert *u, const batch *b, int64_t first_seq,
                          int64_t received_us, upsert_counts *out, status *st)
{
    arena *a = arena_create(0);
    upsert_part part = {.rows = b, .first_seq = first_seq, .received_us = received_us};
    status_class ret = write_batch(c, u, b, &part, 1, a, st);
    *out = part.counts;
    arena_free(a);
    return ret;
}

static int compare_parts(const void *left, const void *right)
{
    const upsert_part *a = left, *b = right;
    return (a->first_seq > b->first_seq) - (a->first_seq < b->first_seq);
}

status_class upsert_write_parts(connection *c, const upsert *u, upsert_part *parts, uint32_t n, status *st)
{
    assert(u->sequenced && n > 0);
    if (n == 1)
        return upsert_write(c, u, parts->rows, parts->first_seq, parts->received_us, &parts->counts, st);
    arena *a = arena_create(0);
    qsort(parts, n, sizeof *parts, compare_parts);
    batch_builder *joined = batch_builder_create(u->types, u->n_columns);
    batch b = join(joined, parts, n, a);
    status_class ret = write_batch(c, u, &b, parts, n, a, st);
    batch_builder_free(joined);
    arena_free(a);
    return ret;
}
