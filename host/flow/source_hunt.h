/* The record of a source that kills its plugin. Only the plugin knows where one record ends, so it is found
 * by reading: again from the durable cursor, at first as much as killed it, then less, so that all records
 * before it arrive, until reading one record kills; that one the plugin is asked to skip.
 *
 *   off ──died──► again ──died──► half, half of that, … ──died over one record──► skip ──► off
 *    ▲              │ went well: chance          │ went well: the rest is halved
 *    └──────────────┴──── nothing is left ───────┘
 *
 * Pure: the caller reads. */
#ifndef PENSTOCK_FLOW_SOURCE_HUNT_H
#define PENSTOCK_FLOW_SOURCE_HUNT_H
#include <stdbool.h>
#include <stdint.h>

#include "plugin/instance.h"

typedef struct source_hunt {
    bool on, skip;
    uint32_t left; /* reading so many records is known to kill; 0 = not known yet */
    uint32_t next; /* to be read next */
    unsigned attempts;
    bool worked;         /* something was read well meanwhile */
    bool fed;            /* the cell that is open gave records */
    int64_t took_us;     /* of the first death's call */
    uint32_t whole;      /* rows of that */
    instance_call death; /* the newest */
} source_hunt;

/* A suspicious death while `rows` were read. */
void source_hunt_died(source_hunt *h, uint32_t rows, const instance_call *call, int64_t took_us);
/* So many records came well. */
void source_hunt_read(source_hunt *h, uint32_t n);
void source_hunt_end(source_hunt *h);
/* There was nothing to read: shall it be asked again at once, in a fresh cell, rather than when it asked to
 * be? Yes once after it gave records while more are known to be there: a source that keeps a pace would
 * stretch the hunt over as many of its periods as there are steps. A fresh cell that has nothing either is
 * believed. */
bool source_hunt_renews(source_hunt *h);
/* How long the next read may take; 0 = as always. What hangs is not waited for in full each time. */
int64_t source_hunt_deadline_us(const source_hunt *h);
#endif
