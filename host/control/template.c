/* The order of a check: sections, parameters, parameters put in, the JSON Schema, then the rules of every
 * object that the schema found nothing wrong with, and at last what only the whole shows (cycles). */
#include "control/template.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/name.h"
#include "control/parameter.h"
#include "control/template_checker.h"
#include "schema/compile.h"
#include "schema/validate.h"

extern const char template_schema[];
extern const size_t template_schema_len;

const char *template_schema_text(size_t *ret_len)
{
    *ret_len = template_schema_len;
    return template_schema;
}

static schema *format_schema;

static void compile_format_schema(void)
{
    status st;
    json_t *document = json_loadb(template_schema, template_schema_len, 0, NULL);
    format_schema = document ? schema_compile(document, NULL, &st) : NULL;
    json_decref(document);
    if (!format_schema) {
        fprintf(stderr, "penstock: the template schema does not compile: %s %s\n", document ? st.where : "",
                document ? st.text : "no JSON");
        abort();
    }
}

/* Made once and kept for the life of the process. */
static const schema *the_format_schema(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, compile_format_schema);
    return format_schema;
}

/* ---- reporting ---- */

static bool lies_inside(const char *pointer, const char *outer)
{
    size_t len = strlen(outer);
    return strncmp(pointer, outer, len) == 0 && (pointer[len] == '/' || pointer[len] == '\0');
}

/* Reports at a pointer; a second problem at the same place, or below one, is dropped. */
static void checker_problem_at(template_checker *c, const char *pointer, bool of_key, const char *sentence)
{
    char where[256];
    template_report *r = c->report;
    for (unsigned i = 0; i < r->n_problems; i++)
        if (lies_inside(pointer, r->problems[i].pointer) && *r->problems[i].pointer)
            return;
    if (r->n_problems == TEMPLATE_PROBLEMS_MAX) {
        r->left_off++;
        return;
    }
    if (c->tree)
        yaml_tree_where(c->tree, pointer, of_key, where, sizeof where);
    r->problems[r->n_problems++] =
        (template_problem){.where = arena_string(c->arena, c->tree ? where : pointer),
                           .pointer = arena_string(c->arena, pointer),
                           .text = arena_string(c->arena, sentence)};
}

void checker_problem(template_checker *c, object_class class, const char *key, const char *field,
                     const char *format, ...)
{
    char sentence[600];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    const char *pointer =
        arena_printf(c->arena, "/%s/%s%s%s", class_section(class), key, field ? "/" : "", field ? field : "");
    checker_problem_at(c, pointer, !field, sentence);
}

void checker_hint(template_checker *c, const char *format, ...)
{
    char sentence[300];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    template_problem *last = c->report->n_problems ? &c->report->problems[c->report->n_problems - 1] : NULL;
    if (last && !last->hint)
        last->hint = arena_string(c->arena, sentence);
}

/* Whether a problem was reported at the object or inside it. */
static bool checker_has_problem(const template_checker *c, object_class class, const char *key)
{
    char pointer[160];
    snprintf(pointer, sizeof pointer, "/%s/%s", class_section(class), key);
    for (unsigned i = 0; i < c->report->n_problems; i++)
        if (lies_inside(c->report->problems[i].pointer, pointer) ||
            strcmp(c->report->problems[i].pointer, pointer + 0) == 0)
            return true;
    return false;
}

/* ---- finding ---- */

/* The object, of the document or of the template under it; NULL if there is none. */
static json_t *checker_find(const template_checker *c, object_class class, const char *key)
{
    const char *section = class_section(class);
    json_t *found = json_object_get(json_object_get(c->body, section), key);
    return found ? found : json_object_get(json_object_get(c->base, section), key);
}

static size_t collect_keys(const json_t *section, const char **names, size_t n, size_t max)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)section, key, v)
    {
        if (n < max)
            names[n++] = key;
    }
    return n;
}

static const char *nearest(const template_checker *c, object_class class, const char *key)
{
    const char *names[200];
    size_t n = collect_keys(json_object_get(c->body, class_section(class)), names, 0, 200);
    n = collect_keys(json_object_get(c->base, class_section(class)), names, n, 200);
    return name_suggest(key, names, n);
}

json_t *checker_need(template_checker *c, object_class wanted, const char *wanted_key, object_class class,
                     const char *key, const char *field)
{
    json_t *found = checker_find(c, wanted, wanted_key);
    if (found)
        return found;
    unsigned before = c->report->n_problems;
    checker_problem(c, class, key, field, "there is no %s \"%s\"", class_name(wanted), wanted_key);
    const char *near = nearest(c, wanted, wanted_key);
    if (near && c->report->n_problems > before)
        checker_hint(c, "did you mean %s?", near);
    return NULL;
}

json_t *checker_need_reference(template_checker *c, const char *reference, object_class class,
                               const char *key, const char *field)
{
    char buffer[128];
    object_reference ref;
    if (!reference_parse(reference, buffer, sizeof buffer, &ref)) {
        checker_problem(c, class, key, field, "\"%s\" is no reference such as datastore:key", reference);
        return NULL;
    }
    return checker_need(c, ref.class, ref.key, class, key, field);
}

/* ---- sections and parameters ---- */

static bool is_one_of(const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

static void check_sections(template_checker *c, const json_t *body)
{
    static const char *const reserved[] = {"entities", "commands", "workflows", "policies", "roles", "needs"};
    static const char *const known[] = {"apiVersion", "kind",          "metadata",        "parameters",
                                        "datastores", "featurestores", "inferencestores", "models",
                                        "metrics",    "connectors",    "notifiers",       "alerts",
                                        "dashboards", "reports",       "tests",           "sinks"};
    const size_t n_known = sizeof known / sizeof *known;
    const char *section;
    json_t *v;
    json_object_foreach((json_t *)body, section, v)
    {
        char pointer[256], sentence[256];
        snprintf(pointer, sizeof pointer, "/%.200s", section);
        if (is_one_of(section, known, n_known) || strncmp(section, "x-", 2) == 0)
            continue;
        if (is_one_of(section, reserved, sizeof reserved / sizeof *reserved)) {
            snprintf(sentence, sizeof sentence, "the section %s is reserved and not offered yet", section);
            checker_problem_at(c, pointer, true, sentence);
            continue;
        }
        snprintf(sentence, sizeof sentence, "there is no section \"%.100s\"", section);
        checker_problem_at(c, pointer, true, sentence);
        const char *near = name_suggest(section, known, n_known);
        checker_hint(c, near ? "did you mean %s?" : "keys that begin with x- are ignored%s",
                     near ? near : "");
    }
}

static void on_fill_problem(void *arg, const char *pointer, const char *sentence)
{
    template_checker *c = arg;
    checker_problem_at(c, pointer, false, sentence);
    checker_hint(c, "parameters are declared under `parameters`");
}

/* NULL if the parameters are wrong (reported): then nothing is said about places that use them. */
static json_t *resolve(template_checker *c, const json_t *body)
{
    status st;
    json_t *values = NULL;
    const json_t *declared = json_object_get(body, "parameters");
    if (declared && !json_is_object(declared))
        return NULL;
    if (parameters_resolve(declared, c->options->parameters, c->options->parameters == NULL, &values, &st) ==
        STATUS_OK)
        return values;
    checker_problem_at(c, st.where, true, st.text);
    return NULL;
}

static void fill_parameters(template_checker *c, const json_t *body)
{
    json_t *base = c->options->base;
    json_t *values = resolve(c, base ? base : body);
    c->body = parameters_fill(body, values, values ? on_fill_problem : NULL, c);
    c->base = base ? parameters_fill(base, values, NULL, NULL) : NULL;
    json_decref(values);
}

/* ---- the format's schema ---- */

static int deepest_first(const void *a, const void *b)
{
    const schema_error *x = a, *y = b;
    size_t m = strlen(x->instance), n = strlen(y->instance);
    return m > n ? -1 : m < n;
}

static const char *hint_for(const schema_error *e)
{
    if (strstr(e->schema, "/$defs/duration") || strstr(e->schema, "/$defs/window"))
        return "a duration is a number and a unit: 10s, 5m, 1h30m, 400d";
    if (strstr(e->schema, "/$defs/key"))
        return "keys are lower case words joined by single underscores, at most 40 characters";
    if (strstr(e->schema, "/$defs/condition"))
        return "an operator and a number in quotes: \"> 0.9\"";
    if (strstr(e->schema, "/$defs/bucket"))
        return "10m, 1h, 1d, 1w, 1mo, 1q or 1y";
    if (strcmp(e->instance, "/apiVersion") == 0)
        return "this host reads apiVersion: penstock/v1";
    return NULL;
}

/* The names that the format knows where the error is; `schema` ends in "/additionalProperties". */
static const char *nearest_property(const schema_error *e, const char *name)
{
    const char *names[64], *key;
    size_t n = 0;
    json_t *v, *at = schema_document(the_format_schema());
    char path[256];
    snprintf(path, sizeof path, "%s", strchr(e->schema, '#') ? strchr(e->schema, '#') + 1 : "");
    char *rest = path, *token;
    strsep(&rest, "/");
    while ((token = strsep(&rest, "/")) && strcmp(token, "additionalProperties") != 0)
        at = json_object_get(at, token);
    json_object_foreach(json_object_get(at, "properties"), key, v)
    {
        if (n < 64)
            names[n++] = key;
    }
    return name_suggest(name, names, n);
}

/* "property x is not allowed" is said of the mapping; people look for x. */
static void report_unknown(template_checker *c, const schema_error *e)
{
    char name[128];
    if (sscanf(e->sentence, "property %127s is not allowed", name) != 1)
        snprintf(name, sizeof name, "?");
    unsigned before = c->report->n_problems;
    const char *near = nearest_property(e, name);
    checker_problem_at(c, arena_printf(c->arena, "%s/%s", e->instance, name), true,
                       arena_printf(c->arena, "there is no \"%s\" here", name));
    if (near && c->report->n_problems > before)
        checker_hint(c, "did you mean %s?", near);
}

static void report_schema_error(template_checker *c, const schema_error *e)
{
    if (strcmp(e->keyword, "additionalProperties") == 0) {
        report_unknown(c, e);
        return;
    }
    unsigned before = c->report->n_problems;
    checker_problem_at(c, e->instance, false, e->sentence);
    const char *hint = hint_for(e);
    if (hint && c->report->n_problems > before)
        checker_hint(c, "%s", hint);
}

static void check_format(template_checker *c)
{
    status st;
    schema_errors errors = {.arena = c->arena, .max = TEMPLATE_PROBLEMS_MAX};
    if (schema_validate(the_format_schema(), c->body, &errors, &st) == STATUS_OK)
        return;
    if (errors.n == 0) {
        checker_problem_at(c, "", false, st.text);
        return;
    }
    qsort(errors.items, errors.n, sizeof *errors.items, deepest_first);
    for (uint32_t i = 0; i < errors.n; i++) {
        bool outer = false;
        for (unsigned k = 0; k < c->report->n_problems && !outer; k++)
            outer = lies_inside(c->report->problems[k].pointer, errors.items[i].instance);
        if (!outer)
            report_schema_error(c, &errors.items[i]);
    }
}

/* ---- rules ---- */

typedef void (*rule)(template_checker *c, const char *key, json_t *body);

static void check_objects(template_checker *c)
{
    static const rule rules[CLASS_COUNT] = {[CLASS_DATASTORE] = check_datastore,
                                            [CLASS_FEATURESTORE] = check_featurestore,
                                            [CLASS_INFERENCESTORE] = check_inferencestore,
                                            [CLASS_MODEL] = check_model,
                                            [CLASS_METRIC] = check_metric,
                                            [CLASS_CONNECTOR] = check_connector,
                                            [CLASS_NOTIFIER] = check_notifier,
                                            [CLASS_ALERT] = check_alert,
                                            [CLASS_DASHBOARD] = check_dashboard,
                                            [CLASS_REPORT] = check_report,
                                            [CLASS_TEST] = check_test,
                                            [CLASS_SINK] = check_sink};
    for (object_class class = CLASS_DATASTORE; class < CLASS_COUNT; class ++) {
        const char *key;
        json_t *body;
        json_object_foreach(json_object_get(c->body, class_section(class)), key, body)
        {
            if (strncmp(key, "x-", 2) == 0 || !json_is_object(body) || checker_has_problem(c, class, key))
                continue;
            if (json_object_get(json_object_get(c->base, class_section(class)), key)) {
                checker_problem(c, class, key, NULL, "the %s %s belongs to the template", class_name(class),
                                key);
                checker_hint(c, "a local layer only adds: choose another key");
                continue;
            }
            rules[class](c, key, body);
        }
    }
}

/* What is left when everything else is right: making it finds cycles. */
static void check_whole(template_checker *c)
{
    status st;
    const definition *d = NULL;
    definition_source source = {.template_body = c->base ? c->base : c->body,
                                .local_body = c->base ? c->body : NULL};
    json_t *body = json_copy(source.template_body);
    json_object_del(body, "parameters");
    source.template_body = body;
    if (definition_make(&source, &d, &st) != STATUS_OK)
        checker_problem_at(c, st.where, false, st.text);
    definition_release(d);
    json_decref(body);
}

static void check_all(template_checker *c, const json_t *body)
{
    if (!json_is_object(body)) {
        checker_problem_at(c, "", false, "a template is a mapping");
        checker_hint(c, "begin with apiVersion: penstock/v1");
        return;
    }
    c->written = body;
    check_sections(c, body);
    fill_parameters(c, body);
    check_format(c);
    check_objects(c);
    if (c->report->n_problems == 0)
        check_whole(c);
    json_decref(c->body);
    json_decref(c->base);
}

template_report *template_check(const yaml_tree *tree, json_t *body, const template_options *options)
{
    static const template_options none;
    template_report *r = memory_zero(1, sizeof *r);
    r->arena = arena_create(0);
    template_checker c = {.tree = tree, .options = options ? options : &none, .report = r, .arena = r->arena};
    check_all(&c, tree ? yaml_tree_root(tree) : body);
    return r;
}

void template_report_free(template_report *r)
{
    if (!r)
        return;
    arena_free(r->arena);
    free(r);
}

void template_report_text(const template_report *r, text *out)
{
    for (unsigned i = 0; i < r->n_problems; i++) {
        const template_problem *p = &r->problems[i];
        text_printf(out, "%s: %s\n", p->where, p->text);
        if (p->hint)
            text_printf(out, "  %s\n", p->hint);
    }
    if (r->left_off)
        text_printf(out, "and %u more\n", r->left_off);
}

json_t *template_report_json(const template_report *r)
{
    json_t *problems = json_array(), *paths = json_array();
    for (unsigned i = 0; i < r->n_problems; i++) {
        const template_problem *p = &r->problems[i];
        json_array_append_new(problems, json_pack("{s:s, s:s, s:s, s:s?}", "pointer", p->pointer, "where",
                                                  p->where, "detail", p->text, "hint", p->hint));
    }
    for (unsigned i = 0; i < r->n_paths; i++)
        json_array_append_new(paths,
                              json_pack("{s:s, s:s, s:s?}", "datastore", r->paths[i].store, "path",
                                        r->paths[i].fast ? "fast" : "general", "reason", r->paths[i].reason));
    return json_pack("{s:o, s:i, s:o}", "problems", problems, "left_off", (int)r->left_off, "decode", paths);
}
