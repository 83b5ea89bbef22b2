#include "flow/back_off.h"

#include "base/random.h"

unsigned back_off_next(unsigned *ms, uint32_t asked_ms)
{
    *ms = *ms ? *ms * 2 : BACK_OFF_FIRST_MS;
    *ms = *ms > BACK_OFF_LAST_MS ? BACK_OFF_LAST_MS : *ms;
    unsigned jittered = *ms - (unsigned)random_below(*ms / 4 + 1);
    return asked_ms > BACK_OFF_FIRST_MS ? asked_ms : asked_ms ? BACK_OFF_FIRST_MS : jittered;
}
