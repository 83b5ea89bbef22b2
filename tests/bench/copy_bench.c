/* What storing rows costs: encoding a batch, and sending it, beside the same bytes sent again ready-made
 * (that is the limit of COPY BINARY on this server). In turn, several rounds, medians; 6 columns and the two
 * system columns, 100 devices. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "store/batch_key.h"
#include "store/copy.h"
#include "store/migrations.h"
#include "store/upsert.h"
#include "store/workspace_schema.h"
#include "support/cluster.h"

#define ROWS 10000
#define BATCHES 20
#define ROUNDS 5
#define T0 1767225600000000LL

static const table_column columns[] = {
    {"time", COLUMN_TIMESTAMP, false, 0},    {"device_id", COLUMN_TEXT, false, 32},
    {"pressure", COLUMN_NUMBER, true, 0},    {"flow", COLUMN_NUMBER, true, 0},
    {"temperature", COLUMN_NUMBER, true, 0}, {"status", COLUMN_TEXT, true, 16}};
static const uint32_t entity[] = {1}, key[] = {1, 0};

typedef struct feed {
    int64_t time[ROWS];
    double number[3][ROWS];
    int32_t device_at[ROWS + 1], status_at[ROWS + 1];
    char device[ROWS * 8 + 1], status[ROWS * 7 + 1];
    column c[6];
    batch b;
} feed;

static void fill(feed *f, int64_t first)
{
    for (int i = 0; i < ROWS; i++) {
        f->time[i] = T0 + (first + i) * 172800;
        for (int k = 0; k < 3; k++)
            f->number[k][i] = 100 + (double)((first + i) * 37 % 1024) / 16;
        snprintf(f->device + i * 8, 9, "dev-%04d", (int)((first + i) % 100));
        memcpy(f->status + (size_t)i * 7, "running", 7);
        f->device_at[i + 1] = 8 * (i + 1);
        f->status_at[i + 1] = 7 * (i + 1);
    }
    f->c[0] = (column){.type = COLUMN_TIMESTAMP, .values = f->time};
    f->c[1] = (column){.type = COLUMN_TEXT, .offsets = f->device_at, .data = f->device};
    for (int k = 0; k < 3; k++)
        f->c[2 + k] = (column){.type = COLUMN_NUMBER, .values = f->number[k]};
    f->c[5] = (column){.type = COLUMN_TEXT, .offsets = f->status_at, .data = f->status};
    f->b = (batch){ROWS, 6, f->c};
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *list)
{
    qsort(list, ROUNDS, sizeof *list, compare);
    return list[ROUNDS / 2];
}

static void must(status_class ret, const status *st)
{
    if (ret == STATUS_OK)
        return;
    printf("stopped: %s\n", st->text);
    exit(0);
}

typedef enum way { RAW, COPIED, SORTED, UPSERTED, WAYS } way;
static const char *const way_names[] = {"ready-made bytes", "encode + COPY", "sort + encode + COPY",
                                        "upsert of new rows"};

static void send_batch(connection *c, way how, feed *f, const upsert *u, const text *sql, text *bytes,
                       int64_t seq)
{
    status st;
    int64_t stored;
    upsert_counts counts;
    must(connection_begin(c, &st), &st);
    if (how == UPSERTED) {
        must(upsert_write(c, u, &f->b, seq, T0, &counts, &st), &st);
    } else {
        arena *a = arena_create(0);
        copy_rows r = {.system = true, .first_seq = seq, .received_us = T0, .n_rows = ROWS};
        if (how == SORTED)
            r.order = batch_order(a, &f->b, key, 2);
        if (how != RAW)
            copy_encode(bytes, &f->b, &r);
        must(copy_send(c, sql->data, bytes, &stored, &st), &st);
        arena_free(a);
    }
    must(connection_commit(c, &st), &st);
}

static double measure(connection *c, way how, feed *f, bool keyed)
{
    status st;
    text sql = {0}, bytes = {0};
    store_table t = {.class = STORE_DATASTORE,
                     .key = "bench",
                     .wid = 1,
                     .columns = columns,
                     .n_columns = 6,
                     .time_column = 0,
                     .entity = entity,
                     .n_entity = 1,
                     .version_column = -1};
    if (keyed) {
        t.unique = key;
        t.n_unique = 2;
        t.conflict = CONFLICT_KEEP_LAST;
    }
    must(store_drop(c, STORE_DATASTORE, "bench", 1, &st), &st);
    must(store_create(c, &t, NULL, &st), &st);
    upsert *u = keyed ? upsert_create(&t) : NULL;
    copy_statement(&sql, &t);
    int64_t spent = 0;
    for (int i = 0; i < BATCHES; i++) {
        fill(f, (int64_t)i * ROWS);
        if (how == RAW)
            copy_encode(&bytes, &f->b,
                        &(copy_rows){.system = true, .first_seq = i * ROWS, .received_us = T0});
        int64_t before = clock_monotonic_us();
        send_batch(c, how, f, u, &sql, &bytes, (int64_t)i * ROWS);
        spent += clock_monotonic_us() - before;
    }
    upsert_free(u);
    text_free(&sql);
    text_free(&bytes);
    return (double)ROWS * BATCHES / ((double)spent / 1e6);
}

static void encoder_alone(feed *f)
{
    text bytes = {0};
    double per_row[ROUNDS], sorting[ROUNDS];
    fill(f, 0);
    copy_encode(&bytes, &f->b, &(copy_rows){.system = true});
    for (int r = 0; r < ROUNDS; r++) {
        int64_t before = clock_monotonic_us();
        for (int i = 0; i < BATCHES * 5; i++)
            copy_encode(&bytes, &f->b, &(copy_rows){.system = true, .first_seq = i});
        per_row[r] = (double)(clock_monotonic_us() - before) / ROWS / (BATCHES * 5);
        before = clock_monotonic_us();
        for (int i = 0; i < BATCHES; i++) {
            arena *a = arena_create(0);
            batch_order(a, &f->b, key, 2);
            arena_free(a);
        }
        sorting[r] = (double)(clock_monotonic_us() - before) / ROWS / BATCHES;
    }
    printf("encode  %.3f us/row (%zu bytes a row)\nsort    %.3f us/row\n", median(per_row), bytes.len / ROWS,
           median(sorting));
    text_free(&bytes);
}

int main(void)
{
    static feed f;
    status st;
    encoder_alone(&f);
    if (!test_cluster())
        return 0;
    connection *c = test_connect("postgres");
    must(migrations_run(c, MIGRATION_DATA, NULL, &st), &st);
    double rates[WAYS][ROUNDS];
    for (int r = 0; r < ROUNDS; r++)
        for (way w = 0; w < WAYS; w++)
            rates[w][r] = measure(c, w, &f, w == UPSERTED);
    double raw = median(rates[RAW]);
    for (way w = 0; w < WAYS; w++)
        printf("%-22s %9.0f rows/s   %.2f of ready-made\n", way_names[w], median(rates[w]),
               median(rates[w]) / raw);
    connection_close(c);
    return 0;
}
