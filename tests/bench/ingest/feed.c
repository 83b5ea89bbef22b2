/* Values come from a mixed counter (splitmix64), cut to three decimals so that their text is exact. */
#include "feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static double value(uint64_t random, double from, unsigned span)
{
    return from + (double)(random % (span * 1000U)) / 1000.0;
}

void feed_row_make(uint64_t i, feed_row *out)
{
    static const char *const states[] = {"ok", "ok", "ok", "ok", "ok", "ok", "warn", "fault"};
    uint64_t r = mix(i);
    out->time_us = FEED_FROM_US + (int64_t)i * FEED_STEP_US;
    snprintf(out->device_id, sizeof out->device_id, "pump-%03u", (unsigned)(i % FEED_DEVICES));
    out->pressure = value(r, 2, 8);
    out->flow = value(r >> 16, 100, 400);
    out->temperature = value(r >> 32, 10, 60);
    out->status = states[r >> 61];
}

int feed_row_json(const feed_row *row, char *out)
{
    time_t seconds = (time_t)(row->time_us / 1000000);
    struct tm t;
    gmtime_r(&seconds, &t);
    return snprintf(
        out, FEED_LINE_MAX,
        "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\",\"device_id\":\"%s\",\"pressure\":%.3f,"
        "\"flow\":%.3f,\"temperature\":%.3f,\"status\":\"%s\"}\n",
        t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec,
        (int)(row->time_us % 1000000), row->device_id, row->pressure, row->flow, row->temperature,
        row->status);
}

int feed_row_line(const feed_row *row, char *out)
{
    return snprintf(out, FEED_LINE_MAX,
                    "readings,device_id=%s pressure=%.3f,flow=%.3f,temperature=%.3f,status=\"%s\" %lld000\n",
                    row->device_id, row->pressure, row->flow, row->temperature, row->status,
                    (long long)row->time_us);
}

const char *feed_option(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0)
            return argv[i + 1];
    return otherwise;
}

uint64_t feed_number(int argc, char **argv, const char *name, uint64_t otherwise)
{
    const char *text = feed_option(argc, argv, name, NULL);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

int64_t feed_clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

double feed_cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int compare_took(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void feed_report(feed_figures *f)
{
    qsort(f->took_us, f->n, sizeof *f->took_us, compare_took);
    printf("{\"accepted\": %llu, \"bad\": %llu, \"seconds\": %.6f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
           "\"cpu_seconds\": %.3f}\n",
           (unsigned long long)f->accepted, (unsigned long long)f->bad, (double)f->us / 1e6,
           (double)f->took_us[f->n / 2] / 1e3, (double)f->took_us[f->n * 99 / 100] / 1e3, f->cpu_seconds);
}
