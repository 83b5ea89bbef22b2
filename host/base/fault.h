/* Guards that tests take out, one at a time, to show that each of them matters. PENSTOCK_FAULT names what is
 * taken out, comma-separated; docs/guarantees.md says what each name guards and which test fails without it,
 * and fault/guards runs that test. Only builds with fault hooks have them. */
#ifndef PENSTOCK_BASE_FAULT_H
#define PENSTOCK_BASE_FAULT_H
#include <stdbool.h>

#ifdef PENSTOCK_FAULTS
bool fault_active(const char *name);
#else
#define fault_active(name) false
#endif
#endif
