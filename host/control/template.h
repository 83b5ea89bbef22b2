/* Checks a template or a local layer: first the format's own JSON Schema, then the rules that a schema cannot
 * say (references exist, keys fit, SQL parses, plugins are known and take their configuration, …). Reports up
 * to TEMPLATE_PROBLEMS_MAX problems at once, each with its place, what is wrong and what would be right.
 *
 * Works without a server and without a database. Thread-safe; a report belongs to its caller. */
#ifndef PENSTOCK_CONTROL_TEMPLATE_H
#define PENSTOCK_CONTROL_TEMPLATE_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/text.h"
#include "config/yaml_tree.h"
#include "control/definition.h"

#define TEMPLATE_PROBLEMS_MAX 50

/* What there is to plug in, as functions, so that this module needs no catalog. */
typedef struct template_plugins {
    void *self;
    /* The configuration's JSON Schema of the plugin: a new reference, JSON null if it has none. NULL if there
     * is no such plugin of the class (CLASS_CONNECTOR, CLASS_SINK, CLASS_NOTIFIER, CLASS_METRIC,
     * CLASS_MODEL). */
    json_t *(*config_schema)(void *self, object_class class, const char *id);
    /* The nearest known id, for hints; may be NULL. */
    const char *(*suggest)(void *self, object_class class, const char *id);
} template_plugins;

typedef struct template_options {
    const template_plugins *plugins; /* NULL = offline: plugins are taken on trust */
    json_t *parameters;              /* given values; NULL = samples stand in for what has no default */
    json_t *base; /* body of the template that a local layer is added to; NULL = it is a template */
} template_options;

typedef struct template_problem {
    const char *where;       /* file:line:column, or the pointer when there is no file */
    const char *pointer;     /* into the document */
    const char *text, *hint; /* hint may be NULL */
} template_problem;

/* How rows of a datastore will be read. */
typedef struct template_path {
    const char *store;
    bool fast;
    const char *reason; /* why not */
} template_path;

typedef struct template_report {
    template_problem problems[TEMPLATE_PROBLEMS_MAX];
    unsigned n_problems, left_off;
    const template_path *paths;
    unsigned n_paths;
    struct arena *arena; /* of all texts */
} template_report;

/* `tree` gives the places; with NULL `body` is checked and pointers stand for places. */
template_report *template_check(const yaml_tree *tree, json_t *body, const template_options *options);
void template_report_free(template_report *r); /* NULL is fine */
/* "where: text" and "  hint" lines. */
void template_report_text(const template_report *r, text *out);
/* {problems: [{pointer, where, detail, hint}], left_off, decode: [{datastore, path, reason}]}; a new
 * reference. */
json_t *template_report_json(const template_report *r);

/* The format's JSON Schema, as `penstock template schema` prints it. */
const char *template_schema_text(size_t *ret_len);
#endif
