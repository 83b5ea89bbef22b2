/* Errors for people: what, why, what to try. */
#include "complaint.h"

#include <stdarg.h>
#include <stdio.h>

#include "exit_code.h"

static char request_id[64];
static bool usage;

void complaint_request_id(const char *id)
{
    snprintf(request_id, sizeof request_id, "%s", id ? id : "");
}

void complaint_of_usage(void)
{
    usage = true;
}

static void print(const char *what, const status *st)
{
    if (what)
        fprintf(stderr, "penstock: %s\n", what);
    const char *indent = what ? "  why: " : "penstock: ";
    if (st->where[0])
        fprintf(stderr, "%s%s: %s\n", indent, st->where, st->text);
    else
        fprintf(stderr, "%s%s\n", indent, st->text);
    if (st->hint[0])
        fprintf(stderr, "  try: %s\n", st->hint);
    if (request_id[0])
        fprintf(stderr, "  request id: %s\n", request_id);
}

int complain(const char *what, const status *st)
{
    print(what, st);
    return usage ? EXIT_USAGE : exit_code_of(st->class);
}

int complain_usage(const status *st)
{
    print(NULL, st);
    return EXIT_USAGE;
}

void say(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}
