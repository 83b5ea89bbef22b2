/* A Modbus/TCP server: register n holds 100 + n, every second coil is on. Its refusal is the exception
 * "illegal data address". */
#include <stdint.h>

#include "check/far_talk.h"

enum { HEAD = 7, READ_COILS = 1, READ_DISCRETE = 2, READ_HOLDING = 3, READ_INPUT = 4, ILLEGAL_ADDRESS = 2 };

static size_t put_registers(uint8_t *out, unsigned from, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        out[2 * i] = (uint8_t)((100 + from + i) >> 8);
        out[2 * i + 1] = (uint8_t)(100 + from + i);
    }
    return 2 * (size_t)n;
}

static size_t put_bits(uint8_t *out, unsigned from, unsigned n)
{
    for (unsigned i = 0; i < (n + 7) / 8; i++)
        out[i] = from % 2 ? 0xaa : 0x55;
    return (n + 7) / 8;
}

void far_talk_modbus(far_peer *p)
{
    uint8_t in[HEAD + 5], out[HEAD + 2 + 256];
    while (fread(in, 1, sizeof in, p->in) == sizeof in) {
        unsigned from = (unsigned)in[8] << 8 | in[9], n = (unsigned)in[10] << 8 | in[11];
        bool bits = in[7] == READ_COILS || in[7] == READ_DISCRETE;
        fprintf(p->told, "function %u from %u, %u\n", in[7], from, n);
        fflush(p->told);
        for (size_t i = 0; i < HEAD; i++)
            out[i] = in[i];
        out[7] = in[7];
        size_t len = p->refuses || n > (bits ? 2000 : 125) ? 0
                     : bits                                ? put_bits(out + 9, from, n)
                                                           : put_registers(out + 9, from, n);
        out[8] = len ? (uint8_t)len : ILLEGAL_ADDRESS;
        out[7] |= len ? 0 : 0x80;
        out[4] = 0;
        out[5] = (uint8_t)(3 + len);
        far_say(p, out, 9 + len);
    }
}
