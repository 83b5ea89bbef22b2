/* Rows are matched greedily, in order: expected rows of a test are few and name their key. */
#include "control/template_test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/utc.h"

/* ---- comparing ---- */

static bool same_number(double a, double b)
{
    double scale = fmax(fabs(a), fabs(b));
    return a == b || fabs(a - b) <= 1e-9 * fmax(scale, 1);
}

static bool same_text(const char *a, const char *b)
{
    int64_t x, y;
    return strcmp(a, b) == 0 || (utc_parse(a, strlen(a), &x) && utc_parse(b, strlen(b), &y) && x == y);
}

static bool same_value(const json_t *expected, const json_t *found)
{
    if (!found)
        return json_is_null(expected);
    if (json_is_number(expected) && json_is_number(found))
        return same_number(json_number_value(expected), json_number_value(found));
    if (json_is_string(expected) && json_is_string(found))
        return same_text(json_string_value(expected), json_string_value(found));
    return json_equal(expected, found);
}

static bool row_fits(const json_t *expected, const json_t *found)
{
    const char *column;
    json_t *v;
    json_object_foreach((json_t *)expected, column, v)
    {
        if (!same_value(v, json_object_get(found, column)))
            return false;
    }
    return true;
}

static void say(text *out, const char *store, const char *what, const json_t *row)
{
    char *form = json_dumps(row, JSON_COMPACT);
    text_printf(out, "%s: %s %s\n", store, what, form);
    free(form);
}

static unsigned cells_alike(const json_t *expected, const json_t *found)
{
    const char *column;
    json_t *v;
    unsigned n = 0;
    json_object_foreach((json_t *)expected, column, v)
    {
        n += same_value(v, json_object_get(found, column));
    }
    return n;
}

/* The row that is not taken and has most of the expected cells; n = none has any. */
static size_t nearest(const json_t *expected, const json_t *found, const bool *taken, size_t n)
{
    size_t best = n;
    unsigned most = 0;
    for (size_t k = 0; k < n; k++) {
        unsigned alike = taken[k] ? 0 : cells_alike(expected, json_array_get(found, k));
        if (alike > most) {
            most = alike;
            best = k;
        }
    }
    return best;
}

static void say_cells(text *out, const char *store, const json_t *expected, const json_t *found)
{
    const char *column;
    json_t *v;
    char *form = json_dumps(expected, JSON_COMPACT);
    text_printf(out, "%s: expected %s, but", store, form);
    free(form);
    json_object_foreach((json_t *)expected, column, v)
    {
        const json_t *is = json_object_get(found, column);
        if (same_value(v, is))
            continue;
        form = is ? json_dumps(is, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        text_printf(out, " %s is %s", column, form ? form : "absent");
        free(form);
    }
    text_add_char(out, '\n');
}

/* Marks in `met` which expected rows have a found row of their own, in `taken` which found rows are one. */
static void match(const json_t *expected, const json_t *found, bool *met, bool *taken)
{
    size_t n = json_array_size(found);
    for (size_t i = 0; i < json_array_size(expected); i++) {
        size_t k = 0;
        while (k < n && (taken[k] || !row_fits(json_array_get(expected, i), json_array_get(found, k))))
            k++;
        met[i] = k < n;
        taken[k] = true;
    }
}

unsigned rows_differ(const char *store, const json_t *expected, const json_t *found, text *differences)
{
    unsigned count = 0;
    size_t n = json_array_size(found), wanted = json_array_size(expected);
    bool *taken = memory_zero(n + 1, sizeof *taken), *met = memory_zero(wanted + 1, sizeof *met);
    match(expected, found, met, taken);
    for (size_t i = 0; i < wanted; i++) {
        const json_t *row = json_array_get(expected, i);
        size_t k = met[i] ? n : nearest(row, found, taken, n);
        if (met[i])
            continue;
        count++;
        taken[k] = true;
        if (k < n)
            say_cells(differences, store, row, json_array_get(found, k));
        else
            say(differences, store, "expected and not found", row);
    }
    for (size_t k = 0; k < n; k++)
        if (!taken[k]) {
            say(differences, store, "found and not expected", json_array_get(found, k));
            count++;
        }
    free(taken);
    free(met);
    return count;
}

/* ---- running ---- */

static void take_newest(const defined_datastore *store, const json_t *rows, int64_t *newest)
{
    for (size_t i = 0; store && store->time && i < json_array_size(rows); i++) {
        int64_t us;
        const char *s = json_string_value(json_object_get(json_array_get(rows, i), store->time));
        if (s && utc_parse(s, strlen(s), &us) && us > *newest)
            *newest = us;
    }
}

static status_class give(const definition *d, json_t *given, const template_test_host *host, status *st)
{
    const char *reference;
    json_t *rows;
    int64_t newest = INT64_MIN;
    json_object_foreach(given, reference, rows)
    {
        take_newest(definition_datastore(d, strchr(reference, ':') + 1), rows, &newest);
    }
    status_class class = newest == INT64_MIN ? STATUS_OK : host->set_now(host->self, newest, st);
    json_object_foreach(given, reference, rows)
    {
        if (class == STATUS_OK)
            class = host->put(host->self, strchr(reference, ':') + 1, rows, st);
    }
    return class == STATUS_OK ? host->settle(host->self, st) : class;
}

static status_class expect(json_t *expected, const template_test_host *host, text *differences,
                           unsigned *count, status *st)
{
    const char *word;
    json_t *rows;
    json_object_foreach(expected, word, rows)
    {
        char buffer[128];
        object_reference reference;
        json_t *found = NULL;
        if (!reference_parse(word, buffer, sizeof buffer, &reference))
            return status_set(st, STATUS_INTERNAL, "\"%s\" is no reference", word);
        status_class class = host->read(host->self, &reference, &found, st);
        if (class != STATUS_OK)
            return class;
        *count += rows_differ(word, rows, found, differences);
        json_decref(found);
    }
    return STATUS_OK;
}

status_class template_test_run(const definition *d, const char *test, const template_test_host *host,
                               text *differences, status *st)
{
    unsigned count = 0;
    const defined_object *o = definition_object(d, CLASS_TEST, test);
    if (!o)
        return status_set(st, STATUS_NOT_FOUND, "the template has no test \"%.40s\"", test);
    status_class class = give(d, json_object_get(o->body, "given"), host, st);
    if (class == STATUS_OK)
        class = expect(json_object_get(o->body, "expect"), host, differences, &count, st);
    if (class == STATUS_OK && count)
        class = status_set(st, STATUS_INVALID, "the test %s failed: %u rows differ", test, count);
    return class;
}
