/* One connection to a device or a gateway, over which one request after the other is asked. What belongs to
 * an earlier request is passed over, so an answer that comes too late is never taken for another one's. One
 * thread. */
#ifndef MODBUS_LINE_H
#define MODBUS_LINE_H
#include "frame.h"
#include "tcp.h"

enum { LINE_WHY_MAX = 120 };

typedef struct line {
    const pst_host *host;
    tcp_place place;
    tcp tcp;
    bool rtu;
    int64_t timeout_us;
    uint16_t transaction;
    uint8_t in[2 * FRAME_MAX];
} line;

/* How a request ended, where the connection is still good. */
typedef enum line_end {
    LINE_ANSWER,
    LINE_SILENT,  /* nothing in time, or a gateway says that the device gave it nothing */
    LINE_REFUSED, /* an exception, or an answer to another question: *why */
} line_end;

typedef struct line_result {
    line_end end;
    const uint8_t *data; /* of the answer; lives until the next request */
    const char *why;     /* a constant; "" if there is none */
    uint8_t exception;   /* 0 = none */
} line_result;

pst_status line_open(line *l, const pst_call *call, pst_error *error);
void line_close(line *l);
/* PST_E_*: the connection is no good any more. `ask` without framing and transaction, which are the line's.
 */
pst_status line_ask(line *l, const pst_call *call, frame_ask ask, line_result *out, pst_error *error);
/* The result as a sentence: "exception 2: illegal data address". */
void line_words(const line_result *r, char out[LINE_WHY_MAX]);
#endif
