/* Metric engines and models: the answer is a function of the input. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/case.h"
#include "check/drive.h"
#include "check/verdict.h"

enum { CALL_MS = 20000, KEPT = 8 << 20 };

static void answer(stand *t, unsigned seed, text *out)
{
    inputs in;
    drive_inputs(t, 1, seed, &in);
    stand_call(t, CALL_MS);
    pst_status status = drive_answer(t, &in, out);
    if (status != PST_OK)
        verdict_fail(t->error->where, "%s", stand_said(t, status));
    drive_inputs_free(&in);
}

/* The answer of another process, whose memory, addresses and age are others. */
static void answer_elsewhere(const subject *s, text *out)
{
    char *shared = mmap(NULL, KEPT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fflush(NULL);
    pid_t pid = shared != MAP_FAILED ? fork() : -1;
    if (pid == 0) {
        text said = {0};
        free(malloc(123457));
        stand *t = stand_open(s, FAR_ANSWERS);
        t->wall_us += 86400LL * 1000000 * 400;
        stand_ready(t);
        answer(t, 0, &said);
        if (said.len >= KEPT)
            verdict_skip("the answer is larger than 8 MiB");
        memcpy(shared, text_or_empty(&said), said.len + 1);
        _exit(42);
    }
    int state = 0;
    if (pid < 0 || waitpid(pid, &state, 0) != pid || !WIFEXITED(state))
        verdict_fail("evaluate or infer", "it died in a second process");
    if (WEXITSTATUS(state) != 42)
        _exit(0); /* its own verdict */
    text_add(out, shared);
}

static void compare(const text *a, const text *b, const char *when)
{
    const char *x = text_or_empty(a), *y = text_or_empty(b);
    if (!strcmp(x, y))
        return;
    size_t line = 0;
    for (size_t i = 0; x[i] && x[i] == y[i]; i++)
        line = x[i] == '\n' ? i + 1 : line;
    x += line;
    y += line;
    verdict_fail("its answer", "differs %s: first %.*s, then %.*s", when, (int)strcspn(x, "\n"), x,
                 (int)strcspn(y, "\n"), y);
}

void case_same_output(const subject *s)
{
    text first = {0}, again = {0}, elsewhere = {0};
    stand *t = stand_open(s, FAR_ANSWERS);
    stand_ready(t);
    answer(t, 0, &first);
    answer(t, 0, &again);
    compare(&first, &again, "the second time in one instance");
    answer_elsewhere(s, &elsewhere);
    compare(&first, &elsewhere, "in another process");
    verdict_measured("%zu bytes of rows", first.len);
    verdict_pass();
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The rows of an answer, sorted: a model answers in the order of its rows. */
static void sort_lines(text *t)
{
    size_t n = 0;
    char *lines[10000], *copy = text_take(t), *rest = copy;
    for (char *line; n < 10000 && (line = strsep(&rest, "\n")) && *line;)
        lines[n++] = line;
    if (n)
        qsort(lines, n, sizeof *lines, by_text);
    for (size_t i = 0; i < n; i++)
        text_printf(t, "%s\n", lines[i]);
    free(copy);
}

void case_any_order(const subject *s)
{
    const char *order = project_text(&s->project, "order");
    if (!order || strcmp(order, "any") != 0)
        verdict_skip("check.json does not say order: any");
    text straight = {0};
    stand *t = stand_open(s, FAR_ANSWERS);
    stand_ready(t);
    answer(t, 0, &straight);
    sort_lines(&straight);
    for (unsigned seed = 1; seed <= 5; seed++) {
        text mixed = {0};
        answer(t, s->seed * 16 + seed, &mixed);
        sort_lines(&mixed);
        compare(&straight, &mixed, "with shuffled rows");
        text_free(&mixed);
    }
    verdict_pass();
}
