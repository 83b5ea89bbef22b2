#include "flow/journal_crc.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78U /* reflected */

static uint32_t table[256];
static bool has_instruction;

static void prepare(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
        table[i] = c;
    }
#if defined(__x86_64__)
    has_instruction = __builtin_cpu_supports("sse4.2");
#endif
}

static void prepare_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare);
}

uint32_t journal_crc_table(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;
    prepare_once();
    crc = ~crc;
    for (size_t i = 0; i < len; i++)
        crc = table[(crc ^ p[i]) & 0xff] ^ crc >> 8;
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t len)
{
    uint64_t c = ~crc;
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        c = __builtin_ia32_crc32di(c, word);
    }
    uint32_t rest = (uint32_t)c;
    for (; len; p++, len--)
        rest = __builtin_ia32_crc32qi(rest, *p);
    return ~rest;
}
#endif

uint32_t journal_crc(uint32_t crc, const void *data, size_t len)
{
    prepare_once();
#if defined(__x86_64__)
    if (has_instruction)
        return by_instruction(crc, data, len);
#endif
    return journal_crc_table(crc, data, len);
}
