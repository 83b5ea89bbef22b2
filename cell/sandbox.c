/* no_new_privs, a seccomp list of refused calls (EPERM, so that a library can go on), and Landlock for pure
 * plugins. Sanitizer builds keep ptrace and execve: the leak checker and the symbolizer need them. */
#include "cell/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int refused_always[] = {
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(acct),
    SCMP_SYS(quotactl),
    SCMP_SYS(clock_settime),
    SCMP_SYS(settimeofday),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(move_mount),
    SCMP_SYS(fsopen),
    SCMP_SYS(open_tree),
};
static const int refused_unless_sanitized[] = {SCMP_SYS(ptrace), SCMP_SYS(execve), SCMP_SYS(execveat)};
static const int refused_pure[] = {SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind),
                                   SCMP_SYS(listen), SCMP_SYS(accept),  SCMP_SYS(accept4)};

static void refuse(scmp_filter_ctx filter, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++)
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i],
                         0); /* a call this machine lacks is skipped */
}

static bool apply_seccomp(sandbox_profile profile)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return false;
    refuse(filter, refused_always, sizeof refused_always / sizeof refused_always[0]);
#ifndef PENSTOCK_SANITIZED
    refuse(filter, refused_unless_sanitized,
           sizeof refused_unless_sanitized / sizeof refused_unless_sanitized[0]);
#else
    (void)refused_unless_sanitized;
#endif
    if (profile == SANDBOX_PURE)
        refuse(filter, refused_pure, sizeof refused_pure / sizeof refused_pure[0]);
    bool applied = seccomp_load(filter) == 0;
    seccomp_release(filter);
    return applied;
}

static void allow_reading(int rules, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access,
                                              .parent_fd = open(path, O_PATH | O_CLOEXEC)};
    if (rule.parent_fd < 0)
        return;
    syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(rule.parent_fd);
}

/* Files: nothing but reading the system's libraries and the plugin itself. */
static bool apply_landlock(const char *plugin)
{
    static const char *const readable[] = {"/usr",  "/lib",      "/lib64",      "/etc",
                                           "/proc", "/dev/null", "/dev/urandom"};
    const uint64_t of_files = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE;
    const uint64_t of_folders = of_files | LANDLOCK_ACCESS_FS_READ_DIR;
    struct landlock_ruleset_attr all = {.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all.handled_access_fs, 0);
    if (rules < 0)
        return false;
    for (size_t i = 0; i < sizeof readable / sizeof readable[0]; i++)
        allow_reading(rules, readable[i], i < 5 ? of_folders : LANDLOCK_ACCESS_FS_READ_FILE);
    allow_reading(rules, plugin, of_files);
    bool applied = syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    close(rules);
    return applied;
}

void sandbox_apply(sandbox_profile profile, const char *plugin, char *report, size_t report_size)
{
    static const char *const names[] = {"none", "net", "pure"};
    bool privileges = false, landlock = false, seccomp = false;
    if (profile != SANDBOX_NONE) {
        privileges = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
        landlock = profile == SANDBOX_PURE && apply_landlock(plugin);
        seccomp = privileges && apply_seccomp(profile);
    }
    static const char *const words[] = {"false", "true"};
    snprintf(report, report_size,
             "{\"profile\":\"%s\",\"no_new_privs\":%s,\"seccomp\":%s,\"landlock\":%s,\"uid\":%u}",
             names[profile], words[privileges], words[seccomp], words[landlock], (unsigned)geteuid());
}
