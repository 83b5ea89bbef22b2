/* The order of the measures, and the report. */
#include "cell/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cell/door.h"

enum { EXIT_NO_BROKER = 3 };

/* Also as root: uid 0 without capabilities is a user among others. */
static bool drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &head, none) == 0)
        return true;
    /* A service manager may forbid the call and have taken them all already. */
    return syscall(SYS_capget, &head, none) == 0 && !(none[0].permitted | none[1].permitted);
}

/* Where a process may only be looked into by its ancestors (Yama), the broker must be named. */
static void admit_broker(void)
{
    const char *pid = getenv(DOOR_BROKER_VARIABLE);
    if (pid)
        prctl(PR_SET_PTRACER, strtoul(pid, NULL, 10), 0, 0, 0);
}

/* The kept descriptors that this cell has no use for are taken, so that no file of the plugin gets their
 * numbers. */
static void take_kept_descriptors(void)
{
    int fd;
    while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0 && fd <= WIRE_FDS_KEPT)
        continue;
    if (fd >= 0)
        close(fd);
}

static const char *word(bool yes)
{
    return yes ? "true" : "false";
}

void sandbox_apply(sandbox_profile profile, const char *plugin, char *report, size_t report_size)
{
    static const char *const names[] = {"none", "net", "pure"};
    if (profile == SANDBOX_NONE) {
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); /* where Yama would keep the debugger away */
        snprintf(report, report_size, "{\"profile\":\"none\",\"uid\":%u}", (unsigned)geteuid());
        return;
    }
    int listener = -1;
    admit_broker();
    take_kept_descriptors();
    bool privileges = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, capabilities = drop_capabilities();
    sandbox_walls walls = sandbox_landlock(profile, plugin);
    bool seccomp = privileges && sandbox_filter(profile, door_is_there(), &listener);
    bool brokered = listener >= 0 && door_begin(listener, plugin, walls.files);
    if (listener >= 0 && !brokered)
        _exit(EXIT_NO_BROKER); /* the next start finds a new one */
    snprintf(report, report_size,
             "{\"profile\":\"%s\",\"no_new_privs\":%s,\"capabilities\":%s,\"seccomp\":\"%s\",\"landlock\":%d,"
             "\"landlock_files\":%s,\"landlock_tcp\":%s,\"landlock_signals\":%s,\"network\":\"%s\","
             "\"sanitized\":%s,\"uid\":%u}",
             names[profile], word(privileges), capabilities ? "\"none\"" : "\"kept\"",
             !seccomp   ? "none"
             : brokered ? "allow-list+notify"
                        : "allow-list",
             walls.version, word(walls.files), word(walls.tcp), word(walls.signals),
             profile == SANDBOX_NET && brokered ? "broker"
             : seccomp                          ? "none"
                                                : "open",
#ifdef PENSTOCK_SANITIZED
             "true",
#else
             "false",
#endif
             (unsigned)geteuid());
}
