/* Writes man(7) source. */
#include "check/man.h"

#include "check/case.h"

static void words(FILE *to, const char *s)
{
    for (; *s; s++) {
        if (*s == '-')
            fputc('\\', to);
        fputc(*s, to);
    }
}

static void cases(FILE *to)
{
    for (const check_case *c = check_cases; c->name; c++) {
        fputs(".TP\n.B ", to);
        words(to, c->name);
        fputc('\n', to);
        words(to, c->says);
        fputs(". If not: ", to);
        words(to, c->hint);
        fputs(".\n", to);
    }
}

void man_print(FILE *to)
{
    fputs(".TH PENSTOCK\\-CHECK 1 \"\" \"Penstock\" \"Plugins\"\n"
          ".SH NAME\npenstock\\-check \\- does a Penstock plugin keep the contract?\n"
          ".SH SYNOPSIS\n.B penstock\\-check\n.I PLUGIN.so\n"
          "[\\fB\\-\\-config\\fR FILE] [\\fB\\-\\-project\\fR DIR] [\\fB\\-\\-quirks\\fR FILE] "
          "[\\fB\\-\\-case\\fR NAME]\n"
          "[\\fB\\-\\-report\\fR text|json] [\\fB\\-\\-seed\\fR N] [\\fB\\-\\-list\\fR]\n"
          ".SH DESCRIPTION\nRuns the conformance cases for plugins, each in a process of its own with a time "
          "limit. The plugin is\n"
          "loaded there as a cell would load it, with a host whose clock, log and secrets are known; the "
          "case\n.B cell\n"
          "uses a real cell in its sandbox. A failure says what does not hold, why, where, and what to try.\n"
          ".PP\nWhat a plugin must be told (a configuration, inputs, a far side) stands in\n.I check.json\n"
          "beside the object file or in the folder above it; see\n.BR penstock\\-plugin (7).\n"
          ".SH OPTIONS\n"
          ".TP\n\\fB\\-\\-config\\fR FILE\nthe configuration to run with, as JSON; default: what check.json "
          "says\n"
          ".TP\n\\fB\\-\\-project\\fR DIR\nthe folder with check.json and quirks.json\n"
          ".TP\n\\fB\\-\\-quirks\\fR FILE\ncases that may fail, each with its reason; one that does not fail "
          "any more is reported\n"
          ".TP\n\\fB\\-\\-case\\fR NAME\nonly this case\n"
          ".TP\n\\fB\\-\\-seed\\fR N\nof what is random: the order of shuffled rows\n"
          ".TP\n\\fB\\-\\-report\\fR text|json\njson: one document; its keys are only ever added to\n"
          ".TP\n\\fB\\-\\-list\\fR\nthe cases, and what each says\n"
          ".SH CASES\n",
          to);
    cases(to);
    fputs(".SH EXIT STATUS\n.TP\n.B 0\nall cases hold, or their failure is declared\n.TP\n.B 1\nsome do "
          "not\n.TP\n.B 2\n"
          "wrong usage, or a file that cannot be read\n"
          ".SH EXAMPLES\n.nf\npenstock\\-check build/my\\-thing.so\npenstock\\-check my\\-thing.so "
          "\\-\\-case cancel\n.fi\n"
          ".SH SEE ALSO\n.BR penstock (1),\n.BR penstock\\-plugin (7)\n",
          to);
}
