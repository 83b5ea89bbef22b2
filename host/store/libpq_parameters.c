#include "store/libpq_parameters.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#define PG_EPOCH_US 946684800000000LL

static void put_be64(arena *a, libpq_parameters *p, unsigned i, Oid type, uint64_t bits)
{
    uint64_t be = htobe64(bits);
    p->types[i] = type;
    p->values[i] = arena_copy(a, &be, sizeof be);
    p->lengths[i] = sizeof be;
    p->formats[i] = 1;
}

static void put_bytes(libpq_parameters *p, unsigned i, Oid type, const void *data, size_t len)
{
    p->types[i] = type;
    p->values[i] = len ? data : "";
    p->lengths[i] = (int)len;
    p->formats[i] = 1;
}

static void append_be32(text *t, uint32_t n)
{
    uint32_t be = htonl(n);
    text_add_n(t, &be, sizeof be);
}

static void put_texts(arena *a, libpq_parameters *p, unsigned i, const value *v)
{
    text t = {0};
    append_be32(&t, v->len > 0);
    append_be32(&t, 1);
    append_be32(&t, 25);
    if (v->len > 0) {
        append_be32(&t, (uint32_t)v->len);
        append_be32(&t, 1);
    }
    for (size_t k = 0; k < v->len; k++) {
        const char *word = v->texts[k];
        append_be32(&t, word ? (uint32_t)strlen(word) : UINT32_MAX);
        if (word)
            text_add(&t, word);
    }
    put_bytes(p, i, 1009, arena_copy(a, t.data, t.len), t.len);
    text_free(&t);
}

static void put_value(arena *a, libpq_parameters *p, unsigned i, const value *v)
{
    uint64_t bits;
    switch (v->kind) {
    case VALUE_NULL:
        break;
    case VALUE_TEXT:
        p->values[i] = arena_string_n(a, v->data, v->len);
        break;
    case VALUE_INTEGER:
        put_be64(a, p, i, 20, (uint64_t)v->integer);
        break;
    case VALUE_NUMBER:
        memcpy(&bits, &v->number, sizeof bits);
        put_be64(a, p, i, 701, bits);
        break;
    case VALUE_BOOLEAN:
        put_bytes(p, i, 16, v->integer ? "\1" : "\0", 1);
        break;
    case VALUE_TIME:
        put_be64(a, p, i, 1184, (uint64_t)(v->integer - PG_EPOCH_US));
        break;
    case VALUE_BYTES:
        put_bytes(p, i, 17, v->data, v->len);
        break;
    case VALUE_TEXTS:
        put_texts(a, p, i, v);
        break;
    case VALUE_BINARY:
        put_bytes(p, i, v->oid, v->data, v->len);
        break;
    }
}

status_class libpq_parameters_make(arena *a, const driver_request *r, libpq_parameters *p,
                                   connection_failure *failure, status *st)
{
    p->types = arena_zero(a, r->n_params + 1, sizeof *p->types);
    p->values = arena_zero(a, r->n_params + 1, sizeof *p->values);
    p->lengths = arena_zero(a, r->n_params + 1, sizeof *p->lengths);
    p->formats = arena_zero(a, r->n_params + 1, sizeof *p->formats);
    for (unsigned i = 0; i < r->n_params; i++) {
        const value *v = &r->params[i];
        if (v->kind == VALUE_TEXT && v->len && memchr(v->data, 0, v->len)) {
            memcpy(failure->sqlstate, "22021", 6);
            return status_set(st, STATUS_INVALID, "%s: parameter $%u holds U+0000", r->name, i + 1);
        }
        put_value(a, p, i, v);
    }
    return STATUS_OK;
}
