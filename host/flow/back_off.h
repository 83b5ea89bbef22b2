/* How long to wait before a far side is asked again: ever longer, with jitter; a plugin that says when to
 * come again knows its far side, and is believed. */
#ifndef PENSTOCK_FLOW_BACK_OFF_H
#define PENSTOCK_FLOW_BACK_OFF_H
#include <stdint.h>

#define BACK_OFF_FIRST_MS 200
#define BACK_OFF_LAST_MS 60000

/* `*ms`: the last pause, 0 after a success. `asked_ms` 0 = nobody said anything. */
unsigned back_off_next(unsigned *ms, uint32_t asked_ms);
#endif
