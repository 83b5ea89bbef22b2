/* Plans as the API shows them, and the refusal of a document with every place that is wrong. */
#ifndef PENSTOCK_SERVE_PLAN_FORM_H
#define PENSTOCK_SERVE_PLAN_FORM_H
#include "control/publication.h"
#include "control/workspace.h"
#include "serve/http.h"

#define PLAN_SCHEMA                                                                                          \
    "{\"type\":\"object\",\"required\":[\"id\",\"changes\",\"expires\",\"applied\"],\"properties\":{\"id\":" \
    "{\"type\":\"string\"},\"expires\":{\"type\":\"string\",\"format\":\"date-time\"},\"applied\":{\"type\"" \
    ":\"boolean\"},\"changes\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"op\","     \
    "\"object\"],\"properties\":{\"op\":{\"enum\":[\"+\",\"~\",\"-\",\"!\"]},\"object\":{\"type\":"          \
    "\"string\"},\"detail\":{\"type\":\"string\"},\"destructive\":{\"type\":\"boolean\"}}}}}}"

/* {id, changes: [{op, object, detail, destructive}], expires, applied}; new references. */
json_t *plan_form(const stored_plan *p);
json_t *plan_form_publication(const publication *p);
/* Answers: 422 with every problem of the report (pointers behind `prefix`), or what `st` says. */
void plan_form_refuse(http_request *r, const char *prefix, const template_report *report, const status *st);
#endif
