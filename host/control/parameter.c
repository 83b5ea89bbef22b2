/* Checks parameter values by turning each declaration into a JSON Schema, and fills them in by one walk. */
#include "control/parameter.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "schema/compile.h"
#include "schema/validate.h"

static const char *const schema_words[] = {"type",    "enum",      "default",   "minimum",
                                           "maximum", "minLength", "maxLength", "pattern"};

/* Formats that JSON Schema does not know are the host's own: duration as in "1h30m", timezone, secret. */
static bool is_schema_format(const char *format)
{
    return format && (strcmp(format, "email") == 0 || strcmp(format, "uri") == 0 ||
                      strcmp(format, "date") == 0 || strcmp(format, "date-time") == 0);
}

static json_t *schema_of(const json_t *declaration)
{
    json_t *s = json_object();
    for (size_t i = 0; i < sizeof schema_words / sizeof *schema_words; i++)
        if (json_object_get(declaration, schema_words[i]))
            json_object_set(s, schema_words[i], json_object_get(declaration, schema_words[i]));
    const char *format = json_string_value(json_object_get(declaration, "format"));
    if (is_schema_format(format))
        json_object_set_new(s, "format", json_string(format));
    return s;
}

static status_class check_value(const char *name, const json_t *declaration, const json_t *value, status *st)
{
    char where[sizeof st->where];
    json_t *document = schema_of(declaration);
    schema *s = schema_compile(document, NULL, st);
    status_class class = s ? schema_validate(s, value, NULL, st) : st->class;
    schema_free(s);
    json_decref(document);
    if (class == STATUS_OK)
        return STATUS_OK;
    snprintf(where, sizeof where, "/parameters/%s", name);
    char cause[sizeof st->text];
    memcpy(cause, st->text, sizeof cause);
    return status_at(st, STATUS_INVALID, where, "the parameter %s does not fit: %s", name, cause);
}

/* Something that fits the type, so that the rest of a template can be checked. */
static json_t *sample_of(const json_t *declaration)
{
    const char *type = json_string_value(json_object_get(declaration, "type"));
    const char *format = json_string_value(json_object_get(declaration, "format"));
    const json_t *first = json_array_get(json_object_get(declaration, "enum"), 0);
    if (first)
        return json_deep_copy(first);
    if (type && strcmp(type, "boolean") == 0)
        return json_false();
    if (type && (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0)) {
        json_t *least = json_object_get(declaration, "minimum");
        return least ? json_deep_copy(least) : json_integer(0);
    }
    if (!format)
        return json_string("sample");
    return json_string(strcmp(format, "email") == 0       ? "sample@example.org"
                       : strcmp(format, "uri") == 0       ? "https://example.org/"
                       : strcmp(format, "duration") == 0  ? "1h"
                       : strcmp(format, "timezone") == 0  ? "UTC"
                       : strcmp(format, "date") == 0      ? "2026-01-01"
                       : strcmp(format, "date-time") == 0 ? "2026-01-01T00:00:00Z"
                                                          : "sample");
}

static status_class fail_unknown(const json_t *declared, const json_t *given, status *st)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)given, name, value)
    {
        char where[sizeof st->where];
        if (json_object_get(declared, name))
            continue;
        snprintf(where, sizeof where, "/parameters/%s", name);
        return status_at(st, STATUS_INVALID, where, "the template has no parameter %s", name);
    }
    return STATUS_OK;
}

status_class parameters_resolve(const json_t *declared, const json_t *given, bool samples, json_t **ret,
                                status *st)
{
    const char *name;
    json_t *declaration;
    status_class class = fail_unknown(declared, given, st);
    json_t *values = json_object();
    json_object_foreach((json_t *)declared, name, declaration)
    {
        char where[sizeof st->where];
        json_t *value = json_object_get(given, name);
        if (strncmp(name, "x-", 2) == 0 || class != STATUS_OK)
            continue;
        if (!value)
            value = json_object_get(declaration, "default");
        bool sample = !value && samples;
        snprintf(where, sizeof where, "/parameters/%s", name);
        if (!value && !sample)
            class = status_at(st, STATUS_INVALID, where, "the parameter %s needs a value", name);
        else if (!sample)
            class = check_value(name, declaration, value, st);
        if (class == STATUS_OK)
            json_object_set_new(values, name, sample ? sample_of(declaration) : json_deep_copy(value));
    }
    if (class == STATUS_OK) {
        *ret = values;
        return STATUS_OK;
    }
    json_decref(values);
    return class;
}

/* ---- filling in ---- */

typedef struct filler {
    const json_t *values;
    parameter_problem problem;
    void *arg;
    char pointer[1024];
} filler;

static void report(filler *f, const char *sentence)
{
    if (f->problem)
        f->problem(f->arg, f->pointer, sentence);
}

/* A text form of a value inside a longer text. */
static void add_value(text *out, const json_t *value)
{
    if (json_is_string(value)) {
        text_add_n(out, json_string_value(value), json_string_length(value));
        return;
    }
    char *dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    text_add(out, dumped ? dumped : "");
    free(dumped);
}

/* At "${": the value of the name between the braces; NULL (reported) if there is none. *ret_end = behind the
 * brace. */
static const json_t *value_at(filler *f, const char *at, const char **ret_end)
{
    char name[64];
    const char *close = strchr(at, '}');
    size_t len = close ? (size_t)(close - at - 2) : sizeof name;
    *ret_end = close ? close + 1 : at + 2;
    if (len >= sizeof name) {
        report(f, "\"${\" without a name and \"}\"");
        return NULL;
    }
    memcpy(name, at + 2, len);
    name[len] = '\0';
    const json_t *value = json_object_get(f->values, name);
    if (!value) {
        char sentence[128];
        snprintf(sentence, sizeof sentence, "there is no parameter \"%s\"", name);
        report(f, sentence);
    }
    return value;
}

static json_t *fill_text(filler *f, const json_t *from)
{
    const char *s = json_string_value(from), *at = s, *end;
    text out = {0};
    for (const char *dollar; (dollar = strchr(at, '$')); at = end) {
        bool escaped = strncmp(dollar, "$${", 3) == 0;
        bool reference = strncmp(dollar, "${", 2) == 0;
        end = dollar + (escaped ? 3 : 1);
        const json_t *value = reference ? value_at(f, dollar, &end) : NULL;
        if (value && dollar == s && *end == '\0') {
            text_free(&out);
            return json_deep_copy(value);
        }
        text_add_n(&out, at, (size_t)(dollar - at));
        if (value)
            add_value(&out, value);
        else
            text_add_n(&out, escaped ? "${" : dollar, escaped ? 2 : (size_t)(end - dollar));
    }
    text_add(&out, at);
    json_t *filled = json_stringn(text_or_empty(&out), out.len);
    text_free(&out);
    return filled;
}

static json_t *fill(filler *f, const json_t *from);

/* Appends "/token" with ~ and / escaped; returns the length before, to be put back. */
static size_t push(filler *f, const char *token)
{
    size_t before = strlen(f->pointer), n = before;
    if (n + 2 < sizeof f->pointer)
        f->pointer[n++] = '/';
    for (; *token && n + 3 < sizeof f->pointer; token++) {
        bool escape = *token == '~' || *token == '/';
        f->pointer[n++] = escape ? '~' : *token;
        if (escape)
            f->pointer[n++] = *token == '~' ? '0' : '1';
    }
    f->pointer[n] = '\0';
    return before;
}

static json_t *fill_member(filler *f, const char *key, json_t *value)
{
    bool sql = strcmp(key, "sql") == 0 && json_is_string(value);
    if (sql && strstr(json_string_value(value), "${"))
        report(f, "parameters cannot stand inside SQL: declare a value under params and write :name");
    if (sql || strncmp(key, "x-", 2) == 0)
        return json_deep_copy(value);
    return fill(f, value);
}

static json_t *fill(filler *f, const json_t *from)
{
    const char *key;
    char index[24];
    json_t *value, *to;
    size_t i;
    if (json_is_string(from))
        return fill_text(f, from);
    if (json_is_array(from)) {
        to = json_array();
        json_array_foreach((json_t *)from, i, value)
        {
            snprintf(index, sizeof index, "%zu", i);
            size_t before = push(f, index);
            json_array_append_new(to, fill(f, value));
            f->pointer[before] = '\0';
        }
        return to;
    }
    if (!json_is_object(from))
        return json_deep_copy(from);
    to = json_object();
    json_object_foreach((json_t *)from, key, value)
    {
        size_t before = push(f, key);
        json_object_set_new(to, key, fill_member(f, key, value));
        f->pointer[before] = '\0';
    }
    return to;
}

json_t *parameters_fill(const json_t *value, const json_t *values, parameter_problem problem, void *arg)
{
    filler f = {.values = values, .problem = problem, .arg = arg};
    return fill(&f, value);
}
