/* The grammar of the command line: `penstock NOUN VERB [ARGUMENT…] [flags]`, and a few verbs without a noun.
 *
 * Every noun is one file with a table of `command`s that ends with an empty one; commands.c lists the tables.
 * Help, man page and completion are made from them. A parsed command line is an `invocation`: what the
 * functions get. */
#ifndef PENSTOCK_CLI_COMMAND_H
#define PENSTOCK_CLI_COMMAND_H
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

#define COMMAND_ARGS_MAX 256  /* files of `schema test` */
#define COMMAND_VALUES_MAX 64 /* flags given at one time */

typedef struct invocation invocation;

typedef struct flag {
    const char *name;  /* without the dashes; NULL ends a table */
    char letter;       /* 0 = none */
    const char *value; /* what it takes, for the help; NULL = a switch */
    const char *doc;
} flag;

typedef struct command {
    const char *noun; /* NULL: a verb of the daily path, e.g. `penstock status` */
    const char *verb;
    const char *arguments; /* for the help: "NAME [FILE|-]"; a flag "file" with the value "FILE|-" would be
                              another way to give this last one */
    unsigned min_args, max_args;
    const flag *flags; /* NULL = only the global ones */
    const char *doc;
    const char *examples; /* one a line, without "penstock" */
    int (*run)(invocation *inv);
    const void *data; /* for functions that serve several commands */
} command;

typedef struct flag_value {
    const flag *flag;
    const char *value; /* "" of a switch */
} flag_value;

struct context;
struct client;

struct invocation {
    const command *command; /* NULL: help */
    const char *args[COMMAND_ARGS_MAX];
    unsigned n_args;
    flag_value values[COMMAND_VALUES_MAX];
    unsigned n_values;
    struct context *context; /* loaded on first use */
    struct client *client;
};

extern const flag global_flags[];
/* Every command, in the order of the help; *n_out of them. The array is static. */
const command *const *commands_all(size_t *n_out);

/* STATUS_INVALID = wrong usage, with a hint. Words are borrowed from argv. */
status_class command_parse(int argc, char **argv, invocation *inv, status *st);

bool flag_given(const invocation *inv, const char *name);
/* The last value of a flag, or `otherwise`. */
const char *flag_text(const invocation *inv, const char *name, const char *otherwise);
/* The i-th value of a flag that may be given more than once; NULL after the last. */
const char *flag_nth(const invocation *inv, const char *name, unsigned i);
status_class flag_number(const invocation *inv, const char *name, long least, long most, long *number_io,
                         status *st);
/* The i-th argument, or NULL. */
const char *argument(const invocation *inv, unsigned i);
#endif
