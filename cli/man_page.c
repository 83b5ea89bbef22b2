/* Writes man(7) source. */
#include "man_page.h"

#include <string.h>

#include "command.h"

/* Backslashes and leading dots mean something to troff. */
static void words(FILE *to, const char *s)
{
    for (bool start = true; *s; start = *s++ == '\n') {
        if (*s == '\\')
            fputs("\\e", to);
        else if (*s == '-')
            fputs("\\-", to);
        else
            fprintf(to, "%s%c", start && (*s == '.' || *s == '\'') ? "\\&" : "", *s);
    }
}

static void flags_man(FILE *to, const flag *f)
{
    for (; f && f->name; f++) {
        fputs(".TP\n", to);
        if (f->letter)
            fprintf(to, "\\fB\\-%c\\fR, ", f->letter);
        fputs("\\fB\\-\\-", to);
        words(to, f->name);
        fprintf(to, "\\fR%s\\fI%s\\fR\n", f->value ? " " : "", f->value ? f->value : "");
        words(to, f->doc);
        fputc('\n', to);
    }
}

static void examples_man(FILE *to, const char *examples)
{
    fputs(".PP\n.nf\n", to);
    while (examples && *examples) {
        char line[256];
        size_t len = strcspn(examples, "\n");
        snprintf(line, sizeof line, "%.*s", (int)len, examples);
        fputs(".RS 4\npenstock ", to);
        words(to, line);
        fputs("\n.RE\n", to);
        examples += len + (examples[len] == '\n');
    }
    fputs(".fi\n", to);
}

static void command_man(FILE *to, const command *c)
{
    fputs(".SS ", to);
    fprintf(to, "\"penstock %s%s%s%s%s\"\n", c->noun ? c->noun : "", c->noun ? " " : "", c->verb,
            *c->arguments ? " " : "", c->arguments);
    words(to, c->doc);
    fputs(".\n", to);
    flags_man(to, c->flags);
    examples_man(to, c->examples);
}

static void exit_codes_man(FILE *to)
{
    static const char *const codes[][2] = {
        {"0", "done"},
        {"1", "failed"},
        {"2", "wrong usage"},
        {"3", "a plan has changes (template plan \\-\\-exit\\-code)"},
        {"4", "not found"},
        {"5", "not allowed"},
        {"6", "conflict: something changed, or a precondition does not hold"},
        {"7", "invalid input"},
        {"8", "unreachable, busy or too slow; trying again may help"},
        {"9", "done in part: some rows were rejected"},
        {"130", "interrupted"},
    };
    fputs(".SH EXIT STATUS\n", to);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        fprintf(to, ".TP\n.B %s\n%s\n", codes[i][0], codes[i][1]);
}

static void environment_man(FILE *to)
{
    fputs(
        ".SH ENVIRONMENT\n"
        ".TP\n.B PENSTOCK_CONFIG\nThe file with the contexts (mode 0600); ~/.config/penstock/config.yaml if "
        "unset.\n"
        ".TP\n.B PENSTOCK_URL, PENSTOCK_KEY, PENSTOCK_WORKSPACE\nWin over the context; flags win over both.\n"
        ".TP\n.B NO_COLOR, TERM\nNo colour if NO_COLOR is set or TERM is dumb.\n",
        to);
}

void man_page_print(FILE *to, const char *noun)
{
    size_t n;
    const command *const *all = commands_all(&n);
    fprintf(to, ".TH PENSTOCK%s%s 1 \"\" \"Penstock %s\" \"User Commands\"\n", noun ? "\\-" : "",
            noun ? noun : "", PENSTOCK_VERSION);
    fprintf(to, ".SH NAME\npenstock%s%s \\- command line of the Penstock data platform\n", noun ? "\\-" : "",
            noun ? noun : "");
    fputs(".SH SYNOPSIS\n.B penstock\n.I NOUN VERB\n[\\fIARGUMENT\\fR ...] [\\fIflags\\fR]\n.SH COMMANDS\n",
          to);
    for (size_t i = 0; i < n; i++) {
        const char *group = all[i]->noun ? all[i]->noun : all[i]->verb;
        if (!noun || strcmp(group, noun) == 0)
            command_man(to, all[i]);
    }
    fputs(".SH GLOBAL FLAGS\n", to);
    flags_man(to, global_flags);
    exit_codes_man(to);
    environment_man(to);
}
