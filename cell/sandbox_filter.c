/* The calls that a cell may make by itself: memory, threads, time, descriptors that are open already, signals
 * to itself, and for plugins with a network TCP and UDP sockets without an address in the call. Arguments are
 * compared in the 32 bits that the kernel looks at. */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cell/sandbox.h"
#include "wire/door.h"
#include "wire/message.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
enum { FD_BITS = 16 };
#define LOW 0xffffffffULL

static const int calls_of_all[] = {
    /* descriptors that are open */
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(preadv2), SCMP_SYS(write),
    SCMP_SYS(writev), SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(pwritev2), SCMP_SYS(lseek),
    SCMP_SYS(dup), SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select),
    SCMP_SYS(pselect6), SCMP_SYS(epoll_create), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(eventfd),
    SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime),
    SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fadvise64),
    SCMP_SYS(readahead), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(recvmsg), SCMP_SYS(recvfrom),
    SCMP_SYS(recvmmsg), SCMP_SYS(shutdown),
    /* what files are, not what is in them */
    SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
    SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink),
    SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getcwd),
    /* memory */
    SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise),
    SCMP_SYS(mincore), SCMP_SYS(msync), SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock), SCMP_SYS(brk),
    SCMP_SYS(membarrier),
    /* threads */
    SCMP_SYS(futex), SCMP_SYS(futex_waitv), SCMP_SYS(set_robust_list), SCMP_SYS(get_robust_list),
    SCMP_SYS(rseq), SCMP_SYS(set_tid_address), SCMP_SYS(gettid), SCMP_SYS(arch_prctl), SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
    SCMP_SYS(sched_get_priority_max), SCMP_SYS(sched_get_priority_min), SCMP_SYS(getcpu), SCMP_SYS(exit),
    SCMP_SYS(exit_group), SCMP_SYS(restart_syscall),
    /* signals of its own */
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigpending),
    SCMP_SYS(rt_sigsuspend), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(sigaltstack), SCMP_SYS(pause),
    SCMP_SYS(alarm), SCMP_SYS(setitimer), SCMP_SYS(getitimer), SCMP_SYS(timer_create),
    SCMP_SYS(timer_settime), SCMP_SYS(timer_gettime), SCMP_SYS(timer_getoverrun), SCMP_SYS(timer_delete),
    SCMP_SYS(signalfd4),
    /* time, chance, and who it is */
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times), SCMP_SYS(getrandom), SCMP_SYS(getpid),
    SCMP_SYS(getppid), SCMP_SYS(getpgrp), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
    SCMP_SYS(getegid), SCMP_SYS(getresuid), SCMP_SYS(getresgid), SCMP_SYS(getgroups), SCMP_SYS(getrusage),
    SCMP_SYS(getrlimit), SCMP_SYS(sysinfo), SCMP_SYS(uname)};

static const int calls_of_net[] = {SCMP_SYS(getsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
                                   SCMP_SYS(socketpair)};

static const int fcntl_asks[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD,     F_SETFD,      F_GETFL,
                                 F_SETFL, F_ADD_SEALS,     F_GET_SEALS, F_SETPIPE_SZ, F_GETPIPE_SZ};
static const int prctl_asks[] = {
    PR_SET_NAME,         PR_GET_NAME,         0x53564d41 /* PR_SET_VMA */, PR_GET_DUMPABLE,   PR_CAPBSET_READ,
    PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_SET_TIMERSLACK,           PR_GET_TIMERSLACK, PR_GET_SECCOMP};
/* Not SO_LINGER: closing its duplicate of such a socket could keep the broker waiting. */
static const int socket_options[] = {SO_REUSEADDR, SO_KEEPALIVE, SO_BROADCAST, SO_SNDBUF,   SO_RCVBUF,
                                     SO_RCVTIMEO,  SO_SNDTIMEO,  SO_OOBINLINE, SO_RCVLOWAT, SO_TIMESTAMP};
static const int tcp_options[] = {TCP_NODELAY,  TCP_KEEPIDLE,     TCP_KEEPINTVL, TCP_KEEPCNT, TCP_CORK,
                                  TCP_QUICKACK, TCP_USER_TIMEOUT, TCP_SYNCNT,    TCP_MAXSEG,  TCP_LINGER2};
static const int ip_options[] = {IP_TOS,     IP_TTL,           IP_MTU_DISCOVER,
                                 IP_RECVERR, IP_MULTICAST_TTL, IP_MULTICAST_LOOP};
static const int ipv6_options[] = {IPV6_V6ONLY,       IPV6_UNICAST_HOPS,   IPV6_RECVERR,       IPV6_TCLASS,
                                   IPV6_MTU_DISCOVER, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP};

typedef scmp_filter_ctx filter;

/* A call that this machine lacks is skipped by libseccomp. */
static void allow(filter f, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++)
        seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
}

static struct scmp_arg_cmp is(unsigned argument, int value)
{
    return SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, LOW, (uint32_t)value);
}

static void allow_values(filter f, int call, unsigned argument, const int *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1, is(argument, values[i]));
}

/* Any descriptor but those that belong to the cell: one of the bits from 3 up is set, or it is one of these.
 */
static void allow_other_fds(filter f, int call, unsigned argument)
{
    static const int small[] = {0, 1, 2, WIRE_FDS_KEPT + 1};
    _Static_assert(WIRE_SOCKET_FD == 3 && WIRE_FDS_KEPT == 6, "3 to 6 are kept");
    allow_values(f, call, argument, small, COUNT(small));
    for (int bit = 3; bit < FD_BITS; bit++)
        seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1,
                         SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, 1U << bit, 1U << bit));
}

static void add_common(filter f)
{
    static const int wires[] = {WIRE_SOCKET_FD, WIRE_DOOR_FD};
    static const int asks[] = {FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, 0x5401 /* TCGETS, asked by isatty */};
    const unsigned long spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                 CLONE_NEWPID | CLONE_NEWNET | CLONE_PTRACE | CLONE_UNTRACED;
    const int self = getpid(), own_thread = 0;
    allow(f, calls_of_all, COUNT(calls_of_all));
    allow_other_fds(f, SCMP_SYS(close), 0);
    allow_other_fds(f, SCMP_SYS(dup2), 1);
    allow_other_fds(f, SCMP_SYS(dup3), 1);
    allow_values(f, SCMP_SYS(fcntl), 1, fcntl_asks, COUNT(fcntl_asks));
    allow_values(f, SCMP_SYS(ioctl), 1, asks, COUNT(asks));
    allow_values(f, SCMP_SYS(prctl), 0, prctl_asks, COUNT(prctl_asks));
    allow_values(f, SCMP_SYS(kill), 0, &self, 1);
    allow_values(f, SCMP_SYS(tgkill), 0, &self, 1);
    allow_values(f, SCMP_SYS(sched_setaffinity), 0, &own_thread, 1);
    allow_values(f, SCMP_SYS(sendmsg), 0, wires, COUNT(wires));
    /* without an address */
    seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1, SCMP_A4_64(SCMP_CMP_EQ, 0));
    /* threads, not processes; a C library falls back to clone */
    seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                     SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD | spaces, CLONE_THREAD));
    seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0);
    seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, is(0, 0), SCMP_A2_64(SCMP_CMP_EQ, 0));
}

static void add_options(filter f, int level, const int *options, size_t n)
{
    for (size_t i = 0; i < n; i++)
        seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2, is(1, level), is(2, options[i]));
}

static void add_network(filter f)
{
    static const int domains[] = {AF_INET, AF_INET6}, types[] = {SOCK_STREAM, SOCK_DGRAM},
                     protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP};
    allow(f, calls_of_net, COUNT(calls_of_net));
    for (size_t d = 0; d < COUNT(domains); d++)
        for (size_t t = 0; t < COUNT(types); t++)
            for (size_t p = 0; p < COUNT(protocols); p++)
                seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3, is(0, domains[d]),
                                 SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xf, (uint64_t)types[t]),
                                 is(2, protocols[p]));
    add_options(f, SOL_SOCKET, socket_options, COUNT(socket_options));
    add_options(f, IPPROTO_TCP, tcp_options, COUNT(tcp_options));
    add_options(f, IPPROTO_IP, ip_options, COUNT(ip_options));
    add_options(f, IPPROTO_IPV6, ipv6_options, COUNT(ipv6_options));
}

static void refuse_fd(filter f, int call, unsigned argument, int fd)
{
    seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), call, 1, is(argument, fd));
}

static void refuse_fd_ask(filter f, int call, int fd, int request)
{
    seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), call, 2, is(0, fd), is(1, request));
}

/* A filter of its own, whose refusals go before the other's permissions: descriptors that the host shares
 * with the cell stay as they are, also through a duplicate. Without O_NONBLOCK on the eventfd, the host would
 * wait for it. */
static bool keep_shared_descriptors(void)
{
    static const int changes[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_SETFL};
    filter f = seccomp_init(SCMP_ACT_ALLOW);
    if (!f)
        return false;
    for (int fd = 1; fd <= WIRE_FDS_KEPT; fd++) {
        refuse_fd(f, SCMP_SYS(dup), 0, fd);
        refuse_fd(f, SCMP_SYS(dup2), 0, fd);
        refuse_fd(f, SCMP_SYS(dup3), 0, fd);
        for (size_t i = 0; i < COUNT(changes); i++)
            refuse_fd_ask(f, SCMP_SYS(fcntl), fd, changes[i]);
        refuse_fd_ask(f, SCMP_SYS(ioctl), fd, FIONBIO);
    }
    bool loaded = seccomp_load(f) == 0;
    seccomp_release(f);
    return loaded;
}

static bool load(sandbox_profile profile, bool notify, int *listener_out)
{
    filter f = seccomp_init(notify ? SCMP_ACT_NOTIFY : SCMP_ACT_ERRNO(EPERM));
    if (!f)
        return false;
    seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    add_common(f);
    if (profile == SANDBOX_NET && notify)
        add_network(f);
    if (!notify) { /* nobody looks at the path: Landlock alone decides */
        seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(open), 0);
        seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(openat), 0);
    }
    bool loaded = seccomp_load(f) == 0;
    *listener_out = loaded && notify ? seccomp_notify_fd(f) : -1;
    seccomp_release(f);
    return loaded;
}

bool sandbox_filter(sandbox_profile profile, bool door, int *listener_out)
{
    *listener_out = -1;
    if (!keep_shared_descriptors())
        return false;
    return (door && load(profile, true, listener_out)) || load(profile, false, listener_out);
}
