#include "flow/rejected.h"

#include <string.h>

typedef struct head {
    uint64_t row, line;
    uint32_t column, code, pointer, detail, bytes; /* lengths with their NUL, bytes without */
    uint32_t reserved;
} head;

void rejected_pack(text *out, const rejected_row *row)
{
    head h = {.row = row->row, .line = row->line, .column = row->column};
    h.code = (uint32_t)strlen(row->code) + 1;
    h.pointer = (uint32_t)strlen(row->pointer) + 1;
    h.detail = (uint32_t)strlen(row->detail) + 1;
    h.bytes = (uint32_t)(row->len < REJECTED_BYTES_MAX ? row->len : REJECTED_BYTES_MAX);
    text_add_n(out, &h, sizeof h);
    text_add_n(out, row->code, h.code);
    text_add_n(out, row->pointer, h.pointer);
    text_add_n(out, row->detail, h.detail);
    text_add_n(out, row->bytes, h.bytes);
}

static const char *take(const char *data, size_t *at, uint32_t len)
{
    const char *from = data + *at;
    *at += len;
    return from;
}

static bool ends_with_nul(const char *s, uint32_t len)
{
    return len > 0 && s[len - 1] == '\0';
}

bool rejected_unpack(const char *data, size_t len, size_t *at, rejected_row *out)
{
    head h;
    if (*at > len || len - *at < sizeof h)
        return false;
    memcpy(&h, data + *at, sizeof h);
    uint64_t need = sizeof h + (uint64_t)h.code + h.pointer + h.detail + h.bytes;
    if (len - *at < need)
        return false;
    *at += sizeof h;
    *out = (rejected_row){.row = h.row, .line = h.line, .column = h.column, .len = h.bytes};
    out->code = take(data, at, h.code);
    out->pointer = take(data, at, h.pointer);
    out->detail = take(data, at, h.detail);
    out->bytes = take(data, at, h.bytes);
    return ends_with_nul(out->code, h.code) && ends_with_nul(out->pointer, h.pointer) &&
           ends_with_nul(out->detail, h.detail);
}
