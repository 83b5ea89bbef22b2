/* Objects that travel through `void *` carry a magic number and are cast back by a check.
 *   struct lane { uint32_t magic; … };           lane->magic = LANE_MAGIC;
 *   lane *l = CHECKED(lane, LANE_MAGIC, arg);    ends the process on a wrong object: that is always our bug.
 */
#ifndef PENSTOCK_BASE_CHECKED_H
#define PENSTOCK_BASE_CHECKED_H
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline void *checked_cast(void *object, uint32_t magic, const char *what)
{
    if (!object || *(const uint32_t *)object != magic) {
        fprintf(stderr, "penstock: wrong object where a %s was expected\n", what);
        abort();
    }
    return object;
}
#define CHECKED(type, magic, object) ((type *)checked_cast((object), (magic), #type))
#endif
