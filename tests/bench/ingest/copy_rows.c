#include "copy_rows.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"

enum { ROW_BYTES_MAX = 160 };

static char *put(char *p, const void *data, uint32_t len)
{
    uint32_t n = htobe32(len);
    memcpy(p, &n, 4);
    memcpy(p + 4, data, len);
    return p + 4 + len;
}

static char *put_integer(char *p, int64_t value)
{
    uint64_t n = htobe64((uint64_t)value);
    return put(p, &n, 8);
}

static char *put_number(char *p, double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_integer(p, bits);
}

static char *put_row(char *p, uint64_t i)
{
    feed_row row;
    feed_row_make(i, &row);
    memcpy(p, "\0\10", 2);
    p = put_integer(p + 2, row.time_us - POSTGRES_EPOCH_US);
    p = put(p, row.device_id, (uint32_t)strlen(row.device_id));
    p = put_number(put_number(put_number(p, row.pressure), row.flow), row.temperature);
    p = put(p, row.status, (uint32_t)strlen(row.status));
    p = put_integer(p, (int64_t)i + 1);
    return put_integer(p, row.time_us - POSTGRES_EPOCH_US);
}

void copy_parcel_make(copy_parcel *out, uint64_t first, uint64_t rows)
{
    char *p = out->bytes = malloc(64 + rows * ROW_BYTES_MAX);
    if (!p)
        exit(1);
    memcpy(p, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
    p += 19;
    for (uint64_t i = 0; i < rows; i++)
        p = put_row(p, first + i);
    memcpy(p, "\377\377", 2);
    out->len = (size_t)(p + 2 - out->bytes);
}

void copy_fail(PGconn *c)
{
    fprintf(stderr, "%s", PQerrorMessage(c));
    exit(1);
}

uint64_t copy_parcel_send(PGconn *c, const char *sql, const copy_parcel *p)
{
    PGresult *r = PQexec(c, sql);
    if (PQresultStatus(r) != PGRES_COPY_IN)
        copy_fail(c);
    PQclear(r);
    if (PQputCopyData(c, p->bytes, (int)p->len) != 1 || PQputCopyEnd(c, NULL) != 1)
        copy_fail(c);
    uint64_t rows = 0;
    while ((r = PQgetResult(c))) {
        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            copy_fail(c);
        rows = strtoull(PQcmdTuples(r), NULL, 10);
        PQclear(r);
    }
    return rows;
}

PGconn *copy_connect(const char *application)
{
    char options[64];
    snprintf(options, sizeof options, "application_name=%s", application);
    PGconn *c = PQconnectdb(options);
    if (PQstatus(c) != CONNECTION_OK)
        copy_fail(c);
    return c;
}

void copy_exec(PGconn *c, const char *sql)
{
    PGresult *r = PQexec(c, sql);
    ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        copy_fail(c);
    PQclear(r);
}
