/* Two statements are made for a store once, when it is described:
 *   insert  INSERT … SELECT … FROM unnest(arrays) … ON CONFLICT DO NOTHING (datastores; the rows that are
 * new), or ON CONFLICT DO UPDATE for stores that keep no _seq; change  UPDATE … FROM unnest(arrays) for those
 * that were there, where the stored row is older. Only sent when the insert left rows over, so a stream of
 * new rows costs one statement. (One INSERT … DO UPDATE could not tell new rows from changed ones:
 * partitioned tables give no xmax.) */
#include "store/upsert.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "store/batch_key.h"
#include "store/copy.h"

struct upsert {
    char *insert_sql, *change_sql; /* change_sql NULL: not needed */
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
    if (u->sequenced)
        text_printf(s, ", $%u::bigint[]", ++n);
    for (uint32_t i = 0; presence && i < u->n_columns; i++)
        if (!u->is_key[i])
            text_printf(s, ", $%u::boolean[]", ++n);
    text_add(s, ") AS i(");
    for (uint32_t i = 0; i < u->n_columns; i++)
        add_name(s, i ? ", " : "", column_name(t, i));
    if (u->sequenced)
        text_add(s, ", \"_seq\"");
    for (uint32_t i = 0; presence && i < u->n_columns; i++)
        if (!u->is_key[i])
            text_printf(s, ", \"has %u\"", i); /* no column has a blank in its name, so none is met */
    text_add(s, ")");
}

static unsigned received_number(const upsert *u)
{
    unsigned n = u->n_columns + 2;
    for (uint32_t i = 0; u->conflict == CONFLICT_MERGE && i < u->n_columns; i++)
        n += !u->is_key[i];
    return n;
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
        text_printf(&s, ", i.\"_seq\", $%u::timestamptz", u->n_columns + 2);
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
    if (u->conflict == CONFLICT_MERGE) {
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
    text_printf(&s, "\"_seq\" = i.\"_seq\", \"_received\" = $%u::timestamptz", received_number(u));
    add_source(&s, t, u, u->conflict == CONFLICT_MERGE);
    for (uint32_t i = 0; i < u->n_key; i++) {
        add_name(&s, i ? " AND t." : " WHERE t.", column_name(t, u->key[i]));
        add_name(&s, " = i.", column_name(t, u->key[i]));
    }
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
    return u;
}

void upsert_free(upsert *u)
{
    if (!u)
        return;
    free(u->insert_sql);
    free(u->change_sql);
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

static void fill(parameter_list *p, const upsert *u, const batch *b, const copy_rows *values,
                 const copy_rows *sequence)
{
    for (uint32_t i = 0; i < u->n_columns; i++) {
        assert(b->columns[i].type == u->types[i]);
        begin_parameter(p, column_array_oid(u->types[i]));
        copy_encode_array(&p->bytes, &b->columns[i], values, b->n_rows);
    }
    if (!u->sequenced)
        return;
    begin_parameter(p, 1016);
    copy_encode_sequence(&p->bytes, sequence, sequence->n_rows);
}

static void fill_presence(parameter_list *p, const upsert *u, const batch *b, const copy_rows *values)
{
    for (uint32_t i = 0; i < u->n_columns; i++)
        if (!u->is_key[i]) {
            begin_parameter(p, 1000);
            copy_encode_presence(&p->bytes, &b->columns[i], values, b->n_rows);
        }
}

static void finish(parameter_list *p)
{
    for (unsigned i = 0; i < p->n; i++) {
        size_t end = i + 1 < p->n ? p->starts[i + 1] : p->bytes.len;
        p->values[i] = value_binary(p->oids[i], p->bytes.data + p->starts[i], end - p->starts[i]);
    }
}

/* `values` are rows of `b`; `sequence` are the rows' numbers in the batch as it came. */
static status_class send(connection *c, const upsert *u, const batch *b, const copy_rows *values,
                         const copy_rows *sequence, arena *a, upsert_counts *out, status *st)
{
    parameter_list p = {.starts = arena_zero(a, 2 * u->n_columns + 2, sizeof(size_t)),
                        .oids = arena_zero(a, 2 * u->n_columns + 2, sizeof(uint32_t)),
                        .values = arena_zero(a, 2 * u->n_columns + 3, sizeof(value))};
    rows *result = NULL;
    int64_t n = sequence->n_rows;
    fill(&p, u, b, values, sequence);
    finish(&p);
    if (u->sequenced)
        p.values[p.n] = value_time_us(values->received_us);
    statement insert = {"store rows", u->insert_sql}, change = {"correct rows", u->change_sql};
    status_class ret = connection_run(c, &insert, p.values, p.n + u->sequenced, &result, st);
    if (ret == STATUS_OK) {
        out->stored = u->sequenced ? rows_affected(result) : rows_integer(result, 0, 0);
        out->updated = u->sequenced ? 0 : rows_integer(result, 0, 1);
    }
    rows_free(result);
    result = NULL;
    if (ret == STATUS_OK && u->change_sql && out->stored < n) {
        if (u->conflict == CONFLICT_MERGE)
            fill_presence(&p, u, b, values);
        finish(&p);
        p.values[p.n] = value_time_us(values->received_us);
        ret = connection_run(c, &change, p.values, p.n + 1, &result, st);
        if (ret == STATUS_OK)
            out->updated = rows_affected(result);
        rows_free(result);
    }
    text_free(&p.bytes);
    return ret;
}

status_class upsert_write(connection *c, const upsert *u, const batch *b, int64_t first_seq,
                          int64_t received_us, upsert_counts *out, status *st)
{
    arena *a = arena_create(0);
    uint32_t *chosen = NULL, n = 0;
    const batch *folded = b;
    assert(b->n_columns == u->n_columns);
    if (u->conflict == CONFLICT_MERGE && u->sequenced) {
        folded = batch_fold(a, b, u->key, u->n_key, u->version, &chosen);
        n = folded->n_rows;
    } else {
        batch_pick pick = u->conflict == CONFLICT_KEEP_FIRST ? BATCH_FIRST : BATCH_LAST;
        n = batch_distinct(a, b, u->key, u->n_key, pick, u->version, &chosen);
    }
    copy_rows sequence = {.order = chosen, .n_rows = n, .first_seq = first_seq, .received_us = received_us};
    copy_rows values = sequence;
    if (folded != b)
        values.order = NULL; /* the folded batch stands in order already */
    *out = (upsert_counts){0};
    status_class ret = n > 0 ? send(c, u, folded, &values, &sequence, a, out, st) : STATUS_OK;
    out->duplicate = (int64_t)b->n_rows - out->stored - out->updated;
    arena_free(a);
    return ret;
}
