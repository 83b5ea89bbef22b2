/* The author's own test: what comes out for check.json's input is compared with a file, line by line. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/disk.h"
#include "check/case.h"
#include "check/drive.h"
#include "check/verdict.h"

#define NEAR 1e-9 /* relative */

enum { CALL_MS = 20000, ROWS_DEFAULT = 10, FILE_MAX = 16 << 20 };

/* What a far side was told, if there is one. */
static void told(const stand *t, text *out)
{
    status st;
    if (t->far.told[0] && disk_read(t->far.told, FILE_MAX, out, &st) != STATUS_OK)
        verdict_fail(t->far.told, "%s", st.text);
}

static pst_status write_out(stand *t, text *out)
{
    static inputs in;
    size_t refused;
    drive_inputs(t, 1, 0, &in);
    stand_call(t, CALL_MS);
    pst_status status = drive_write(t, &in, 0, &refused);
    if (status == PST_OK)
        told(t, out);
    return status;
}

static void produce(stand *t, text *out)
{
    const project *p = &t->subject->project;
    inputs in;
    pst_status status = PST_OK;
    json_int_t rows = json_integer_value(json_object_get(p->check, "rows"));
    switch (t->subject->entry->kind) {
    case PLUGIN_CONNECTOR:
        if (stand_interface(t, PST_IF_SINK) && !stand_interface(t, PST_IF_SOURCE))
            status = write_out(t, out);
        else
            drive_rows(t, rows > 0 ? (size_t)rows : ROWS_DEFAULT, out);
        break;
    case PLUGIN_NOTIFIER:
        stand_call(t, CALL_MS);
        status = drive_send(t);
        if (status == PST_OK)
            told(t, out);
        break;
    case PLUGIN_METRIC:
    case PLUGIN_MODEL:
        drive_inputs(t, 1, 0, &in);
        stand_call(t, CALL_MS);
        status = drive_answer(t, &in, out);
        break;
    }
    if (status != PST_OK)
        verdict_fail(t->error->where, "%s", stand_said(t, status));
}

/* One line of a text, and the text behind it. */
static const char *line_next(const char *s, char *out, size_t size)
{
    size_t len = strcspn(s, "\n");
    snprintf(out, size, "%.*s", (int)(len < size ? len : size - 1), s);
    return s + len + (s[len] != '\0');
}

/* Equal, but that numbers may differ in their last digits: mathematical functions do so between machines. */
static bool alike(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    if (json_is_number(a) && json_is_number(b)) {
        double x = json_number_value(a), y = json_number_value(b);
        return fabs(x - y) <= NEAR * fmax(fabs(x), fabs(y));
    }
    if (!json_is_object(a) || json_object_size(a) != json_object_size(b))
        return json_equal(a, b);
    json_object_foreach((json_t *)a, key, value)
    {
        if (!json_object_get(b, key) || !alike(value, json_object_get(b, key)))
            return false;
    }
    return true;
}

static bool lines_agree(const char *want, const char *have)
{
    if (!strcmp(want, have))
        return true;
    json_t *a = json_loads(want, 0, NULL), *b = json_loads(have, 0, NULL);
    bool same = json_is_object(a) && json_is_object(b) && alike(a, b);
    json_decref(a);
    json_decref(b);
    return same;
}

static void compare(const char *path, const char *expected, const char *got)
{
    static char want[65536], have[65536];
    for (unsigned line = 1; *expected || *got; line++) {
        char where[128];
        bool ended = !*expected, missing = !*got;
        expected = line_next(expected, want, sizeof want);
        got = line_next(got, have, sizeof have);
        if (!ended && !missing && lines_agree(want, have))
            continue;
        snprintf(where, sizeof where, "%.100s:%u", path, line);
        verdict_fail(where, "\n    - %.240s\n    + %.240s", ended ? "(nothing more)" : want,
                     missing ? "(nothing more)" : have);
    }
}

/* penstock plugin test --write: what comes out now is what is expected. */
__attribute__((noreturn)) static void write_down(const char *path, const text *got)
{
    char folder[4400];
    status st;
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    if (disk_make_folder(folder, 0755, &st) != STATUS_OK ||
        disk_write(path, text_or_empty(got), got->len, 0644, &st) != STATUS_OK)
        verdict_fail(path, "%s", st.text);
    verdict_measured("written");
    verdict_pass();
}

void case_expected(const subject *s)
{
    const char *name = project_text(&s->project, "expected");
    char path[4400];
    text expected = {0}, got = {0};
    status st;
    if (!name)
        verdict_skip("check.json names no file with what is expected");
    project_path(&s->project, name, path, sizeof path);
    stand *t = stand_open(s, FAR_ANSWERS);
    stand_ready(t);
    produce(t, &got);
    if (getenv("PENSTOCK_CHECK_WRITE"))
        write_down(path, &got);
    if (disk_read(path, FILE_MAX, &expected, &st) != STATUS_OK)
        verdict_fail(path, "%s", st.text);
    compare(name, text_or_empty(&expected), text_or_empty(&got));
    size_t lines = 0;
    for (const char *c = text_or_empty(&got); *c; c++)
        lines += *c == '\n';
    verdict_measured("%zu lines", lines);
    verdict_pass();
}
