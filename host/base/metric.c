/* A growing list of families (one name), each a list of series (one set of labels). Registration takes a
 * lock; updates are single atomic operations on memory that is never moved or freed. */
#include "base/metric.h"
#include "base/keep.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

struct metric {
    metric *next; /* of the family */
    metric_kind kind;
    unsigned n_labels;
    metric_label *labels;
    _Atomic int64_t whole; /* counter, gauge by metric_add */
    _Atomic double value;  /* gauge by metric_set, histogram's sum */
    _Atomic uint64_t buckets[METRIC_BUCKETS + 1];
    metric_function function; /* under the lock */
    void *arg;
};

typedef struct family {
    struct family *next;
    char *name;
    const char *help;
    metric_kind kind;
    metric *first, **last;
} family;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static family *families, **families_last = &families;
static unsigned n_series;
static metric *refused;  /* the counter of those that came too late */
static metric unseen[3]; /* what they are given, one a kind */
static pthread_mutex_t collector_lock = PTHREAD_MUTEX_INITIALIZER; /* taken before the other */
static void (*collector)(void *arg);
static void *collector_arg;

static family *family_find(metric_kind kind, const char *name, const char *help)
{
    for (family *f = families; f; f = f->next)
        if (strcmp(f->name, name) == 0) {
            assert(f->kind == kind);
            return f;
        }
    family *f = memory_zero(1, sizeof *f);
    f->name = memory_string(name);
    f->help = help;
    f->kind = kind;
    f->last = &f->first;
    *families_last = f;
    families_last = &f->next;
    return f;
}

static bool labels_equal(const metric *m, const metric_label *labels, unsigned n)
{
    if (m->n_labels != n)
        return false;
    for (unsigned i = 0; i < n; i++)
        if (strcmp(m->labels[i].name, labels[i].name) != 0 ||
            strcmp(m->labels[i].value, labels[i].value) != 0)
            return false;
    return true;
}

static metric *series_make(family *f, const metric_label *labels, unsigned n)
{
    metric *m = keep_zero(1, sizeof *m);
    m->kind = f->kind;
    m->n_labels = n;
    m->labels = keep_zero(n + 1, sizeof *m->labels);
    for (unsigned i = 0; i < n; i++)
        m->labels[i] = (metric_label){keep_string(labels[i].name), keep_string(labels[i].value)};
    *f->last = m;
    f->last = &m->next;
    n_series++;
    return m;
}

static metric *find_or_make(metric_kind kind, const char *name, const char *help, const metric_label *labels,
                            unsigned n)
{
    family *f = family_find(kind, name, help);
    for (metric *m = f->first; m; m = m->next)
        if (labels_equal(m, labels, n))
            return m;
    if (n_series < METRIC_LIMIT)
        return series_make(f, labels, n);
    metric_add(refused, 1);
    return &unseen[kind];
}

metric *metric_register(metric_kind kind, const char *name, const char *help, const metric_label *labels,
                        unsigned n_labels)
{
    pthread_mutex_lock(&lock);
    if (!refused) {
        unseen[METRIC_GAUGE].kind = METRIC_GAUGE;
        unseen[METRIC_HISTOGRAM].kind = METRIC_HISTOGRAM;
        refused = series_make(family_find(METRIC_COUNTER, "penstock_metric_refused_total",
                                          "Series that were not registered because there are too many."),
                              NULL, 0);
    }
    metric *m = find_or_make(kind, name, help, labels, n_labels);
    pthread_mutex_unlock(&lock);
    return m;
}

void metric_add(metric *m, int64_t n)
{
    assert(m->kind != METRIC_HISTOGRAM && (n >= 0 || m->kind == METRIC_GAUGE));
    atomic_fetch_add_explicit(&m->whole, n, memory_order_relaxed);
}

void metric_set(metric *m, double value)
{
    assert(m->kind == METRIC_GAUGE);
    atomic_store_explicit(&m->value, value, memory_order_relaxed);
}

double metric_bucket_bound(unsigned i)
{
    return 0.0005 * (double)(1U << i);
}

void metric_observe(metric *m, double seconds)
{
    assert(m->kind == METRIC_HISTOGRAM);
    unsigned i = 0;
    while (i < METRIC_BUCKETS && seconds > metric_bucket_bound(i))
        i++;
    atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
    double sum = atomic_load_explicit(&m->value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&m->value, &sum, sum + seconds))
        ;
}

void metric_read_by(metric *m, metric_function function, void *arg)
{
    pthread_mutex_lock(&lock);
    m->function = function;
    m->arg = arg;
    pthread_mutex_unlock(&lock);
}

void metric_count(metric *m, uint64_t total)
{
    assert(m->kind == METRIC_COUNTER);
    atomic_store_explicit(&m->whole, (int64_t)total, memory_order_relaxed);
}

void metric_collect_by(void (*collect)(void *arg), void *arg)
{
    pthread_mutex_lock(&collector_lock);
    collector = collect;
    collector_arg = arg;
    pthread_mutex_unlock(&collector_lock);
}

static uint64_t bucket_sum(const metric *m)
{
    uint64_t count = 0;
    for (unsigned i = 0; i <= METRIC_BUCKETS; i++)
        count += m->buckets[i];
    return count;
}

/* counter, gauge; a histogram's count */
static double metric_value(const metric *m)
{
    return m->kind == METRIC_HISTOGRAM ? (double)bucket_sum(m) : (double)m->whole + m->value;
}

static void visit_one(const family *f, const metric *m, void (*visit)(void *arg, const metric_view *view),
                      void *arg)
{
    metric_view view = {.kind = m->kind,
                        .name = f->name,
                        .help = f->help,
                        .labels = m->labels,
                        .n_labels = m->n_labels,
                        .value = m->function ? m->function(m->arg) : metric_value(m)};
    if (m->kind == METRIC_HISTOGRAM) {
        view.sum = m->value;
        for (unsigned i = 0; i <= METRIC_BUCKETS; i++)
            view.count += view.buckets[i] = m->buckets[i];
    }
    visit(arg, &view);
}

void metric_visit(void (*visit)(void *arg, const metric_view *view), void *arg)
{
    pthread_mutex_lock(&collector_lock);
    if (collector)
        collector(collector_arg);
    pthread_mutex_unlock(&collector_lock);
    pthread_mutex_lock(&lock);
    for (const family *f = families; f; f = f->next)
        for (const metric *m = f->first; m; m = m->next)
            visit_one(f, m, visit, arg);
    pthread_mutex_unlock(&lock);
}
