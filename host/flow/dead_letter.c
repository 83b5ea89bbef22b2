#include "flow/dead_letter.h"

#include <stdio.h>

#include "base/random.h"

enum { DETAIL_SIZE = 600 };

static status_class write_one(connection *c, const statement *insert, const journal_record *from,
                              const rejected_row *row, status *st)
{
    char id[27], detail[DETAIL_SIZE];
    ulid_make(id);
    if (row->line)
        snprintf(detail, sizeof detail, "line %llu: %s", (unsigned long long)row->line, row->detail);
    else
        snprintf(detail, sizeof detail, "%s", row->detail);
    value params[] = {
        value_text(id),           value_text(from->store),      value_time_us(from->received_us),
        value_text(from->origin), value_text(from->request_id), value_text(row->code),
        value_text(row->pointer), value_text(detail),           value_bytes(row->bytes, row->len)};
    return connection_run(c, insert, params, sizeof params / sizeof *params, NULL, st);
}

status_class dead_letter_write(connection *c, const journal_record *from, const rejected_row *refused,
                               uint32_t n, status *st)
{
    char sql[320];
    snprintf(sql, sizeof sql,
             "INSERT INTO penstock.dead_letter_wid%u (id, store, received, origin, request, code, pointer, "
             "detail, body)"
             " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
             from->wid);
    statement insert = {"bury a row", sql};
    status_class class = STATUS_OK;
    for (uint32_t i = 0; i < n && class == STATUS_OK; i++)
        class = write_one(c, &insert, from, &refused[i], st);
    return class;
}
