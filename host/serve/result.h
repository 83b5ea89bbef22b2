/* Columns and rows as answers: one form for stores and metrics. Also keeps exports (all pages as one stream)
 * from taking every lane: each holds one for as long as its client reads. */
#ifndef PENSTOCK_SERVE_RESULT_H
#define PENSTOCK_SERVE_RESULT_H
#include <stdbool.h>

#include "base/text.h"
#include "flow/metric.h"

#define RESULT_TYPES "application/json,text/csv,application/x-ndjson"
#define RESULT_SCHEMA                                                                                      \
    "{\"type\":\"object\",\"required\":[\"columns\",\"rows\"],\"properties\":{\"columns\":{\"type\":"      \
    "\"array\",\"items\":{\"type\":\"object\",\"required\":[\"name\",\"type\"],\"properties\":{\"name\":"  \
    "{\"type\":\"string\"},\"type\":{\"enum\":[\"boolean\",\"integer\",\"number\",\"timestamp\",\"date\"," \
    "\"uuid\",\"text\",\"json\"]}}}},\"rows\":{\"type\":\"array\",\"items\":{\"type\":\"array\"}},"        \
    "\"next\":{\"type\":[\"string\",\"null\"]},\"truncated\":{\"type\":\"boolean\"},\"notes\":{\"type\":"  \
    "\"array\",\"items\":{\"type\":\"string\"}},\"metric\":{\"type\":\"string\"},\"unit\":{\"type\":"      \
    "\"string\"}}}"

typedef enum result_form { RESULT_JSON, RESULT_CSV, RESULT_NDJSON } result_form;
result_form result_form_of(const char *media_type);

/* "columns":[{"name","type"}],"rows":[[…]] — members for an object that the caller opens and closes. */
void result_members(text *out, const metric_result *m, bool int64_as_text);
/* CSV (the header line only if asked for) or NDJSON. */
void result_lines(text *out, const metric_result *m, result_form form, bool header);

#define RESULT_EXPORTS_MAX 4
bool result_export_begin(void); /* false: so many run already */
void result_export_end(void);
#endif
