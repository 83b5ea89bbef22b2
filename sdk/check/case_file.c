/* What can be said of the object file, mostly without loading it. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cell/elf_exports.h"
#include "check/case.h"
#include "check/elf_facts.h"
#include "check/stand.h"
#include "check/verdict.h"

enum { PROBE_MAX_MS = 100, PROBES = 5 };

void case_exports(const subject *s)
{
    char why[512];
    if (!elf_exports_only(s->file, "penstock_plugin_v1", why, sizeof why))
        verdict_fail(s->file, "%s", why);
    verdict_pass();
}

void case_links(const subject *s)
{
    static elf_facts f;
    elf_facts_read(s->file, &f);
    if (!f.readable)
        verdict_fail(s->file, "not a shared object for this machine");
    if (f.rpath)
        verdict_fail(s->file, "has an RPATH: it would take libraries from a folder of the build machine");
    if (f.executable_stack)
        verdict_fail(s->file, "asks for an executable stack");
    if (!f.bind_now)
        verdict_fail(s->file, "is bound lazily: a missing symbol would show in the middle of a call");
    if (!dlopen(s->file, RTLD_NOW | RTLD_LOCAL))
        verdict_fail(s->file, "cannot be loaded: %s", dlerror());
    verdict_pass();
}

void case_starts_nothing(const subject *s)
{
    static const char *const starters[] = {
        "fork",   "vfork",  "system",  "popen",   "execve",      "execv",        "execvp", "execl",
        "execlp", "execle", "execvpe", "fexecve", "posix_spawn", "posix_spawnp", "clone",  "daemon"};
    static elf_facts f;
    elf_facts_read(s->file, &f);
    for (size_t i = 0; i < sizeof starters / sizeof *starters; i++)
        if (elf_facts_import(&f, starters[i]))
            verdict_fail(s->file, "calls %s, which its cell refuses", starters[i]);
    if (s->entry) {
        stand *t = stand_open(s, FAR_ANSWERS);
        stand_ready(t);
        stand_close(t); /* the far side is gone with it */
        if (waitpid(-1, NULL, WNOHANG) != -1)
            verdict_fail("create", "it left a process behind");
    }
    verdict_pass();
}

/* How long it takes from nothing to a description, in a process of its own each time; the best counts. */
void case_probe(const subject *s)
{
    int64_t best_us = INT64_MAX;
    for (int i = 0; i < PROBES; i++) {
        int64_t from = stand_now_us();
        pid_t pid = fork();
        if (pid == 0) {
            void *handle = dlopen(s->file, RTLD_NOW | RTLD_LOCAL);
            const pst_plugin *p = handle ? dlsym(handle, "penstock_plugin_v1") : NULL;
            _exit(p && p->get_interface && p->id && (p->get_interface(PST_IF_SOURCE) || true) ? 0 : 1);
        }
        int state = 0;
        if (pid < 0 || waitpid(pid, &state, 0) != pid || !WIFEXITED(state) || WEXITSTATUS(state))
            verdict_fail(s->file, "it cannot be described: it crashed, ended or has no description");
        int64_t took = stand_now_us() - from;
        best_us = took < best_us ? took : best_us;
    }
    if (best_us > PROBE_MAX_MS * 1000)
        verdict_fail("its constructors", "loading it takes %d ms", (int)(best_us / 1000));
    if (!s->entry)
        verdict_fail(s->file, "its description cannot be used: %s", s->why);
    verdict_measured("%.1f ms", (double)best_us / 1000);
    verdict_pass();
}
