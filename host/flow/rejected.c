#include "flow/rejected.h"

#include <string.h>

typedef struct head {
    uint64_t row, line;
    uint32_t column, code, pointer, detail, bytes; /* lengths with their NUL, bytes without */
    uint8_t form, signal; /* `signal`: its length with its NUL, behind the bytes; 0 = none */
    uint16_t attempts;
} head;

static const struct form {
    const char *name;
    decode_format format;
    line_precision precision;
} forms[] = {
    [REJECTED_BYTES] = {"bytes", DECODE_PLANNED, LINE_NS},
    [REJECTED_CONNECTOR] = {"connector", DECODE_PLANNED, LINE_NS},
    [REJECTED_JSON] = {"json", DECODE_JSON, LINE_NS},
    [REJECTED_NDJSON] = {"ndjson", DECODE_NDJSON, LINE_NS},
    [REJECTED_CSV] = {"csv", DECODE_CSV, LINE_NS},
    [REJECTED_LINES_NS] = {"lp-ns", DECODE_LINES, LINE_NS},
    [REJECTED_LINES_US] = {"lp-us", DECODE_LINES, LINE_US},
    [REJECTED_LINES_MS] = {"lp-ms", DECODE_LINES, LINE_MS},
    [REJECTED_LINES_S] = {"lp-s", DECODE_LINES, LINE_S},
    [REJECTED_COLLECTD] = {"collectd-json", DECODE_COLLECTD, LINE_NS},
    [REJECTED_PUTVAL] = {"putval", DECODE_PUTVAL, LINE_NS},
};
enum { FORMS = sizeof forms / sizeof *forms };

const char *rejected_form_name(rejected_form form)
{
    return forms[form].name;
}

bool rejected_form_parse(const char *name, rejected_form *out)
{
    for (unsigned i = 0; i < FORMS; i++)
        if (strcmp(forms[i].name, name) == 0) {
            *out = (rejected_form)i;
            return true;
        }
    return false;
}

rejected_form rejected_form_of(decode_format format, line_precision precision)
{
    for (unsigned i = REJECTED_CONNECTOR; i < FORMS; i++)
        if (forms[i].format == format && (format != DECODE_LINES || forms[i].precision == precision))
            return (rejected_form)i;
    return REJECTED_BYTES;
}

bool rejected_form_format(rejected_form form, decode_format *format_out, line_precision *precision_out)
{
    *format_out = forms[form].format;
    *precision_out = forms[form].precision;
    return form != REJECTED_BYTES;
}

static size_t signal_length(const rejected_row *row)
{
    size_t len = row->signal && row->signal[0] ? strlen(row->signal) + 1 : 0;
    return len <= UINT8_MAX ? len : 0;
}

void rejected_pack(text *out, const rejected_row *row)
{
    head h = {.row = row->row, .line = row->line, .column = row->column};
    h.form = (uint8_t)row->form;
    h.attempts = row->attempts;
    h.signal = (uint8_t)signal_length(row);
    h.code = (uint32_t)strlen(row->code) + 1;
    h.pointer = (uint32_t)strlen(row->pointer) + 1;
    h.detail = (uint32_t)strlen(row->detail) + 1;
    h.bytes = (uint32_t)(row->len < REJECTED_BYTES_MAX ? row->len : REJECTED_BYTES_MAX);
    text_add_n(out, &h, sizeof h);
    text_add_n(out, row->code, h.code);
    text_add_n(out, row->pointer, h.pointer);
    text_add_n(out, row->detail, h.detail);
    text_add_n(out, row->bytes, h.bytes);
    text_add_n(out, row->signal, h.signal);
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
    uint64_t need = sizeof h + (uint64_t)h.code + h.pointer + h.detail + h.bytes + h.signal;
    if (len - *at < need)
        return false;
    *at += sizeof h;
    *out = (rejected_row){.row = h.row, .line = h.line, .column = h.column, .len = h.bytes};
    out->code = take(data, at, h.code);
    out->pointer = take(data, at, h.pointer);
    out->detail = take(data, at, h.detail);
    out->bytes = take(data, at, h.bytes);
    out->form = h.form < FORMS ? (rejected_form)h.form : REJECTED_BYTES;
    out->attempts = h.attempts;
    out->signal = h.signal ? take(data, at, h.signal) : NULL;
    return (!h.signal || ends_with_nul(out->signal, h.signal)) && ends_with_nul(out->code, h.code) &&
           ends_with_nul(out->pointer, h.pointer) && ends_with_nul(out->detail, h.detail);
}
