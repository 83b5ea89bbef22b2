/* penstock-check PLUGIN.so: does it keep the contract? Each case runs in a process of its own; see
 * penstock-check(1). */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/name.h"
#include "check/man.h"
#include "check/report.h"
#include "check/runner.h"

enum { EXIT_USAGE = 2, SEED_DEFAULT = 1 };

typedef struct options {
    const char *file, *folder, *config, *quirks, *only;
    bool json, list;
    unsigned seed;
} options;

static int usage(FILE *to)
{
    fputs("Examples\n"
          "  penstock-check build/my-thing.so\n"
          "  penstock-check my-thing.so --case cancel\n"
          "  penstock-check my-thing.so --config config.json --report json\n\n"
          "Usage\n"
          "  penstock-check PLUGIN.so [flags]\n\n"
          "Flags\n"
          "  --config FILE        configuration to run with; default: what check.json says\n"
          "  --project DIR        folder with check.json and quirks.json; default: that of the file, or the "
          "one above\n"
          "  --quirks FILE        cases that may fail, with reasons: {\"cancel\": \"the driver cannot be "
          "interrupted\"}\n"
          "  --case NAME          only this case\n"
          "  --seed N             of what is random\n"
          "  --report text|json   default text\n"
          "  --list               the cases, and what each says\n\n"
          "Exit codes: 0 all hold, 1 some do not, 2 usage. penstock-check(1) says more.\n",
          to);
    return to == stdout ? 0 : EXIT_USAGE;
}

static int complain(const char *what)
{
    fprintf(stderr, "penstock-check: %s\n  try: penstock-check --help\n", what);
    return EXIT_USAGE;
}

static int options_read(int argc, char **argv, options *o)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'}, {"project", required_argument, NULL, 'p'},
        {"quirks", required_argument, NULL, 'q'}, {"case", required_argument, NULL, 'o'},
        {"seed", required_argument, NULL, 's'},   {"report", required_argument, NULL, 'r'},
        {"list", no_argument, NULL, 'l'},         {"help", no_argument, NULL, 'h'},
        {"man", no_argument, NULL, 'm'},          {0}};
    *o = (options){.seed = SEED_DEFAULT};
    for (int c; (c = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        switch (c) {
        case 'c':
            o->config = optarg;
            break;
        case 'p':
            o->folder = optarg;
            break;
        case 'q':
            o->quirks = optarg;
            break;
        case 'o':
            o->only = optarg;
            break;
        case 's':
            o->seed = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            o->json = !strcmp(optarg, "json");
            if (!o->json && strcmp(optarg, "text") != 0)
                return complain("--report is text or json");
            break;
        case 'l':
            o->list = true;
            break;
        case 'h':
            exit(usage(stdout));
        case 'm':
            man_print(stdout);
            exit(0);
        default:
            return usage(stderr);
        }
    }
    if (o->list)
        return 0;
    if (optind + 1 != argc)
        return complain("the file of one plugin is expected");
    o->file = argv[optind];
    return 0;
}

static int only_check(const char *only)
{
    const char *all[64];
    size_t n = 0;
    for (const check_case *c = check_cases; c->name; c++) {
        if (!only || !strcmp(c->name, only))
            return 0;
        all[n++] = c->name;
    }
    const char *near = name_suggest(only, all, n);
    fprintf(stderr, "penstock-check: there is no case %s\n  try: %s%s\n", only,
            near ? "--case " : "penstock-check --list", near ? near : "");
    return EXIT_USAGE;
}

static int list(void)
{
    for (const check_case *c = check_cases; c->name; c++)
        printf("%-16s %s\n", c->name, c->says);
    return 0;
}

static int run(const options *o, const subject *s)
{
    report r;
    verdict *shared = verdict_create();
    report_begin(&r, s, o->json);
    for (const check_case *c = check_cases; c->name; c++) {
        result one;
        if ((o->only && strcmp(c->name, o->only) != 0) || !runner_concerns(s, c))
            continue;
        runner_run(s, c, shared, &one);
        report_add(&r, &one);
    }
    return report_end(&r) ? 0 : 1;
}

int main(int argc, char **argv)
{
    options o;
    subject s;
    status st;
    int wrong = options_read(argc, argv, &o);
    if (wrong || o.list)
        return wrong ? wrong : list();
    if ((wrong = only_check(o.only)) != 0)
        return wrong;
    log_setup(2, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
    if (subject_open(o.file, o.folder, o.config, o.quirks, &s, &st) != STATUS_OK) {
        fprintf(stderr, "penstock-check: %s%s%s\n", st.where, st.where[0] ? ": " : "", st.text);
        if (st.hint[0])
            fprintf(stderr, "  try: %s\n", st.hint);
        subject_close(&s);
        return EXIT_USAGE;
    }
    s.seed = o.seed;
    int code = run(&o, &s);
    subject_close(&s);
    return code;
}
