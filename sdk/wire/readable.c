/* The list of pure plugins is the first part of the list of those with a network. */
#include "wire/readable.h"

#include <string.h>

static const readable_path list[] = {
    {"/usr", true},
    {"/lib", true},
    {"/lib64", true},
    {"/etc/ld.so.cache", false},
    {"/etc/localtime", false},
    {"/dev/null", false},
    {"/dev/zero", false},
    {"/dev/urandom", false},
    {"/dev/random", false},
    {"/proc/self", true},
    {"/sys/devices/system/cpu", true},
    /* with a network */
    {"/etc/ssl/certs", true},
    {"/etc/ssl/openssl.cnf", false},
    {"/etc/ca-certificates", true},
    {"/etc/pki/tls/certs", true},
    {"/etc/pki/ca-trust/extracted", true},
    {"/etc/gnutls", true},
    {"/etc/resolv.conf", false},
    {"/etc/hosts", false},
    {"/etc/host.conf", false},
    {"/etc/nsswitch.conf", false},
    {"/etc/gai.conf", false},
    {"/etc/services", false},
    {"/etc/protocols", false},
};
enum { FOR_PURE = 11 };

static const char *const quiet[] = {
    "/etc/ld.so.preload",
    "/etc/gcrypt",
    "/etc/krb5.conf",
    "/etc/ssl/openssl.cnf",
    "/etc/gnutls",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/vm/overcommit_memory",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/proc/stat",
    "/proc/filesystems",
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
    "/var/lib/sss",
    "/run/systemd",
    "linux-vdso.so.1", /* whoever writes the trace of a crash */
};

const readable_path *readable_list(bool network, size_t *n_out)
{
    *n_out = network ? sizeof list / sizeof list[0] : FOR_PURE;
    return list;
}

bool readable_quiet(const char *path)
{
    for (size_t i = 0; i < sizeof quiet / sizeof quiet[0]; i++) {
        size_t len = strlen(quiet[i]);
        if (!strncmp(path, quiet[i], len) && (!path[len] || path[len] == '/'))
            return true;
    }
    return false;
}
