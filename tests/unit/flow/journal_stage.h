/* A journal in a folder of its own, records for it and what must come back. */
#ifndef PENSTOCK_TESTS_FLOW_JOURNAL_STAGE_H
#define PENSTOCK_TESTS_FLOW_JOURNAL_STAGE_H
#include "support/check.h"

#include "base/batch_builder.h"
#include "base/limit.h"
#include "flow/drain.h"
#include "flow/journal.h"

typedef struct fixture {
    char *root, *folder;
    journal *j;
    journal_settings settings;
} fixture;

/* Of each test: a journal that is open, and one that is closed and removed. */
int set_up(void **state);
int tear_down(void **state);
/* Closes it when it is open. */
void open_again(fixture *f);

/* n rows (time, device, pressure), numbered from `first`. */
batch_builder *rows_of(uint32_t n, int64_t first);
journal_entry entry_of(const batch *rows);
status_class submit_rows(journal *j, uint32_t n, int64_t first, status *st);
void must_submit(journal *j, uint32_t n, int64_t first);

/* The stream that those go to. */
uint32_t the_stream(journal *j);
size_t read_all(journal *j, uint64_t after, arena *a, const journal_record **out);
void check_rows(const journal_record *r, uint32_t n, int64_t first);
/* Trims are done behind the caller's back; waits for `seq` records in all. */
void wait_trimmed(journal *j, uint64_t seq);
#endif
