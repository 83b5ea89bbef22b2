/* Internal to template_check: the state of one check and how rules report. */
#ifndef PENSTOCK_CONTROL_TEMPLATE_CHECKER_H
#define PENSTOCK_CONTROL_TEMPLATE_CHECKER_H
#include "base/arena.h"
#include "control/template.h"

typedef struct template_checker {
    const yaml_tree *tree;
    const template_options *options;
    template_report *report;
    arena *arena;
    const json_t *written; /* the document before that */
    json_t *body;          /* parameters put in */
    json_t *base;          /* of options, parameters put in; may be NULL */
} template_checker;

/* Reports a problem at section/key/field; `field` may hold slashes or be NULL. */
__attribute__((format(printf, 5, 6))) void checker_problem(template_checker *c, object_class class,
                                                           const char *key, const char *field,
                                                           const char *format, ...);
/* Adds to the problem reported last. */
__attribute__((format(printf, 2, 3))) void checker_hint(template_checker *c, const char *format, ...);

/* Reports if it is missing, with the nearest name. Returns it. */
json_t *checker_need(template_checker *c, object_class wanted, const char *wanted_key, object_class class,
                     const char *key, const char *field);
/* The same for "class:key". */
json_t *checker_need_reference(template_checker *c, const char *reference, object_class class,
                               const char *key, const char *field);

/* Rules of one object each (template_store_rules.c, template_use_rules.c). */
void check_datastore(template_checker *c, const char *key, json_t *body);
void check_featurestore(template_checker *c, const char *key, json_t *body);
void check_inferencestore(template_checker *c, const char *key, json_t *body);
void check_model(template_checker *c, const char *key, json_t *body);
void check_metric(template_checker *c, const char *key, json_t *body);
void check_connector(template_checker *c, const char *key, json_t *body);
void check_notifier(template_checker *c, const char *key, json_t *body);
void check_alert(template_checker *c, const char *key, json_t *body);
void check_dashboard(template_checker *c, const char *key, json_t *body);
void check_report(template_checker *c, const char *key, json_t *body);
void check_test(template_checker *c, const char *key, json_t *body);
void check_sink(template_checker *c, const char *key, json_t *body);
/* every or cron, at most one; cron that can fire. `at` is the mapping's place inside the object, NULL =
 * itself. */
void check_schedule(template_checker *c, object_class class, const char *key, const json_t *rule,
                    const char *at);
void check_timezone(template_checker *c, object_class class, const char *key, const json_t *from,
                    const char *at);
/* One SELECT with the references it may use; fills *ret_columns with names ("*" unknown = NULL entries). */
struct sql_statement;
const struct sql_statement *check_sql(template_checker *c, object_class class, const char *key,
                                      const char *field, const char *sql, const char *const *params,
                                      unsigned n_params);
#endif
