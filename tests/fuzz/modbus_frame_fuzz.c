/* What a device may answer, over TCP and RTU. The first bytes make the request. Whatever comes, an answer's
 * data lie in what came and are as long as was asked for. */
#include <assert.h>
#include <stdint.h>

#include "frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    frame_ask ask = {.rtu = data[0] & 1,
                     .transaction = data[1],
                     .unit = data[2],
                     .table = (frame_table)(1 + data[0] / 2 % 4),
                     .n = (uint16_t)(1 + data[3] % FRAME_REGISTERS_MAX)};
    uint8_t out[FRAME_MAX];
    frame_answer answer;
    assert(frame_write(&ask, out) <= FRAME_MAX);
    size_t len = size - 4;
    frame_cut cut = frame_read(&ask, data + 4, len, &answer);
    if (cut == FRAME_WHOLE) {
        assert(answer.taken <= len && answer.data >= data + 4 &&
               answer.data + answer.len <= data + 4 + answer.taken);
        assert(answer.len == (ask.table <= FRAME_DISCRETE ? (ask.n + 7u) / 8 : 2u * ask.n));
    }
    assert(cut != FRAME_OTHER || (answer.taken && answer.taken <= len));
    assert(cut != FRAME_BAD || answer.why);
    return 0;
}
