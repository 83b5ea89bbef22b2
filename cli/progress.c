/* Progress lines: count, rate, time left. */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/utc.h"

#define QUIET_US 400000
#define TERMINAL_EVERY_US 100000
#define LINE_EVERY_US 10000000

void progress_start(progress *p, const invocation *inv, const char *unit)
{
    const char *how = flag_text(inv, "progress", "auto");
    *p = (progress){.unit = unit, .started_us = clock_monotonic_us()};
    p->terminal = isatty(STDERR_FILENO);
    p->json = strcmp(how, "json") == 0;
    p->silent = strcmp(how, "never") == 0;
}

static void line_json(const progress *p, int64_t done, int64_t total, const char *what)
{
    text line = {0};
    text_printf(&line, "{\"done\":%lld,\"total\":%lld,\"unit\":\"%s\",\"text\":", (long long)done,
                (long long)total, p->unit);
    text_add_json_string(&line, what ? what : "", what ? strlen(what) : 0);
    fprintf(stderr, "%s}\n", line.data);
    text_free(&line);
}

static void line_text(const progress *p, int64_t done, int64_t total, const char *what, int64_t spent_us)
{
    char left[UTC_TEXT_SIZE] = "";
    double rate = (double)done * 1e6 / (double)(spent_us > 0 ? spent_us : 1);
    if (p->terminal)
        fputs("\r\033[K", stderr);
    if (what)
        fprintf(stderr, "%s ", what);
    if (done > 0 || total > 0)
        fprintf(stderr, "%lld%s", (long long)done, total > 0 ? "" : " ");
    if (total > 0)
        fprintf(stderr, "/%lld ", (long long)total);
    if (done > 0) {
        fprintf(stderr, "%s, %.0f/s", p->unit, rate);
        if (total > done && duration_format((int64_t)((double)(total - done) / rate) * UTC_SECOND_US, left))
            fprintf(stderr, ", %s left", left);
    }
    fputs(p->terminal ? "" : "\n", stderr);
    fflush(stderr);
}

void progress_show(progress *p, int64_t done, int64_t total, const char *what)
{
    int64_t now = clock_monotonic_us(), every = p->terminal ? TERMINAL_EVERY_US : LINE_EVERY_US;
    if (p->json)
        every = TERMINAL_EVERY_US;
    bool first = p->shown_us == 0;
    if (p->silent || now - p->started_us < QUIET_US || (!first && now - p->shown_us < every))
        return;
    p->shown_us = now;
    if (p->json)
        line_json(p, done, total, what);
    else
        line_text(p, done, total, what, now - p->started_us);
    p->open = p->terminal && !p->json;
}

void progress_end(progress *p)
{
    if (p->open)
        fputs("\r\033[K", stderr);
    p->open = false;
}
