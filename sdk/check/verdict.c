/* The process ends by _exit: what the plugin registered with atexit is not run. */
#include "check/verdict.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static verdict *mine;

verdict *verdict_create(void)
{
    void *memory = mmap(NULL, sizeof(verdict), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(memory != MAP_FAILED);
    return memory;
}

void verdict_reset(verdict *v)
{
    memset(v, 0, sizeof *v);
}

void verdict_use(verdict *v)
{
    mine = v;
}

static void end(verdict_state state)
{
    mine->state = state;
    fflush(NULL);
    _exit(0);
}

void verdict_pass(void)
{
    end(VERDICT_PASSED);
    __builtin_unreachable();
}

void verdict_skip(const char *why, ...)
{
    va_list args;
    va_start(args, why);
    vsnprintf(mine->why, sizeof mine->why, why, args);
    va_end(args);
    end(VERDICT_SKIPPED);
    __builtin_unreachable();
}

void verdict_fail(const char *where, const char *why, ...)
{
    va_list args;
    va_start(args, why);
    vsnprintf(mine->why, sizeof mine->why, why, args);
    va_end(args);
    snprintf(mine->where, sizeof mine->where, "%s", where ? where : "");
    end(VERDICT_FAILED);
    __builtin_unreachable();
}

void verdict_hint(const char *what, ...)
{
    va_list args;
    va_start(args, what);
    vsnprintf(mine->hint, sizeof mine->hint, what, args);
    va_end(args);
}

void verdict_measured(const char *what, ...)
{
    va_list args;
    va_start(args, what);
    vsnprintf(mine->measured, sizeof mine->measured, what, args);
    va_end(args);
}

void verdict_doing(const char *what, ...)
{
    va_list args;
    va_start(args, what);
    vsnprintf(mine->doing, sizeof mine->doing, what, args);
    va_end(args);
}
