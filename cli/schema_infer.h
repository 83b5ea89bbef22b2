/* `penstock schema infer FILE`: the first rows of a CSV, JSON or NDJSON file → a datastore's YAML. */
#ifndef PENSTOCK_CLI_SCHEMA_INFER_H
#define PENSTOCK_CLI_SCHEMA_INFER_H
#include "command.h"

extern const flag schema_infer_flags[];
int schema_infer_run(invocation *inv);
#endif
