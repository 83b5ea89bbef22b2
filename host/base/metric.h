/* Counters, gauges and histograms of the whole process. A metric is registered once by name and labels and
 * then updated through its handle by one atomic operation; nothing is looked up on a hot path. Handles stay
 * valid until the process ends. Names follow the Prometheus habits: penstock_<noun>_<unit>[_total], seconds
 * and bytes.
 *
 * All functions may be called from any thread. There are at most METRIC_LIMIT series: whoever registers more
 * gets a handle that nobody sees, and penstock_metric_refused_total counts it, so a flood of labels cannot
 * eat the memory. */
#ifndef PENSTOCK_BASE_METRIC_H
#define PENSTOCK_BASE_METRIC_H
#include <stdbool.h>
#include <stdint.h>

#define METRIC_LIMIT 20000
#define METRIC_BUCKETS 16

typedef enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM } metric_kind;

typedef struct metric_label {
    const char *name, *value; /* the value is any text; it is escaped when shown */
} metric_label;

typedef struct metric metric;
typedef double (*metric_function)(void *arg);

/* The same name and labels give the same handle. `help` is kept from the first registration (a literal). */
metric *metric_register(metric_kind kind, const char *name, const char *help, const metric_label *labels,
                        unsigned n_labels);
#define METRIC_LABEL(n, v) ((metric_label){.name = (n), .value = (v)})
/* metric_counter("penstock_http_requests_total", "Requests answered.", METRIC_LABEL("status", "2xx")) */
#define METRIC_CALL(kind, name, help, ...)                                      \
    metric_register(                                                            \
        (kind), (name), (help), (const metric_label[]){{0}, ##__VA_ARGS__} + 1, \
        (unsigned)(sizeof((const metric_label[]){{0}, ##__VA_ARGS__}) / sizeof(metric_label) - 1))
#define metric_counter(name, help, ...) METRIC_CALL(METRIC_COUNTER, name, help, ##__VA_ARGS__)
#define metric_gauge(name, help, ...) METRIC_CALL(METRIC_GAUGE, name, help, ##__VA_ARGS__)
#define metric_histogram(name, help, ...) METRIC_CALL(METRIC_HISTOGRAM, name, help, ##__VA_ARGS__)

void metric_add(metric *m, int64_t n);    /* counter (n >= 0) or gauge */
void metric_set(metric *m, double value); /* gauge */
/* Histogram; buckets 0.5 ms … 16 s, each twice the one before. */
void metric_observe(metric *m, double seconds);
/* The gauge's value is asked for when somebody looks. `function` must be fast and callable from any thread;
 * NULL takes it away (after this returns it is not called any more). */
void metric_read_by(metric *m, metric_function function, void *arg);
/* A counter whose total somebody else keeps; it may start again at 0. */
void metric_count(metric *m, uint64_t total);
/* `collect` runs before every visit, on the visitor's thread: it may register metrics and set them. There is
 * one; NULL takes it away (after this returns it is not called any more). */
void metric_collect_by(void (*collect)(void *arg), void *arg);

typedef struct metric_view {
    metric_kind kind;
    const char *name, *help;
    const metric_label *labels;
    unsigned n_labels;
    double value;                                /* counter, gauge */
    uint64_t buckets[METRIC_BUCKETS + 1], count; /* not cumulative; the last is +Inf */
    double sum;
} metric_view;
/* Upper bound of bucket i in seconds. */
double metric_bucket_bound(unsigned i);
/* Visits every series, those of one name together, in order of registration of the names. The visitor must
 * not register metrics. */
void metric_visit(void (*visit)(void *arg, const metric_view *view), void *arg);
#endif
