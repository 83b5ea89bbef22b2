/* Prints size and field offsets of every struct of the ABI; compared with sdk/abi/v1.0/layout.lock by a test.
 * Also compiled as C++17, which must give the same. Machines: x86-64 and arm64 lay these structs out alike.
 */
#include <stddef.h>
#include <stdio.h>

#ifdef LAYOUT_HEADER /* another version of plugin.h */
#include LAYOUT_HEADER
#else
#include "penstock/plugin.h"
#endif

int main(void)
{
#define STRUCT(s) printf("%s %zu\n", #s, sizeof(s));
#define FIELD(s, f) printf("  %s %zu\n", #f, offsetof(s, f));
#include "structs.def"
    return 0;
}
