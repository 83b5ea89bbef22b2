/* `penstock help`, `penstock version`: examples first, then what there is. */
#include "help.h"

#include <string.h>

#include "base/name.h"
#include "complaint.h"
#include "exit_code.h"
#include "man_page.h"
#include "tables.h"

void help_overview(FILE *to)
{
    size_t n;
    const command *const *all = commands_all(&n);
    fputs("Examples\n"
          "  penstock up --demo                       start here, with a demo workspace\n"
          "  penstock status                          how fresh each store is, what fires\n"
          "  penstock query pressure --watch 5s       a metric, again every 5 s\n"
          "  penstock ingest sensor_data rows.csv     rows into a datastore\n"
          "  penstock template plan -f template.yaml  what applying it would change\n\n"
          "Commands\n",
          to);
    const char *noun = "";
    for (size_t i = 0; i < n; i++) {
        if (!all[i]->noun) {
            fprintf(to, "  %-12s %s\n", all[i]->verb, all[i]->doc);
            continue;
        }
        if (strcmp(noun, all[i]->noun) != 0)
            fprintf(to, "%s  %-12s ", *noun && all[i - 1]->noun ? "\n" : "", all[i]->noun);
        fprintf(to, "%s%s", strcmp(noun, all[i]->noun) != 0 ? "" : " | ", all[i]->verb);
        noun = all[i]->noun;
        if (i + 1 < n && !all[i + 1]->noun)
            fputc('\n', to);
    }
    fputs("\n`penstock help NOUN` says more. Exit codes: 0 done, 1 failed, 2 usage, 3 plan has changes, 4 "
          "not found,\n"
          "5 not allowed, 6 conflict, 7 invalid input, 8 unreachable, 9 partly done, 130 interrupted.\n",
          to);
}

static void examples_print(FILE *to, const char *examples)
{
    while (examples && *examples) {
        size_t len = strcspn(examples, "\n");
        fprintf(to, "  penstock %.*s\n", (int)len, examples);
        examples += len + (examples[len] == '\n');
    }
}

/* A flag that is longer than the column has its sentence on the next line. */
static void flags_print(FILE *to, const flag *f)
{
    enum { COLUMN = 24 };
    for (; f && f->name; f++) {
        char left[80];
        int len =
            snprintf(left, sizeof left, "--%s%s%s", f->name, f->value ? " " : "", f->value ? f->value : "");
        if (f->letter)
            fprintf(to, "  -%c, %-*s", f->letter, COLUMN, left);
        else
            fprintf(to, "      %-*s", COLUMN, left);
        if (len > COLUMN)
            fprintf(to, "\n      %*s", COLUMN, "");
        fprintf(to, "  %s\n", f->doc);
    }
}

static void synopsis_print(FILE *to, const command *c)
{
    fprintf(to, "penstock %s%s%s%s%s", c->noun ? c->noun : "", c->noun ? " " : "", c->verb,
            *c->arguments ? " " : "", c->arguments);
}

void help_noun(FILE *to, const char *noun)
{
    size_t n;
    const command *const *all = commands_all(&n);
    fputs("Examples\n", to);
    for (size_t i = 0; i < n; i++) {
        if (all[i]->noun && strcmp(all[i]->noun, noun) == 0)
            examples_print(to, all[i]->examples);
    }
    fputs("\nCommands\n", to);
    for (size_t i = 0; i < n; i++) {
        if (!all[i]->noun || strcmp(all[i]->noun, noun) != 0)
            continue;
        fputs("  ", to);
        synopsis_print(to, all[i]);
        fprintf(to, "\n      %s\n", all[i]->doc);
    }
}

void help_command(FILE *to, const command *c)
{
    fputs("Examples\n", to);
    examples_print(to, c->examples);
    fputs("\nUsage\n  ", to);
    synopsis_print(to, c);
    fprintf(to, " [flags]\n\n  %s\n", c->doc);
    if (c->flags) {
        fputs("\nFlags\n", to);
        flags_print(to, c->flags);
    }
    fputs("\nFlags of every command\n", to);
    flags_print(to, global_flags);
}

static int help_unknown(const char *word)
{
    const char *names[256];
    size_t n, n_names = 0;
    status st;
    const command *const *all = commands_all(&n);
    for (size_t i = 0; i < n && n_names < 256; i++)
        names[n_names++] = all[i]->noun ? all[i]->noun : all[i]->verb;
    const char *near = name_suggest(word, names, n_names);
    status_set(&st, STATUS_INVALID, "there is no help about `%s`", word);
    if (near)
        status_hint(&st, "did you mean `penstock help %s`?", near);
    return complain_usage(&st);
}

static int run_help(invocation *inv)
{
    const char *first = argument(inv, 0), *second = argument(inv, 1);
    if (flag_given(inv, "man")) {
        man_page_print(stdout, first);
        return EXIT_DONE;
    }
    if (!first) {
        help_overview(stdout);
        return EXIT_DONE;
    }
    size_t n;
    const command *const *all = commands_all(&n);
    for (size_t i = 0; i < n; i++) {
        bool mine = strcmp(all[i]->noun ? all[i]->noun : all[i]->verb, first) == 0;
        if (!mine || (second && strcmp(all[i]->verb, second) != 0))
            continue;
        if (all[i]->noun && !second)
            help_noun(stdout, first);
        else
            help_command(stdout, all[i]);
        return EXIT_DONE;
    }
    return help_unknown(second ? second : first);
}

static int run_version(invocation *inv)
{
    (void)inv;
    printf("penstock %s\n", PENSTOCK_VERSION);
    return EXIT_DONE;
}

static const flag help_flags[] = {{"man", 0, NULL, "as a man page"}, {0}};

const command help_commands[] = {
    {NULL, "help", "[NOUN [VERB]]", 0, 2, help_flags, "what there is and how to use it", "help workspace",
     run_help, NULL},
    {NULL, "version", "", 0, 0, NULL, "the version of this program", "version", run_version, NULL},
    {0},
};
