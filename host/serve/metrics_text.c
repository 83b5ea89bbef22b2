/* One visit of the registry; a family's HELP and TYPE stand before its first series. */
#include "serve/metrics_text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/metric.h"

typedef struct page {
    text *out;
    const char *family;
} page;

static void add_escaped(text *out, const char *s, bool quotes)
{
    for (; *s; s++)
        if (*s == '\\')
            text_add(out, "\\\\");
        else if (*s == '\n')
            text_add(out, "\\n");
        else if (*s == '"' && quotes)
            text_add(out, "\\\"");
        else
            text_add_char(out, *s);
}

static void add_number(text *out, double value)
{
    if (isnan(value))
        text_add(out, "NaN");
    else if (isinf(value))
        text_add(out, value > 0 ? "+Inf" : "-Inf");
    else
        text_add_json_number(out, value);
}

static void add_series(text *out, const metric_view *v, const char *suffix, const char *bound)
{
    text_add(out, v->name);
    text_add(out, suffix);
    const char *before = "{";
    for (unsigned i = 0; i < v->n_labels; i++) {
        text_printf(out, "%s%s=\"", before, v->labels[i].name);
        add_escaped(out, v->labels[i].value, true);
        text_add_char(out, '"');
        before = ",";
    }
    if (bound)
        text_printf(out, "%sle=\"%s\"", before, bound);
    text_add(out, v->n_labels || bound ? "} " : " ");
}

static void add_histogram(text *out, const metric_view *v)
{
    uint64_t below = 0;
    for (unsigned i = 0; i <= METRIC_BUCKETS; i++) {
        text bound = {0};
        if (i < METRIC_BUCKETS)
            add_number(&bound, metric_bucket_bound(i));
        else
            text_add(&bound, "+Inf");
        below += v->buckets[i];
        add_series(out, v, "_bucket", bound.data);
        text_printf(out, "%" PRIu64 "\n", below);
        text_free(&bound);
    }
    add_series(out, v, "_sum", NULL);
    add_number(out, v->sum);
    add_series((text_add_char(out, '\n'), out), v, "_count", NULL);
    text_printf(out, "%" PRIu64 "\n", v->count);
}

static void on_series(void *arg, const metric_view *v)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    page *p = arg;
    if (p->family != v->name) {
        p->family = v->name;
        text_printf(p->out, "# HELP %s ", v->name);
        add_escaped(p->out, v->help, false);
        text_printf(p->out, "\n# TYPE %s %s\n", v->name, types[v->kind]);
    }
    if (v->kind == METRIC_HISTOGRAM) {
        add_histogram(p->out, v);
        return;
    }
    add_series(p->out, v, "", NULL);
    add_number(p->out, v->value);
    text_add_char(p->out, '\n');
}

void metrics_text(text *out)
{
    page p = {.out = out};
    metric_visit(on_series, &p);
}
