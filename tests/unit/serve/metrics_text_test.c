/* The registry and its text. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/metric.h"
#include "serve/metrics_text.h"

static void values_and_labels_are_shown(void **state)
{
    (void)state;
    metric *c =
        metric_counter("penstock_test_total", "Things.\nSecond line.", METRIC_LABEL("ws", "a\"b\\c\nd"));
    assert_ptr_equal(c, metric_counter("penstock_test_total", "x", METRIC_LABEL("ws", "a\"b\\c\nd")));
    metric_add(c, 41);
    metric_add(c, 1);
    metric *g = metric_gauge("penstock_test_seconds", "Age.");
    metric_set(g, 1.5);
    text out = {0};
    metrics_text(&out);
    assert_non_null(strstr(out.data,
                           "# HELP penstock_test_total Things.\\nSecond line.\n# TYPE penstock_test_total "
                           "counter\npenstock_test_total{ws=\"a\\\"b\\\\c\\nd\"} 42\n"));
    assert_non_null(strstr(out.data, "# TYPE penstock_test_seconds gauge\npenstock_test_seconds 1.5\n"));
    text_free(&out);
}

static void histograms_are_cumulative(void **state)
{
    (void)state;
    metric *h = metric_histogram("penstock_test_request_seconds", "Time.", METRIC_LABEL("route", "x"));
    metric_observe(h, 0.0004);
    metric_observe(h, 0.0005);
    metric_observe(h, 0.0006);
    metric_observe(h, 100);
    text out = {0};
    metrics_text(&out);
    assert_non_null(strstr(out.data, "penstock_test_request_seconds_bucket{route=\"x\",le=\"0.0005\"} 2\n"));
    assert_non_null(strstr(out.data, "penstock_test_request_seconds_bucket{route=\"x\",le=\"0.001\"} 3\n"));
    assert_non_null(strstr(out.data, "penstock_test_request_seconds_bucket{route=\"x\",le=\"+Inf\"} 4\n"));
    assert_non_null(strstr(out.data, "penstock_test_request_seconds_count{route=\"x\"} 4\n"));
    assert_non_null(strstr(out.data, "penstock_test_request_seconds_sum{route=\"x\"} 100.0015\n"));
    text_free(&out);
}

static double answer(void *arg)
{
    return *(double *)arg;
}

static void gauges_can_be_asked(void **state)
{
    (void)state;
    double value = 7;
    metric *g = metric_gauge("penstock_test_asked", "Asked.");
    metric_read_by(g, answer, &value);
    text out = {0};
    metrics_text(&out);
    assert_non_null(strstr(out.data, "penstock_test_asked 7\n"));
    metric_read_by(g, NULL, NULL);
    text_clear(&out);
    metrics_text(&out);
    assert_non_null(strstr(out.data, "penstock_test_asked 0\n"));
    text_free(&out);
}

static void a_flood_of_labels_is_bounded(void **state)
{
    (void)state;
    char value[32];
    metric *last = NULL;
    for (int i = 0; i < 300; i++) { /* far below the limit: each is its own */
        snprintf(value, sizeof value, "%d", i);
        metric *m = metric_counter("penstock_test_flood_total", "Flood.", METRIC_LABEL("i", value));
        assert_ptr_not_equal(m, last);
        last = m;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_labels_are_shown),
        cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(gauges_can_be_asked),
        cmocka_unit_test(a_flood_of_labels_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
