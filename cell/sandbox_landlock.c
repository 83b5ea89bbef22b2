/* Landlock: reading of the files on the list and of the plugin's own; where the kernel knows more, also no
 * TCP by the cell itself (the broker connects for it) and no signals or abstract sockets out of it. The
 * numbers stand here because the headers of the build may be older than the kernel that runs. */
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cell/sandbox.h"
#include "wire/readable.h"

enum { FILE_RIGHTS_1 = 13, VERSION_TCP = 4, VERSION_SCOPE = 6 };

typedef struct ruleset { /* struct landlock_ruleset_attr of version 6 */
    uint64_t files, network, scope;
} ruleset;

static uint64_t file_rights(int version)
{
    unsigned n =
        FILE_RIGHTS_1 + (version >= 2) + (version >= 3) + (version >= 5); /* refer, truncate, ioctl */
    return ((uint64_t)1 << n) - 1;
}

static void allow(int rules, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access,
                                              .parent_fd = open(path, O_PATH | O_CLOEXEC)};
    if (rule.parent_fd < 0)
        return;
    syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(rule.parent_fd);
}

sandbox_walls sandbox_landlock(sandbox_profile profile, const char *plugin)
{
    const uint64_t of_files = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE;
    int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return (sandbox_walls){0};
    ruleset all = {.files = file_rights(version)};
    size_t size = sizeof all.files, n;
    if (version >= VERSION_TCP) {
        all.network = 3; /* bind, connect */
        size += sizeof all.network;
    }
    if (version >= VERSION_SCOPE) {
        all.scope = 3; /* abstract sockets, signals */
        size += sizeof all.scope;
    }
    int rules = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
    if (rules < 0)
        return (sandbox_walls){.version = version};
    const readable_path *readable = readable_list(profile == SANDBOX_NET, &n);
    for (size_t i = 0; i < n; i++)
        allow(rules, readable[i].path,
              readable[i].folder ? of_files | LANDLOCK_ACCESS_FS_READ_DIR : of_files);
    allow(rules, "/dev/null", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE);
    allow(rules, plugin, of_files);
    allow(rules, "/proc/self/exe", of_files); /* for traces of a crash */
    bool applied = syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    close(rules);
    return (sandbox_walls){.version = version,
                           .files = applied,
                           .tcp = applied && version >= VERSION_TCP,
                           .signals = applied && version >= VERSION_SCOPE};
}
