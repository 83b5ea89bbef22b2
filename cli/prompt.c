/* Asks on standard error, reads from standard input. */
#include "prompt.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/disk.h"

static bool may_ask(const invocation *inv)
{
    return isatty(STDIN_FILENO) && !flag_given(inv, "no-input");
}

static bool line_read(char *out, size_t size)
{
    if (!fgets(out, (int)size, stdin))
        return false;
    out[strcspn(out, "\r\n")] = '\0';
    return true;
}

status_class prompt_confirm(const invocation *inv, const char *question, status *st)
{
    char answer[16] = "";
    if (flag_given(inv, "yes"))
        return STATUS_OK;
    if (!may_ask(inv)) {
        status_set(st, STATUS_INVALID, "%s needs an answer and nobody can be asked", question);
        return status_hint(st, "--yes says yes");
    }
    fprintf(stderr, "%s [y/N] ", question);
    if (line_read(answer, sizeof answer) && (answer[0] == 'y' || answer[0] == 'Y'))
        return STATUS_OK;
    return status_set(st, STATUS_CANCELLED, "nothing was done");
}

status_class prompt_name(const invocation *inv, const char *name, status *st)
{
    char typed[256] = "";
    const char *given = flag_text(inv, "confirm", NULL);
    if (!given && may_ask(inv)) {
        fprintf(stderr, "this deletes the data of `%s`; type its name to go on: ", name);
        given = line_read(typed, sizeof typed) ? typed : NULL;
    }
    if (given && strcmp(given, name) == 0)
        return STATUS_OK;
    status_set(st, STATUS_INVALID, "deleting the data of `%s` has to be confirmed", name);
    return status_hint(st, "--confirm %s", name);
}

static void typed_secret(const char *label, text *out)
{
    struct termios before, hidden;
    char line[4096] = "";
    fprintf(stderr, "%s: ", label);
    tcgetattr(STDIN_FILENO, &before);
    hidden = before;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    if (line_read(line, sizeof line))
        text_add(out, line);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    explicit_bzero(line, sizeof line);
}

static void piped_secret(text *out)
{
    char piece[4096];
    for (size_t n; out->len <= PROMPT_SECRET_MAX && (n = fread(piece, 1, sizeof piece, stdin)) > 0;)
        text_add_n(out, piece, n);
    explicit_bzero(piece, sizeof piece);
}

status_class prompt_secret(const invocation *inv, const char *label, text *out, status *st)
{
    const char *file = flag_text(inv, "file", NULL);
    if (file && strcmp(file, "-") != 0) {
        if (disk_read(file, PROMPT_SECRET_MAX, out, st) != STATUS_OK)
            return st->class;
    } else if (!file && may_ask(inv)) {
        typed_secret(label, out);
    } else if (file || !isatty(STDIN_FILENO)) {
        piped_secret(out);
    }
    while (out->len > 0 && strchr("\r\n", out->data[out->len - 1]))
        out->data[--out->len] = '\0';
    if (out->len == 0) {
        status_set(st, STATUS_INVALID, "%s is empty", label);
        return status_hint(st, "type it, pipe it in, or name a file with --file");
    }
    if (out->len > PROMPT_SECRET_MAX)
        return status_set(st, STATUS_INVALID, "%s is longer than %d bytes", label, PROMPT_SECRET_MAX);
    return STATUS_OK;
}
