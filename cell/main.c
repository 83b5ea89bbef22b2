/* penstock-cell: one plugin in one small process.
 *   penstock-cell --profile net|pure|none FILE      speaks to the host on descriptor 3 (docs/abi/wire.md)
 *   penstock-cell --probe FILE                      writes the plugin's description as JSON to descriptor 3
 * Started by the host's nursery, which has set limits, user and descriptors. The order is: sandbox, HELLO,
 * load, READY, then requests until STOP or the end of the socket. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cell/calls.h"
#include "cell/heap.h"
#include "cell/object.h"
#include "cell/sandbox.h"
#include "cell/session.h"

static sandbox_profile profile_of(const char *word)
{
    return !strcmp(word, "none") ? SANDBOX_NONE : !strcmp(word, "net") ? SANDBOX_NET : SANDBOX_PURE;
}

static void serve(session *s)
{
    for (;;) {
        const wire_message *m = session_next(s);
        if (m->fd >= 0)
            close(m->fd);
        if (m->header.type == WIRE_STOP)
            return;
        if (m->header.type < WIRE_CONFIGURE || m->header.type >= WIRE_REQUEST_END)
            _exit(1);
        calls_run(s);
    }
}

static int run(const char *profile, const char *file)
{
    static session s;
    char report[512], why[512];
    heap_begin();
    session_begin(&s);
    sandbox_apply(profile_of(profile), file, report, sizeof report);
    session_say(&s, WIRE_HELLO, report);
    s.plugin = object_load(file, why, sizeof why);
    if (!s.plugin) {
        session_say(&s, WIRE_BYE, why);
        return 1;
    }
    session_say(&s, WIRE_READY, NULL);
    serve(&s);
    calls_end(&s);
    return 0;
}

static int usage(void)
{
    fputs("penstock-cell is started by penstockd; see penstock-plugin(7)\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    char report[512];
    int code;
    signal(SIGINT, SIG_IGN); /* the host decides when a cell ends */
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && !strcmp(argv[1], "--probe")) {
        sandbox_apply(SANDBOX_PURE, argv[2], report, sizeof report);
        code = object_probe(argv[2], WIRE_SOCKET_FD);
    } else if (argc == 4 && !strcmp(argv[1], "--profile")) {
        code = run(argv[2], argv[3]);
    } else {
        return usage();
    }
    _exit(code); /* a plugin's destructors have had their chance in destroy */
}
