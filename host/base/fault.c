#include "base/fault.h"

#include <stdlib.h>
#include <string.h>

#ifdef PENSTOCK_FAULTS
bool fault_active(const char *name)
{
    const char *set = getenv("PENSTOCK_FAULT");
    size_t len = strlen(name);
    while (set && *set) {
        size_t n = strcspn(set, ",");
        if (n == len && memcmp(set, name, n) == 0)
            return true;
        set += n + (set[n] == ',');
    }
    return false;
}
#endif
