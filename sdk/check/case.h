/* A conformance case: straight-line code in a forked process that ends with a verdict. cases.c lists them in
 * order. */
#ifndef PENSTOCK_CHECK_CASE_H
#define PENSTOCK_CHECK_CASE_H
#include "check/subject.h"

enum {
    ON_FILE = 0, /* runs for any file, also one that cannot be loaded */
    ON_CONNECTOR = 1 << PLUGIN_CONNECTOR,
    ON_NOTIFIER = 1 << PLUGIN_NOTIFIER,
    ON_METRIC = 1 << PLUGIN_METRIC,
    ON_MODEL = 1 << PLUGIN_MODEL,
    ON_PURE = ON_METRIC | ON_MODEL,
    ON_ALL = ON_CONNECTOR | ON_NOTIFIER | ON_PURE,
};

typedef struct check_case {
    const char *name; /* what --case and quirks.json use */
    const char *says; /* what holds when it passes */
    const char *hint; /* what to try when it fails */
    int kinds, seconds;
    void (*run)(const subject *s);
} check_case;

extern const check_case check_cases[]; /* ends with an empty one */

void case_exports(const subject *s); /* case_file.c */
void case_links(const subject *s);
void case_starts_nothing(const subject *s);
void case_probe(const subject *s);
void case_schema(const subject *s); /* case_config.c */
void case_examples(const subject *s);
void case_wrong_config(const subject *s);
void case_create_destroy(const subject *s); /* case_life.c */
void case_half_built(const subject *s);
void case_old_host(const subject *s);
void case_new_host(const subject *s);
void case_unknown_names(const subject *s);
void case_cancel(const subject *s); /* case_call.c */
void case_deadline(const subject *s);
void case_secrets(const subject *s);
void case_batches(const subject *s); /* case_source.c */
void case_replay(const subject *s);
void case_acked(const subject *s);
void case_skip(const subject *s);
void case_again(const subject *s); /* case_sink.c */
void case_not_taken(const subject *s);
void case_same_output(const subject *s); /* case_pure.c */
void case_any_order(const subject *s);
void case_cell(const subject *s);     /* case_cell.c */
void case_expected(const subject *s); /* case_expected.c */
#endif
