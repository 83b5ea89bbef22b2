/* An answer has a known length: function and byte count follow from the request, so whatever else comes is
 * bad. */
#include "frame.h"

#include <string.h>

enum { TCP_HEAD = 7, REFUSED = 0x80, RTU_EXCEPTION = 5 };

static uint16_t take16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint16_t checksum(const uint8_t *data, size_t len)
{
    unsigned crc = 0xffff;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
    }
    return (uint16_t)(crc << 8 | crc >> 8); /* the low byte goes first */
}

size_t frame_write(const frame_ask *ask, uint8_t out[FRAME_MAX])
{
    size_t at = 0;
    if (!ask->rtu) {
        put16(out, ask->transaction);
        put16(out + 2, 0);
        put16(out + 4, 6);
        at = 6;
    }
    out[at++] = ask->unit;
    out[at++] = (uint8_t)ask->table;
    put16(out + at, ask->from);
    put16(out + at + 2, ask->n);
    at += 4;
    if (ask->rtu) {
        put16(out + at, checksum(out, at));
        at += 2;
    }
    return at;
}

static size_t data_len(const frame_ask *ask)
{
    return ask->table <= FRAME_DISCRETE ? (ask->n + 7u) / 8 : 2u * ask->n;
}

static frame_cut bad(frame_answer *out, const char *why)
{
    out->why = why;
    return FRAME_BAD;
}

/* Unit, function, byte count, data: `pdu` has `len` bytes, all of the answer. */
static frame_cut read_pdu(const frame_ask *ask, const uint8_t *pdu, size_t len, frame_answer *out)
{
    if (len < 3)
        return bad(out, "the answer is too short");
    if (pdu[0] != ask->unit)
        return bad(out, "the answer is of another unit");
    if (pdu[1] == (ask->table | REFUSED) && len == 3) {
        out->exception = pdu[2];
        return FRAME_EXCEPTION;
    }
    if (pdu[1] != ask->table)
        return bad(out, "the answer is of another function");
    if (pdu[2] != data_len(ask) || len != 3u + pdu[2])
        return bad(out, "the answer has another number of registers than were asked for");
    out->data = pdu + 3;
    out->len = pdu[2];
    return FRAME_WHOLE;
}

static frame_cut read_tcp(const frame_ask *ask, const uint8_t *data, size_t len, frame_answer *out)
{
    if (len < TCP_HEAD)
        return FRAME_MORE;
    size_t body = take16(data + 4);
    if (take16(data + 2) != 0 || body < 3 || body > FRAME_MAX - 6) {
        out->why = "an answer has no header of Modbus/TCP";
        return FRAME_LOST;
    }
    if (len < 6 + body)
        return FRAME_MORE;
    out->taken = 6 + body;
    return take16(data) == ask->transaction ? read_pdu(ask, data + 6, body, out) : FRAME_OTHER;
}

static frame_cut read_rtu(const frame_ask *ask, const uint8_t *data, size_t len, frame_answer *out)
{
    if (len < RTU_EXCEPTION)
        return FRAME_MORE;
    size_t body = data[1] & REFUSED ? 3 : 3u + data[2];
    if (body > FRAME_MAX - 2)
        return bad(out, "the answer is too long");
    if (len < body + 2)
        return FRAME_MORE;
    out->taken = body + 2;
    if (take16(data + body) != checksum(data, body))
        return bad(out, "the answer's checksum is wrong");
    if (data[0] != ask->unit) /* a frame has no number: it is one that came too late */
        return FRAME_OTHER;
    return read_pdu(ask, data, body, out);
}

frame_cut frame_read(const frame_ask *ask, const uint8_t *data, size_t len, frame_answer *out)
{
    memset(out, 0, sizeof *out);
    return ask->rtu ? read_rtu(ask, data, len, out) : read_tcp(ask, data, len, out);
}

const char *frame_exception_name(uint8_t code)
{
    static const char *const names[] = {[1] = "illegal function",
                                        [2] = "illegal data address",
                                        [3] = "illegal data value",
                                        [4] = "server device failure",
                                        [5] = "acknowledge",
                                        [6] = "server device busy",
                                        [7] = "negative acknowledge",
                                        [8] = "memory parity error",
                                        [10] = "gateway path unavailable",
                                        [11] = "gateway target device failed to respond"};
    return code < sizeof names / sizeof names[0] && names[code] ? names[code] : "unknown exception";
}

const char *frame_table_name(frame_table table)
{
    static const char *const names[] = {"", "coils", "discrete inputs", "holding registers",
                                        "input registers"};
    return names[table];
}
