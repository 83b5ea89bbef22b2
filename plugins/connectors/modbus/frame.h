/* Modbus requests that read, and their answers, read strictly: over TCP with its header, or RTU frames with
 * their checksum through a TCP connection. Nothing outside the given bytes is read. */
#ifndef MODBUS_FRAME_H
#define MODBUS_FRAME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum frame_table { /* the function that reads it */
                           FRAME_COILS = 1,
                           FRAME_DISCRETE = 2,
                           FRAME_HOLDING = 3,
                           FRAME_INPUT = 4
} frame_table;
enum { FRAME_MAX = 260, FRAME_REGISTERS_MAX = 125, FRAME_BITS_MAX = 2000 };

typedef struct frame_ask {
    bool rtu;
    uint16_t transaction; /* of TCP */
    uint8_t unit;
    frame_table table;
    uint16_t from, n; /* registers or bits, from 0 */
} frame_ask;

typedef enum frame_cut {
    FRAME_WHOLE,     /* the answer: its data */
    FRAME_EXCEPTION, /* the device refuses: *exception */
    FRAME_MORE,      /* its end is not there yet */
    FRAME_OTHER,     /* of another request, *taken bytes: pass over it */
    FRAME_BAD,       /* no answer to this request: *why */
    FRAME_LOST       /* not Modbus: where the next answer begins cannot be known: *why */
} frame_cut;

typedef struct frame_answer {
    const uint8_t *data; /* registers big-endian, or bits, the first one lowest */
    size_t len, taken;
    uint8_t exception;
    const char *why;
} frame_answer;

size_t frame_write(const frame_ask *ask, uint8_t out[FRAME_MAX]);
frame_cut frame_read(const frame_ask *ask, const uint8_t *data, size_t len, frame_answer *out);
const char *frame_exception_name(uint8_t code);
const char *frame_table_name(frame_table table);
#endif
