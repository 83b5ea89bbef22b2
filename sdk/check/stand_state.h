/* penstock.state and penstock.limit on the stand. Keys lie in memory shared by the processes of a case, so
 * they are there when the plugin was killed; each case begins without any. */
#ifndef PENSTOCK_CHECK_STAND_STATE_H
#define PENSTOCK_CHECK_STAND_STATE_H
#include "penstock/plugin.h"

extern const pst_state_service stand_state;
extern const pst_limit_service stand_limit; /* lets everything go at once */

void stand_state_reset(void); /* the first call makes the memory: before anything is forked */
#endif
