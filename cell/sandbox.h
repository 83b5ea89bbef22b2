/* What a cell gives up before it loads a plugin: constructors run inside the loader, so it all happens first.
 * Each measure is tried, and what the kernel granted is reported; nothing is required, the host shows the
 * report. Limits, user, death signal and the closing of descriptors are the nursery's work, before the cell
 * begins. */
#ifndef PENSTOCK_CELL_SANDBOX_H
#define PENSTOCK_CELL_SANDBOX_H
#include <stdbool.h>
#include <stddef.h>

typedef enum sandbox_profile {
    SANDBOX_NONE, /* for a debugger */
    SANDBOX_NET,  /* connectors, notifiers: network and files, no programs, no kernel interfaces */
    SANDBOX_PURE, /* metric engines, models: also no sockets, and of the files only the system's libraries */
} sandbox_profile;

/* `plugin` stays readable. Writes the report as a JSON object into `report`. */
void sandbox_apply(sandbox_profile profile, const char *plugin, char *report, size_t report_size);
#endif
