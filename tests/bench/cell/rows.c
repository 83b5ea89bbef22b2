/* Numbers are a slow wave with noise, so that the anomaly model has something to learn; the seed is fixed. */
#include "rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

enum { ENTITIES = 10, TEXT_ROOM = 24, STEP_US = 1000000 };

const char *const rows_names[ROWS_COLUMNS] = {"_time", "_entity", "flow", "pressure", "current", "state"};

static const column_type types[ROWS_COLUMNS] = {COLUMN_TIMESTAMP, COLUMN_TEXT,   COLUMN_NUMBER,
                                                COLUMN_NUMBER,    COLUMN_NUMBER, COLUMN_TEXT};

static uint32_t entity_of(uint32_t row, uint32_t n)
{
    return (uint32_t)((uint64_t)row * ENTITIES / n);
}

static void text_fill(column *c, uint32_t n, bool entity)
{
    int32_t *offsets = memory_zero(n + 1, sizeof *offsets);
    char *data = memory_zero(n + 1, TEXT_ROOM);
    static const char *const states[] = {"running", "starting", "stopped", "läuft aus"};
    for (uint32_t i = 0; i < n; i++) {
        char *at = data + offsets[i];
        int len = entity ? snprintf(at, TEXT_ROOM, "pump-%04u", entity_of(i, n))
                         : snprintf(at, TEXT_ROOM, "%s", states[i % 16 < 13 ? 0 : i % 16 - 12]);
        offsets[i + 1] = offsets[i] + len;
    }
    c->offsets = offsets;
    c->data = data;
}

static void time_fill(column *c, uint32_t n)
{
    int64_t *times = memory_zero(n + 1, sizeof *times);
    for (uint32_t i = 0; i < n; i++)
        times[i] = 1767225600000000 + (int64_t)i * STEP_US;
    c->values = times;
}

static void number_fill(column *c, uint32_t n, uint32_t channel)
{
    double *numbers = memory_zero(n + 1, sizeof *numbers);
    uint64_t state = 0x9E3779B97F4A7C15u * (channel + 1);
    for (uint32_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        double noise = (double)(state >> 40) / (double)(1 << 24) - 0.5;
        numbers[i] = 10.0 * channel + sin((double)i / 50.0 + channel) + noise;
    }
    c->values = numbers;
}

static void arrow_show(rows *r, uint32_t i)
{
    const column *c = &r->columns[i];
    bool text = c->type == COLUMN_TEXT;
    r->buffers[i][1] = text ? (const void *)c->offsets : c->values;
    r->buffers[i][2] = c->data;
    r->fields[i] = (struct ArrowSchema){.format = text                       ? "u"
                                                  : c->type == COLUMN_NUMBER ? "g"
                                                                             : "tsu:UTC",
                                        .name = rows_names[i],
                                        .flags = ARROW_FLAG_NULLABLE};
    r->arrays[i] =
        (struct ArrowArray){.length = r->batch.n_rows, .n_buffers = text ? 3 : 2, .buffers = r->buffers[i]};
    r->field_of[i] = &r->fields[i];
    r->child_of[i] = &r->arrays[i];
}

rows *rows_make(uint32_t n)
{
    rows *r = memory_zero(1, sizeof *r);
    r->batch = (batch){.n_rows = n, .n_columns = ROWS_COLUMNS, .columns = r->columns};
    for (uint32_t i = 0; i < ROWS_COLUMNS; i++) {
        column *c = &r->columns[i];
        c->type = types[i];
        if (c->type == COLUMN_TEXT)
            text_fill(c, n, i == 1);
        else if (c->type == COLUMN_NUMBER)
            number_fill(c, n, i);
        else
            time_fill(c, n);
        arrow_show(r, i);
    }
    r->schema =
        (struct ArrowSchema){.format = "+s", .name = "", .n_children = ROWS_COLUMNS, .children = r->field_of};
    r->array = (struct ArrowArray){.length = n,
                                   .n_buffers = 1,
                                   .buffers = r->no_validity,
                                   .n_children = ROWS_COLUMNS,
                                   .children = r->child_of};
    return r;
}

void rows_free(rows *r)
{
    for (uint32_t i = 0; r && i < ROWS_COLUMNS; i++) {
        free((void *)r->columns[i].values);
        free((void *)r->columns[i].offsets);
        free((void *)r->columns[i].data);
    }
    free(r);
}
