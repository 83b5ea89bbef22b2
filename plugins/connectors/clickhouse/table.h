/* What the table is: its columns and how each takes a time, and what the server can. Asked for once, and
 * again after a failure that a person may have mended. */
#ifndef CLICKHOUSE_TABLE_H
#define CLICKHOUSE_TABLE_H
#include "client.h"
#include "penstock/sink.h"

enum { TABLE_COLUMNS_MAX = 1024 };

typedef enum time_form { TIME_RFC3339, TIME_SECONDS, TIME_MICROSECONDS } time_form;

typedef struct table_column {
    char name[128];
    time_form time;
} table_column;

typedef struct table {
    bool known, deduplicates; /* takes insert_deduplication_token */
    char database[130], name[130];
    table_column *columns;
    size_t n;
} table;

pst_status table_open(table *t, const pst_host *host, pst_error *error);
void table_close(table *t); /* zeroed is fine */
/* Asks, if it is not known. */
pst_status table_look(table *t, pull_client *c, const pst_call *call, pst_error *error);
const table_column *table_find(const table *t, const char *name);
/* Asks the server: what ClickHouse says when it refuses becomes a status. `query` goes into the URL. */
pst_status table_ask(const table *t, pull_client *c, const pst_call *call, const char *query,
                     const char *more, const pst_text *body, pst_error *error);
/* What "Code: 60. DB::Exception: …" means; 0 = there is no such code in it. */
pst_status clickhouse_status(int code);
int clickhouse_code(const char *said, size_t len);
#endif
