/* Ranges are read from the catalogue once per table and kept; every batch's times are then looked up in
 * memory. */
#include "store/partitions.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/keep.h"
#include "base/utc.h"

#define RETRY_PAUSE_MS 50

enum { RANGES_FIRST = 4 };

typedef struct range {
    int64_t from, to; /* [from, to) */
} range;

typedef struct known {
    char label[TABLE_LABEL_SIZE];
    range *ranges; /* sorted, disjoint */
    uint32_t n, cap;
    bool loaded;
} known;

struct partition_cache {
    pthread_mutex_t lock;
    known **tables; /* sorted by label */
    uint32_t n, cap;
};

partition_cache *partition_cache_create(void)
{
    partition_cache *cache = memory_zero(1, sizeof *cache);
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void partition_cache_free(partition_cache *cache)
{
    if (!cache)
        return;
    for (uint32_t i = 0; i < cache->n; i++) {
        keep_free(cache->tables[i]->ranges);
        keep_free(cache->tables[i]);
    }
    free(cache->tables);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* ---- the calendar ---- */

static int64_t first_of_month(int year, int month)
{
    year += (month - 1) / 12;
    month = (month - 1) % 12 + 1;
    return utc_days_from_civil(year, (unsigned)month, 1) * UTC_DAY_US;
}

static int64_t floor_days(int64_t us)
{
    int64_t days = us / UTC_DAY_US;
    return us % UTC_DAY_US < 0 ? days - 1 : days;
}

void partition_range(partition_width width, int64_t us, int64_t *from_out, int64_t *to_out)
{
    int year;
    unsigned month, day;
    int64_t days = floor_days(us), monday;
    utc_civil_from_days((int32_t)days, &year, &month, &day);
    switch (width) {
    case PARTITION_DAY:
        *from_out = days * UTC_DAY_US;
        *to_out = *from_out + UTC_DAY_US;
        return;
    case PARTITION_WEEK:
        monday = days - ((days + 3) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
        *from_out = monday * UTC_DAY_US;
        *to_out = *from_out + 7 * UTC_DAY_US;
        return;
    case PARTITION_MONTH:
        *from_out = first_of_month(year, (int)month);
        *to_out = first_of_month(year, (int)month + 1);
        return;
    case PARTITION_YEAR:
        *from_out = first_of_month(year, 1);
        *to_out = first_of_month(year + 1, 1);
        return;
    case PARTITION_NONE:
        break;
    }
    *from_out = INT64_MIN;
    *to_out = INT64_MAX;
}

static range ten_years(int64_t us)
{
    int year;
    unsigned month, day;
    utc_civil_from_days((int32_t)floor_days(us), &year, &month, &day);
    int first = year - ((year % 10) + 10) % 10;
    return (range){first_of_month(first < 1 ? 1 : first, 1), first_of_month(first + 10, 1)};
}

/* ---- what is known ---- */

/* *at_out is where it stands, or belongs: tables are sorted, since every record of every workspace asks. */
static known *look_up(const partition_cache *cache, const char *label, uint32_t *at_out)
{
    uint32_t low = 0, high = cache->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(cache->tables[middle]->label, label);
        if (order == 0) {
            *at_out = middle;
            return cache->tables[middle];
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *at_out = low;
    return NULL;
}

static known *find_known(partition_cache *cache, const char *label)
{
    uint32_t at;
    known *k = look_up(cache, label, &at);
    if (k)
        return k;
    if (cache->n == cache->cap) {
        cache->cap = cache->cap ? cache->cap * 2 : 16;
        cache->tables = memory_grow(cache->tables, cache->cap * sizeof(void *));
    }
    k = keep_zero(1, sizeof *k);
    snprintf(k->label, sizeof k->label, "%s", label);
    memmove(&cache->tables[at + 1], &cache->tables[at], (cache->n++ - at) * sizeof(void *));
    cache->tables[at] = k;
    return k;
}

/* Index of the first range that ends after `us`. */
static uint32_t position(const known *k, int64_t us)
{
    uint32_t low = 0, high = k->n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (k->ranges[middle].to > us)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool covered(const known *k, int64_t us)
{
    uint32_t at = position(k, us);
    return at < k->n && k->ranges[at].from <= us;
}

static void insert_range(known *k, range r)
{
    uint32_t at = position(k, r.from);
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : RANGES_FIRST;
        k->ranges = keep_grow(k->ranges, k->cap * sizeof *k->ranges);
    }
    memmove(k->ranges + at + 1, k->ranges + at, (k->n - at) * sizeof *k->ranges);
    k->ranges[at] = r;
    k->n++;
}

/* The range to make for `us`: the table's width (ten years when there are too many), cut to the gap it stands
 * in. */
static range range_for(const known *k, partition_width width, int64_t us)
{
    range r;
    if (k->n >= PARTITIONS_MAX)
        r = ten_years(us);
    else
        partition_range(width, us, &r.from, &r.to);
    uint32_t at = position(k, us);
    if (at > 0 && k->ranges[at - 1].to > r.from)
        r.from = k->ranges[at - 1].to;
    if (at < k->n && k->ranges[at].from < r.to)
        r.to = k->ranges[at].from;
    return r;
}

/* ---- the database ---- */

/* Bounds of a table's partitions, oldest first, in microseconds. */
static const statement list_partitions = {
    "read partitions",
    "SELECT (extract(epoch FROM (regexp_match(pg_get_expr(c.relpartbound, c.oid), "
    "'FROM \\(''([^'']+)''\\) TO \\(''([^'']+)''\\)'))[1]::timestamptz) * 1000000)::bigint AS lower, "
    "(extract(epoch FROM (regexp_match(pg_get_expr(c.relpartbound, c.oid), "
    "'FROM \\(''([^'']+)''\\) TO \\(''([^'']+)''\\)'))[2]::timestamptz) * 1000000)::bigint AS upper, "
    "c.relname "
    "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "WHERE i.inhparent = to_regclass($1::text) ORDER BY 1"};

static status_class load(connection *c, known *k, status *st)
{
    rows *r;
    value label = value_text(k->label);
    status_class ret = connection_run(c, &list_partitions, &label, 1, &r, st);
    if (ret != STATUS_OK)
        return ret;
    k->n = 0;
    for (uint32_t i = 0; i < rows_count(r); i++)
        insert_range(k, (range){rows_integer(r, i, 0), rows_integer(r, i, 1)});
    k->loaded = true;
    rows_free(r);
    return STATUS_OK;
}

/* `{key}__p20260101_wid{N}`, with the hour when the range does not begin at midnight UTC (it always does). */
static void partition_name(char out[TABLE_NAME_SIZE], const store_table *t, int64_t from_us)
{
    char what[16];
    int year;
    unsigned month, day;
    utc_civil_from_days((int32_t)floor_days(from_us), &year, &month, &day);
    snprintf(what, sizeof what, "p%04d%02u%02u", year, month, day);
    table_name(out, t->key, what, t->wid);
}

static void add_time(text *sql, int64_t us)
{
    char when[UTC_TEXT_SIZE];
    utc_format(us, when);
    sql_literal(sql, when);
}

/* CREATE beside, then ATTACH: the parent is locked only for the moment of attaching (SHARE UPDATE EXCLUSIVE).
 */
static void creation_sql(text *sql, const store_table *t, range r)
{
    char label[TABLE_LABEL_SIZE], name[TABLE_NAME_SIZE];
    const char *schema = store_class_schema(t->class);
    table_label(label, t);
    partition_name(name, t, r.from);
    text_clear(sql);
    text_printf(sql,
                "BEGIN; SET LOCAL lock_timeout = %d; CREATE TABLE \"%s\".\"%s\" (LIKE %s INCLUDING DEFAULTS "
                "INCLUDING STORAGE); ",
                PARTITIONS_LOCK_TIMEOUT_MS, schema, name, label);
    text_printf(sql, "ALTER TABLE %s ATTACH PARTITION \"%s\".\"%s\" FOR VALUES FROM (", label, schema, name);
    add_time(sql, r.from);
    text_add(sql, ") TO (");
    add_time(sql, r.to);
    text_add(sql, "); COMMIT");
}

static void pause_before_retry(int attempt)
{
    nanosleep(&(struct timespec){.tv_nsec = RETRY_PAUSE_MS * 1000000L * (attempt + 1)}, NULL);
}

/* Another host may make the same partition at the same moment: then what it made is read and used. */
static status_class create_range(connection *c, known *k, const store_table *t, int64_t us, status *st)
{
    text sql = {0};
    status_class ret = STATUS_OK;
    for (int attempt = 0; attempt < PARTITIONS_TRIES && !covered(k, us); attempt++) {
        range r = range_for(k, t->partition, us);
        creation_sql(&sql, t, r);
        ret = connection_script(c, "make a partition", text_or_empty(&sql), st);
        if (ret == STATUS_OK) {
            insert_range(k, r);
            break;
        }
        if (connection_broken(c))
            break;
        char state[6];
        memcpy(state, connection_failure_of(c)->sqlstate, sizeof state);
        connection_rollback(c);
        bool again = strcmp(state, "55P03") == 0 || strcmp(state, "40P01") == 0 ||
                     strncmp(state, "42", 2) == 0 || strcmp(state, "23505") == 0;
        if (!again)
            break;
        pause_before_retry(attempt);
        status ignored;
        if (load(c, k, &ignored) != STATUS_OK)
            break;
    }
    text_free(&sql);
    return covered(k, us) ? STATUS_OK : ret;
}

static bool all_covered(const known *k, const int64_t *times, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!covered(k, times[i]))
            return false;
    return true;
}

/* A copy to work on without the lock: another lane that makes the same partition is found out by the
 * database. */
static known copy_known(const known *k)
{
    known copy = *k;
    copy.ranges = keep_zero(k->cap, sizeof *copy.ranges);
    if (k->n)
        memcpy(copy.ranges, k->ranges, k->n * sizeof *copy.ranges);
    return copy;
}

static status_class make_missing(connection *c, known *k, const store_table *t, const int64_t *times,
                                 uint32_t n, status *st)
{
    status_class ret = k->loaded ? STATUS_OK : load(c, k, st);
    for (uint32_t i = 0; i < n && ret == STATUS_OK; i++) {
        if (!covered(k, times[i]))
            ret = create_range(c, k, t, times[i], st);
    }
    return ret;
}

status_class partitions_ensure(partition_cache *cache, connection *c, const store_table *t,
                               const int64_t *times, uint32_t n, status *st)
{
    char label[TABLE_LABEL_SIZE];
    if (t->partition == PARTITION_NONE || n == 0)
        return STATUS_OK;
    table_label(label, t);
    pthread_mutex_lock(&cache->lock);
    known *k = find_known(cache, label);
    if (k->loaded && all_covered(k, times, n)) {
        pthread_mutex_unlock(&cache->lock);
        return STATUS_OK;
    }
    known work = copy_known(k);
    pthread_mutex_unlock(&cache->lock);
    status_class ret = make_missing(c, &work, t, times, n, st);
    pthread_mutex_lock(&cache->lock);
    range *old = k->ranges;
    *k = work;
    pthread_mutex_unlock(&cache->lock);
    keep_free(old);
    return ret;
}

status_class partitions_list(connection *c, const store_table *t, rows **out, status *st)
{
    char label[TABLE_LABEL_SIZE];
    table_label(label, t);
    value name = value_text(label);
    return connection_run(c, &list_partitions, &name, 1, out, st);
}

static status_class exec_text(connection *c, text *sql, rows **out, status *st)
{
    status_class class = connection_exec(c, sql->data, NULL, 0, out, st);
    text_clear(sql);
    return class;
}

status_class partition_drop(connection *c, const store_table *t, const char *name, int lock_timeout_ms,
                            uint64_t *rows_out, status *st)
{
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    rows *r = NULL;
    const char *schema = store_class_schema(t->class);
    table_label(label, t);
    text_printf(&sql, "SET LOCAL lock_timeout = %d", lock_timeout_ms);
    status_class class = exec_text(c, &sql, NULL, st);
    if (class == STATUS_OK) {
        text_printf(&sql, "ALTER TABLE %s DETACH PARTITION \"%s\".", label, schema);
        sql_identifier(&sql, name);
        class = exec_text(c, &sql, NULL, st);
    }
    if (class == STATUS_OK) {
        text_printf(&sql, "SELECT count(*) FROM \"%s\".", schema);
        sql_identifier(&sql, name);
        class = exec_text(c, &sql, &r, st);
    }
    if (class == STATUS_OK) {
        *rows_out = (uint64_t)rows_integer(r, 0, 0);
        text_printf(&sql, "DROP TABLE \"%s\".", schema);
        sql_identifier(&sql, name);
        class = exec_text(c, &sql, NULL, st);
    }
    rows_free(r);
    text_free(&sql);
    return class;
}

void partition_cache_forget(partition_cache *cache, const store_table *t)
{
    char label[TABLE_LABEL_SIZE];
    table_label(label, t);
    pthread_mutex_lock(&cache->lock);
    known *k = find_known(cache, label);
    k->n = 0;
    k->loaded = false;
    pthread_mutex_unlock(&cache->lock);
}
