/* Where penstock-cell lies, seen from the program that runs: beside it, in libexec, or in the build tree
 * above it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/disk.h"
#include "plugin/catalog.h"

enum { PATH_BYTES = 4096 };

static char *try_path(const char *folder, const char *rest)
{
    char path[PATH_BYTES];
    int len = snprintf(path, sizeof path, "%s/%s", folder, rest);
    return len < (int)sizeof path && access(path, X_OK) == 0 ? memory_string(path) : NULL;
}

char *cell_program_find(status *st)
{
    char folder[PATH_BYTES];
    ssize_t len = readlink("/proc/self/exe", folder, sizeof folder - 1);
    folder[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    char *found = try_path(folder, "penstock-cell");
    for (int up = 0; !found && up < 5 && *folder; up++) {
        found = try_path(folder, "libexec/penstock/penstock-cell");
        if (!found)
            found = try_path(folder, "cell/penstock-cell");
        slash = strrchr(folder, '/');
        if (slash)
            *slash = '\0';
    }
    if (!found) {
        status_set(st, STATUS_NOT_FOUND, "penstock-cell is not there: plugins cannot run");
        status_hint(st, "it is looked for beside the program and in libexec/penstock");
    }
    return found;
}
