/* What the author says about the plugin: check.json (what to feed it) and quirks.json (which cases it may
 * fail, and why), beside the object file, in the folder above it, or where --project points.
 *
 * check.json, all of it optional:
 * - config: what to run with; {host}, {port}, {address} in its texts stand for the far side
 * - far_side: "lines", "http", "clickhouse", "smtp", "mqtt", "modbus", "nats", "postgres" or "s3": a server
 * on loopback that answers as such; "program": one that the author brings
 * - program: its name, found by PATH, or its path; called with the word answers, silent or refuses, it prints
 *   "port N" and serves until its input ends
 * - answer: a file with what an "http" far side answers, or the object that an "s3" one has
 * - clock: where the wall clock stands at the start
 * - input: rows (NDJSON; of a sink with their _seq); or inputs: {name: file}; train: rows for a model
 * - definition, parameters: of a metric engine
 * - message: of a notifier: severity, delivery_id, title, text, json
 * - expected: a file with what must come out; rows: how many of a source
 * - order: "any": the order of input rows does not matter */
#ifndef PENSTOCK_CHECK_PROJECT_H
#define PENSTOCK_CHECK_PROJECT_H
#include <jansson.h>

#include "base/status.h"

typedef struct project {
    char folder[4096]; /* file names are relative to it */
    json_t *check;     /* never NULL */
    json_t *quirks;    /* {case: reason}; never NULL */
} project;

/* `folder`, `config` (a file) and `quirks` (a file) may be NULL. */
status_class project_read(const char *object, const char *folder, const char *config, const char *quirks,
                          project *out, status *st);
void project_free(project *p);
/* The path of a file that check.json names. */
void project_path(const project *p, const char *name, char *out, size_t size);
const char *project_text(const project *p, const char *key); /* NULL = not given */
#endif
