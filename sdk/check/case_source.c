/* Sources: what they hand over, and whether it comes again when it must and only then. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/case.h"
#include "check/drive.h"
#include "check/verdict.h"

enum { ROWS = 7, BATCHES = 4, KEPT = 1 << 20 };

static stand *source_ready(const subject *s)
{
    if (!subject_offers(s, PST_IF_SOURCE))
        verdict_skip("it has no " PST_IF_SOURCE);
    stand *t = stand_open(s, FAR_ANSWERS);
    stand_ready(t);
    return t;
}

void case_batches(const subject *s)
{
    static taken b;
    static const uint32_t most[] = {1, 2, ROWS, 1000};
    size_t rows = 0, rejects = 0;
    stand *t = source_ready(s);
    for (size_t round = 0; round < 2; round++) { /* it may be opened again */
        drive_open(t, NULL);
        for (size_t i = 0; i < sizeof most / sizeof *most && drive_take(t, most[i], &b); i++) {
            rows += b.n;
            rejects += b.rejects;
            if (b.n && !b.cursor_len && s->source_flags & PST_SOURCE_REPLAYS)
                verdict_fail("read", "rows without a cursor, but it says PST_SOURCE_REPLAYS");
            drive_ack(t, &b);
        }
        drive_close(t);
    }
    if (!rows && !rejects)
        verdict_fail("read", "nothing came: check.json's config and clock should make it give some rows");
    verdict_measured("%zu rows, %zu rejects", rows, rejects);
    verdict_pass();
}

/* What the process that was killed has left: the batches it read. */
typedef struct left {
    size_t n, rows[BATCHES], cursor_len[BATCHES], text_len[BATCHES];
    char cursor[BATCHES][DRIVE_CURSOR_MAX], text[BATCHES][KEPT];
    int64_t wall_us;
} left;

static void leave(left *l, const stand *t, const taken *b)
{
    size_t i = l->n;
    if (b->rows.len >= KEPT)
        verdict_fail("read", "%d rows take more than 1 MiB", ROWS);
    memcpy(l->cursor[i], b->cursor, b->cursor_len);
    l->cursor_len[i] = b->cursor_len;
    memcpy(l->text[i], text_or_empty(&b->rows), b->rows.len);
    l->text_len[i] = b->rows.len;
    l->rows[i] = b->n;
    l->wall_us = t->wall_us;
    l->n++;
}

/* In a process of its own: reads up to BATCHES batches with rows, acks all but the last, and is killed. */
static void read_and_die(const subject *s, left *l)
{
    static taken b;
    stand *t = source_ready(s);
    drive_open(t, NULL);
    while (l->n < BATCHES && drive_take(t, ROWS, &b)) {
        leave(l, t, &b);
        if (l->n < BATCHES)
            drive_ack(t, &b);
    }
    raise(SIGKILL);
}

/* NULL if the process ended by a verdict of its own, which stands then. */
static left *life_before(const subject *s)
{
    left *l = mmap(NULL, sizeof *l, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int state = 0;
    if (l == MAP_FAILED)
        verdict_fail(NULL, "no memory: %s", strerror(errno));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        read_and_die(s, l);
    if (pid < 0 || waitpid(pid, &state, 0) != pid)
        verdict_fail(NULL, "no process: %s", strerror(errno));
    if (!WIFSIGNALED(state))
        _exit(0); /* its own verdict */
    if (WTERMSIG(state) != SIGKILL)
        verdict_fail("read", "it died of signal %d (%s)", WTERMSIG(state), strsignal(WTERMSIG(state)));
    return l;
}

static void needs_replay(const subject *s)
{
    if (s->source_flags & PST_SOURCE_ACKS)
        verdict_skip("it says PST_SOURCE_ACKS: its far side keeps the position, which this one cannot");
    if (!(s->source_flags & PST_SOURCE_REPLAYS))
        verdict_skip("it does not say PST_SOURCE_REPLAYS: at most once");
}

/* The first line of the two texts that differs. */
static void differ(const char *was, const char *is, char *out, size_t size)
{
    size_t line = 0; /* where it begins */
    for (size_t i = 0; was[i] && was[i] == is[i]; i++)
        line = was[i] == '\n' ? i + 1 : line;
    was += line;
    is += line;
    snprintf(out, size, "was %.*s, now %.*s", (int)strcspn(was, "\n"), was, *is ? (int)strcspn(is, "\n") : 7,
             *is ? is : "nothing");
}

/* Opens at the cursor of batch `from` (SIZE_MAX: at none) in this process and reads as many rows as the
 * killed one had read behind it. */
static void read_again(const subject *s, const left *l, size_t from, text *out)
{
    static taken at, b;
    size_t wanted = 0, got = 0;
    stand *t = source_ready(s);
    t->wall_us = l->wall_us;
    bool begun = from != SIZE_MAX;
    if (begun) {
        at.cursor_len = l->cursor_len[from];
        memcpy(at.cursor, l->cursor[from], at.cursor_len);
    }
    for (size_t i = begun ? from + 1 : 0; i < l->n; i++)
        wanted += l->rows[i];
    drive_open(t, begun ? &at : NULL);
    while (got < wanted && drive_take(t, (uint32_t)(wanted - got), &b)) {
        text_add(out, text_or_empty(&b.rows));
        got += b.n;
    }
    drive_close(t);
}

void case_replay(const subject *s)
{
    needs_replay(s);
    left *l = life_before(s);
    if (l->n < 2)
        verdict_skip("it gave fewer than two batches");
    for (size_t from = 0; from + 1 < l->n; from++) {
        text again = {0}, before = {0};
        char why[400];
        for (size_t i = from + 1; i < l->n; i++)
            text_add_n(&before, l->text[i], l->text_len[i]);
        read_again(s, l, from, &again);
        differ(text_or_empty(&before), text_or_empty(&again), why, sizeof why);
        if (strcmp(text_or_empty(&before), text_or_empty(&again)) != 0)
            verdict_fail("open at a cursor", "other rows come after the cursor of batch %zu: %s", from + 1,
                         why);
        text_free(&again);
        text_free(&before);
    }
    verdict_measured("%zu cursors", l->n - 1);
    verdict_pass();
}

/* The last line of a text. */
static const char *last_line(const char *s, size_t len)
{
    const char *from = s + len - (len > 0);
    while (from > s && from[-1] != '\n')
        from--;
    return from;
}

void case_acked(const subject *s)
{
    static taken at, b;
    needs_replay(s);
    left *l = life_before(s);
    size_t acked = 0;
    while (acked < l->n && !l->rows[acked])
        acked++;
    if (acked + 1 >= l->n)
        verdict_skip("it gave fewer than two batches with rows");
    stand *t = source_ready(s);
    t->wall_us = l->wall_us;
    at.cursor_len = l->cursor_len[acked];
    memcpy(at.cursor, l->cursor[acked], at.cursor_len);
    drive_open(t, &at);
    if (!drive_take(t, ROWS, &b))
        verdict_fail("open at a cursor", "nothing comes after it, but more had come before");
    const char *last = last_line(l->text[acked], l->text_len[acked]);
    size_t len = strcspn(last, "\n");
    if (b.rows.len > len && !strncmp(b.rows.data, last, len) && b.rows.data[len] == '\n' &&
        strcmp(text_or_empty(&b.rows), l->text[acked + 1]) != 0)
        verdict_fail("open at a cursor", "the last row before the cursor comes again: %.*s", (int)len, last);
    if (!strncmp(text_or_empty(&b.rows), l->text[acked], l->text_len[acked]) &&
        strncmp(l->text[acked], l->text[acked + 1], l->text_len[acked]) != 0)
        verdict_fail("open at a cursor", "the whole batch before the cursor comes again");
    verdict_pass();
}

/* The next batch with rows. */
static bool take_row(stand *t, taken *out)
{
    while (drive_take(t, 1, out))
        if (out->n)
            return true;
    return false;
}

/* From a cursor on: two rows as they are; then the second again, behind a skip of the first. */
void case_skip(const subject *s)
{
    static taken base, first, second, skipped, after;
    needs_replay(s);
    stand *t = source_ready(s);
    drive_open(t, NULL);
    if (!drive_take(t, 1, &base) || !base.cursor_len || !take_row(t, &first) || !take_row(t, &second))
        verdict_skip("it gave fewer than two rows behind a cursor");
    drive_close(t);
    drive_open(t, &base);
    if (!drive_skip(t, 1, &skipped))
        verdict_skip("it has no skip: at a record that kills it, it stands still until a person acts");
    if (skipped.rejects != 1 || !skipped.cursor_len)
        verdict_fail("skip", "%zu rejects and a cursor of %zu bytes; one record was asked for",
                     skipped.rejects, skipped.cursor_len);
    drive_close(t);
    drive_open(t, &skipped);
    if (!take_row(t, &after) || strcmp(text_or_empty(&after.rows), text_or_empty(&second.rows)) != 0)
        verdict_fail("open behind what was skipped", "comes %.*s, not %.*s",
                     (int)strcspn(text_or_empty(&after.rows), "\n"), text_or_empty(&after.rows),
                     (int)strcspn(text_or_empty(&second.rows), "\n"), text_or_empty(&second.rows));
    verdict_pass();
}
