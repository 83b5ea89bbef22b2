/* An attempt succeeded if the call did; an error of the call is its outcome, by name. For the network
 * "refused by the far side" would be a success too: then something has left the cell. */
#include "intruder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct run {
    intruder_outcome *out;
    int n;
} run;

static intruder_outcome early[INTRUDER_OUTCOMES_MAX];
static int n_early;

__attribute__((format(printf, 3, 4))) static void note(run *r, long result, const char *format, ...)
{
    int failed = errno;
    if (r->n == INTRUDER_OUTCOMES_MAX)
        abort();
    intruder_outcome *o = &r->out[r->n++];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(o->attempt, sizeof o->attempt, format, arguments);
    va_end(arguments);
    o->succeeded = result >= 0;
    snprintf(o->outcome, sizeof o->outcome, "%s", o->succeeded ? "SUCCEEDED" : strerrorname_np(failed));
}

/* ---- Files ---- */

static void try_file(run *r, const char *path)
{
    char byte;
    int fd = open(path, O_RDONLY);
    note(r, fd >= 0 && read(fd, &byte, 1) == 1 ? 0 : -1, "read %.80s", path);
    if (fd >= 0)
        close(fd);
}

static void try_files(run *r, const pst_host *host)
{
    static const char *const paths[] = {
        "/etc/passwd",     "/etc/shadow",     "/usr/../etc/passwd", "/proc/self/root/etc/passwd",
        "/proc/1/environ", "/proc/1/cmdline", "/etc/ssl/private"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        try_file(r, paths[i]);
    for (size_t i = 0; host && i < host->config_count(host, "/files"); i++) {
        char where[32];
        snprintf(where, sizeof where, "/files/%zu", i);
        try_file(r, host->config_text(host, where));
    }
    note(r, open("/tmp/intruder", O_CREAT | O_WRONLY, 0600), "write a file in /tmp");
    note(r, syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", NULL, 0), "openat2");
    note(r, symlink("/etc/passwd", "/tmp/intruder"), "symlink");
    note(r, unlink("/tmp/intruder-is-not-there") < 0 && errno == ENOENT ? 0 : -1, "unlink");
    note(r, mkdir("/tmp/intruder-folder", 0700), "mkdir");
    note(r, chdir("/etc"), "chdir");
    int in_memory = memfd_create("intruder", MFD_CLOEXEC), library = open("/usr/lib/os-release", O_RDONLY);
    note(r, library < 0 ? -1 : fchmod(library, 0600), "fchmod of a file that it may read");
    note(r, in_memory < 0 ? -1 : fchmod(in_memory, 0640), "fchmod of a file in memory for others");
    note(r, in_memory < 0 ? -1 : fchmod(in_memory, 04700), "fchmod of a file in memory with more rights");
    close(in_memory);
    close(library);
    note(r,
         (long)syscall(SYS_name_to_handle_at, AT_FDCWD, "/etc/passwd", NULL, NULL, 0) < 0 && errno == EFAULT
             ? 0
             : -1,
         "name_to_handle_at");
}

/* ---- Processes ---- */

static int child(void *arg)
{
    (void)arg;
    _exit(0);
}

static void try_processes(run *r)
{
    static char stack[64 * 1024] __attribute__((aligned(16)));
    static const char *const program[] = {"/bin/true", NULL};
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    note(r, pid, "clone as fork does");
    note(r, clone(child, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL), "clone with shared memory");
    note(r, clone(child, stack + sizeof stack, CLONE_NEWUSER | SIGCHLD, NULL), "clone into a user namespace");
    note(r, syscall(SYS_clone3, NULL, 0) < 0 && errno != ENOSYS ? 0 : -1, "clone3");
#ifdef SYS_fork
    pid = (pid_t)syscall(SYS_fork);
    if (pid == 0)
        _exit(0);
    note(r, pid, "fork");
#endif
#ifdef SYS_vfork
    note(r, syscall(SYS_vfork),
         "vfork"); /* a child would note and go on: the parent's test would see two answers */
#endif
    note(r, execve(program[0], (char *const *)(uintptr_t)program, NULL), "execve");
    note(r, syscall(SYS_execveat, AT_FDCWD, program[0], program, NULL, 0), "execveat");
    note(r, unshare(CLONE_NEWUSER), "unshare");
    note(r, (long)setsid(), "setsid");
    note(r, prctl(PR_SET_PDEATHSIG, 0), "outlive the host");
    note(r, prctl(PR_SET_DUMPABLE, 1), "PR_SET_DUMPABLE");
    note(r, prctl(PR_SET_PTRACER, -1L), "PR_SET_PTRACER");
}

static void try_process(run *r, pid_t pid, const char *who)
{
    char byte, path[64];
    struct iovec here = {&byte, 1}, there = {(void *)(uintptr_t)0x10000, 1};
    if (!pid)
        return;
    note(r, kill(pid, 0), "signal the %s", who);
    note(r, kill(pid, SIGTERM), "end the %s", who);
    note(r, syscall(SYS_tkill, pid, SIGTERM), "tkill the %s", who);
    note(r, syscall(SYS_tgkill, pid, pid, SIGTERM), "tgkill the %s", who);
    siginfo_t info = {.si_code = SI_QUEUE};
    note(r, syscall(SYS_rt_sigqueueinfo, pid, SIGTERM, &info), "queue a signal to the %s", who);
    note(r, syscall(SYS_pidfd_open, pid, 0), "pidfd_open the %s", who);
    note(r, ptrace(PTRACE_SEIZE, pid, 0, 0), "ptrace the %s", who);
    note(r, process_vm_readv(pid, &here, 1, &there, 1, 0) < 0 && errno == EPERM ? -1 : 0,
         "read memory of the %s", who);
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    note(r, open(path, O_RDWR), "open memory of the %s", who);
    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    try_file(r, path);
    int own = fcntl(0, F_SETOWN, pid);
    note(r, own, "SIGIO to the %s", who);
    struct rlimit limit = {0};
    note(r, syscall(SYS_prlimit64, pid, 7, NULL, &limit), "limits of the %s", who);
    unsigned long one = 1;
    note(r, syscall(SYS_sched_setaffinity, pid, sizeof one, &one), "bind the %s to a processor", who);
    note(r, syscall(SYS_sched_setscheduler, pid, 0, NULL) < 0 && errno != EPERM ? 0 : -1, "schedule the %s",
         who);
}

/* ---- The kernel ---- */

static void try_kernel(run *r)
{
    struct io_uring_params ring = {0};
    struct sockaddr_un nowhere = {.sun_family = AF_UNIX, .sun_path = "/run/dbus/system_bus_socket"};
    note(r, syscall(SYS_io_uring_setup, 4, &ring), "io_uring");
    note(r, syscall(SYS_bpf, 0, NULL, 0) < 0 && errno != EPERM ? 0 : -1, "bpf");
    note(r, syscall(SYS_userfaultfd, 0), "userfaultfd");
    note(r, syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0) < 0 && errno != EPERM ? 0 : -1, "perf_event_open");
    note(r, syscall(SYS_keyctl, 0, -3, 0), "keyctl");
    note(r, syscall(SYS_mount, NULL, NULL, NULL, 0, NULL) < 0 && errno != EPERM ? 0 : -1, "mount");
    note(r, syscall(SYS_setns, 0, 0) < 0 && errno != EPERM ? 0 : -1, "setns");
    note(r, syscall(SYS_pidfd_getfd, 0, 0, 0) < 0 && errno != EPERM ? 0 : -1, "pidfd_getfd");
    note(r, syscall(SYS_seccomp, 0, 0, NULL) < 0 && errno != EPERM ? 0 : -1, "seccomp");
    note(r, syscall(SYS_shmget, 4711, 4096, 01600), "shmget");
    note(r, setuid(0), "setuid");
    note(r, socket(AF_UNIX, SOCK_STREAM, 0), "socket AF_UNIX");
    note(r, socket(AF_NETLINK, SOCK_RAW, 0), "socket AF_NETLINK");
    note(r, socket(AF_PACKET, SOCK_RAW, 0), "socket AF_PACKET");
    note(r, socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), "socket raw");
    note(r, socket(AF_INET, SOCK_STREAM, 132), "socket SCTP");
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0) {
        note(r, sendto(pair[0], "x", 1, 0, (struct sockaddr *)&nowhere, sizeof nowhere),
             "send to a local socket");
        note(r, connect(pair[0], (struct sockaddr *)&nowhere, sizeof nowhere), "connect to a local socket");
        close(pair[0]);
        close(pair[1]);
    }
    for (int fd = 3; fd <= 6; fd++) {
        note(r, dup2(0, fd), "dup2 over descriptor %d", fd);
        note(r, dup3(0, fd, 0), "dup3 over descriptor %d", fd);
        note(r, close(fd), "close descriptor %d", fd);
        note(r, syscall(SYS_dup2, 0, 0x100000000ULL + (unsigned)fd), "dup2 over 2^32 + %d", fd);
    }
    note(r, syscall(SYS_close_range, 3, 6, 0), "close_range");
    for (int fd = 1; fd <= 6; fd++) {
        int waits = 0;
        note(r, fcntl(fd, F_SETFL, 0), "make the host wait for descriptor %d", fd);
        note(r, ioctl(fd, FIONBIO, &waits), "FIONBIO on descriptor %d", fd);
        note(r, dup(fd), "dup descriptor %d", fd);
        note(r, dup2(fd, 50), "dup2 descriptor %d", fd);
        note(r, dup3(fd, 50, 0), "dup3 descriptor %d", fd);
        note(r, fcntl(fd, F_DUPFD, 50), "F_DUPFD descriptor %d", fd);
    }
}

/* ---- The network ---- */

static struct sockaddr_in at(const char *address, int64_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, address, &a.sin_addr);
    return a;
}

/* "The far side answered" counts as well. */
static long reached(long result)
{
    return result >= 0 || errno == ECONNREFUSED || errno == EINPROGRESS || errno == ETIMEDOUT ? 0 : -1;
}

static void try_tcp(run *r, const char *address, int64_t port)
{
    struct sockaddr_in to = at(address, port);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    note(r, s < 0 ? -1 : reached(connect(s, (struct sockaddr *)&to, sizeof to)), "connect to %s", address);
    if (s >= 0)
        close(s);
    s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    note(r, s < 0 ? -1 : reached(connect(s, (struct sockaddr *)&to, sizeof to)),
         "connect without waiting to %s", address);
    if (s >= 0)
        close(s);
    s = socket(AF_INET, SOCK_STREAM, 0);
    note(r, s < 0 ? -1 : reached(sendto(s, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof to)),
         "fast open to %s", address);
    int on = 1;
    note(r, s < 0 ? -1 : setsockopt(s, IPPROTO_TCP, 30 /* TCP_FASTOPEN_CONNECT */, &on, sizeof on),
         "a lazy connect");
    struct linger long_time = {1, 1000};
    note(r, s < 0 ? -1 : setsockopt(s, SOL_SOCKET, SO_LINGER, &long_time, sizeof long_time), "SO_LINGER");
    struct linger none = {1, 0}, off = {0, 0}; /* what never keeps who closes waiting is done */
    bool done = s >= 0 && !setsockopt(s, SOL_SOCKET, SO_LINGER, &none, sizeof none) &&
                !setsockopt(s, SOL_SOCKET, SO_LINGER, &off, sizeof off);
    note(r, s < 0 || done ? -1 : 0, "closing without lingering"); /* a pure cell has no socket */
    note(r,
         s < 0                                                                                        ? -1
         : setsockopt(s, SOL_SOCKET, 26 /* SO_ATTACH_FILTER */, &on, sizeof on) < 0 && errno != EPERM ? 0
                                                                                                      : -1,
         "a socket filter");
    if (s >= 0)
        close(s);
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
    memcpy(mapped.sin6_addr.s6_addr + 12, &to.sin_addr, 4);
    s = socket(AF_INET6, SOCK_STREAM, 0);
    note(r, s < 0 ? -1 : reached(connect(s, (struct sockaddr *)&mapped, sizeof mapped)),
         "connect to ::ffff:%s", address);
    if (s >= 0)
        close(s);
}

static void try_udp(run *r, const char *address, int64_t port)
{
    struct sockaddr_in to = at(address, port);
    struct iovec part = {(char[]){"x"}, 1};
    struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &part, .msg_iovlen = 1};
    struct mmsghdr messages[2] = {{.msg_hdr = message}, {.msg_hdr = message}};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    note(r, s < 0 ? -1 : sendto(s, "x", 1, 0, (struct sockaddr *)&to, sizeof to), "sendto %s", address);
    note(r, s < 0 ? -1 : sendmsg(s, &message, 0), "sendmsg %s", address);
    note(r, s < 0 ? -1 : sendmmsg(s, messages, 2, 0), "sendmmsg %s", address);
    note(r, s < 0 ? -1 : connect(s, (struct sockaddr *)&to, sizeof to), "connect UDP to %s", address);
    if (s >= 0)
        close(s);
    /* In the place of the wire's descriptor, whose sends are free. */
    if (s >= 0 && dup2(socket(AF_INET, SOCK_DGRAM, 0), 3) == 3)
        note(r, sendmsg(3, &message, 0), "sendmsg over the wire");
}

static void try_listen(run *r)
{
    struct sockaddr_in here = at("127.0.0.1", 47113), any = at("0.0.0.0", 0);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    note(r, s < 0 ? -1 : bind(s, (struct sockaddr *)&here, sizeof here), "bind");
    if (s >= 0)
        bind(s, (struct sockaddr *)&any, sizeof any); /* that is fine */
    note(r, s < 0 ? -1 : listen(s, 1), "listen");
    note(r, s < 0 ? -1 : accept(s, NULL, NULL) < 0 && errno == EPERM ? -1 : 0, "accept");
    if (s >= 0)
        close(s);
}

typedef struct changing {
    struct sockaddr_in address;
    in_port_t good, bad;
    atomic_bool end;
} changing;

static void *change(void *arg)
{
    changing *c = arg;
    while (!atomic_load(&c->end)) {
        *(volatile in_port_t *)&c->address.sin_port = c->bad;
        *(volatile in_port_t *)&c->address.sin_port = c->good;
    }
    return NULL;
}

/* Another thread changes the address while the call is judged: whoever listens at the bad port must see
 * nothing. */
static void try_race(run *r, int64_t good, int64_t bad)
{
    changing c = {
        .address = at("127.0.0.1", good), .good = htons((uint16_t)good), .bad = htons((uint16_t)bad)};
    pthread_t thread;
    if (pthread_create(&thread, NULL, change, &c) != 0)
        abort();
    for (int i = 0; i < 300; i++) {
        int s = socket(AF_INET, SOCK_STREAM, 0);
        struct sockaddr_in peer = {0};
        socklen_t len = sizeof peer;
        bool wrong = connect(s, (struct sockaddr *)&c.address, sizeof c.address) == 0 &&
                     getpeername(s, (struct sockaddr *)&peer, &len) == 0 && peer.sin_port == c.bad;
        close(s);
        errno = EACCES;
        if (wrong || i == 299)
            note(r, wrong ? 0 : -1, "connect with an address that changes");
        if (wrong)
            break;
    }
    atomic_store(&c.end, true);
    pthread_join(thread, NULL);
}

static void try_names(run *r, const char *names)
{
    char all[512], *rest = all;
    snprintf(all, sizeof all, "%s", names);
    for (char *name; (name = strsep(&rest, " ")) != NULL;) {
        struct addrinfo *found = NULL;
        int code = getaddrinfo(name, "80", NULL, &found);
        errno = code == EAI_FAIL ? EACCES : EIO;
        note(r, code ? -1 : 0, "resolve %s", name);
        if (!code)
            freeaddrinfo(found);
    }
}

/* ---- All ---- */

int intruder_run(const intruder_targets *t, intruder_outcome out[INTRUDER_OUTCOMES_MAX])
{
    run r = {.out = out};
    try_files(&r, t->with_config);
    try_processes(&r);
    try_process(&r, (pid_t)t->host, "host");
    try_process(&r, (pid_t)t->sibling, "sibling");
    try_process(&r, getppid(), "nursery");
    try_kernel(&r);
    if (t->tcp_port)
        try_tcp(&r, "127.0.0.1", t->tcp_port);
    if (t->udp_port)
        try_udp(&r, "127.0.0.1", t->udp_port);
    if (t->named_port)
        try_race(&r, t->named_port, t->tcp_port);
    if (t->private_address)
        try_tcp(&r, t->private_address, t->private_port);
    if (t->names)
        try_names(&r, t->names);
    try_listen(&r);
    return r.n;
}

__attribute__((constructor)) static void before_anything(void)
{
    run r = {.out = early};
    intruder_targets none = {0};
    r.n = intruder_run(&none, early);
    try_tcp(&r, "127.0.0.1", 9);
    try_udp(&r, "127.0.0.1", 9);
    n_early = r.n;
}

int intruder_early(intruder_outcome out[INTRUDER_OUTCOMES_MAX])
{
    memcpy(out, early, sizeof early);
    return n_early;
}

/* ---- Rows ---- */

enum { TIME, ATTEMPT, OUTCOME, SUCCEEDED };

static void add_rows(pst_builder *b, int64_t time_us, const char *when, const intruder_outcome *o, int n)
{
    for (int i = 0; i < n; i++) {
        char text[128];
        snprintf(text, sizeof text, "%s%s", when, o[i].attempt);
        pst_builder_set_int(b, TIME, time_us);
        pst_builder_set_text(b, ATTEMPT, text);
        pst_builder_set_text(b, OUTCOME, o[i].outcome);
        pst_builder_set_flag(b, SUCCEEDED, o[i].succeeded);
        pst_builder_row(b);
    }
}

pst_status intruder_rows(const pst_host *host, pst_bytes cursor, pst_batch *out, pst_error *error)
{
    static intruder_outcome now[INTRUDER_OUTCOMES_MAX], before[INTRUDER_OUTCOMES_MAX];
    intruder_targets t = {.host = host->config_int(host, "/host"),
                          .sibling = host->config_int(host, "/sibling"),
                          .tcp_port = host->config_int(host, "/tcp_port"),
                          .udp_port = host->config_int(host, "/udp_port"),
                          .named_port = host->config_int(host, "/named_port"),
                          .private_address = host->config_text(host, "/private_address"),
                          .private_port = host->config_int(host, "/private_port"),
                          .names = host->config_text(host, "/names"),
                          .with_config = host};
    int n = intruder_run(&t, now), n_before = intruder_early(before);
    pst_builder *b = pst_builder_create();
    pst_builder_column(b, "time", PST_TIME);
    pst_builder_column(b, "attempt", PST_TEXT);
    pst_builder_column(b, "outcome", PST_TEXT);
    pst_builder_column(b, "succeeded", PST_BOOLEAN);
    add_rows(b, host->wall_us(host), "", now, n);
    add_rows(b, host->wall_us(host), "in a constructor: ", before, n_before);
    pst_status status = pst_builder_finish(b, NULL, cursor, 0, out, error);
    pst_builder_free(b);
    return status;
}
