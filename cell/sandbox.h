/* What a cell gives up before it loads a plugin: constructors run inside the loader, so it all happens first.
 * In this order: no new privileges, capabilities, Landlock (files; on newer kernels also TCP, signals and
 * abstract sockets), then a seccomp list of the calls that are allowed. What is off the list goes to the
 * broker, through the cell's door, which refuses and reports it, or does it on the cell's behalf; without a
 * door it is EPERM. Each measure is tried, and what the kernel granted is reported; the host shows the
 * report. Limits, user, death signal and the closing of descriptors are the nursery's work, before the cell
 * begins. */
#ifndef PENSTOCK_CELL_SANDBOX_H
#define PENSTOCK_CELL_SANDBOX_H
#include <stdbool.h>
#include <stddef.h>

typedef enum sandbox_profile {
    SANDBOX_NONE, /* for a debugger */
    SANDBOX_NET,  /* connectors, notifiers: the network as far as the broker lets them */
    SANDBOX_PURE, /* metric engines, models: no network */
} sandbox_profile;

/* `plugin` stays readable. Writes the report as a JSON object into `report`. Does not return when there is a
 * door and the broker does not answer. */
void sandbox_apply(sandbox_profile profile, const char *plugin, char *report, size_t report_size);

/* ---- The parts ---- */

typedef struct sandbox_walls { /* what Landlock holds */
    int version;               /* of the kernel's Landlock; 0 = none */
    bool files, tcp, signals;  /* signals: also abstract sockets */
} sandbox_walls;

sandbox_walls sandbox_landlock(sandbox_profile profile, const char *plugin);
/* `door`: what is off the list goes to *listener_out (else -1). False: no filter. */
bool sandbox_filter(sandbox_profile profile, bool door, int *listener_out);
#endif
