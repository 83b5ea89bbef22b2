/* What is being checked: the file, what it says of itself, and what its author says about it. Immutable once
 * made. */
#ifndef PENSTOCK_CHECK_SUBJECT_H
#define PENSTOCK_CHECK_SUBJECT_H
#include "check/project.h"
#include "plugin/catalog.h"

typedef struct subject {
    char file[4096]; /* absolute */
    unsigned seed;
    project project;
    /* NULL if the file cannot be described; then only the cases about the file run */
    const plugin_entry *entry;
    unsigned source_flags;
    char why[640]; /* with entry NULL */
} subject;

status_class subject_open(const char *file, const char *folder, const char *config, const char *quirks,
                          subject *out, status *st);
void subject_close(subject *s);
bool subject_offers(const subject *s, const char *interface_id);
#endif
