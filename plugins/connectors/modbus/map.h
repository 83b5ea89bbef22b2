/* Which registers mean what, which requests read them, and how their words become values. Made once from the
 * configuration; afterwards constant. */
#ifndef MODBUS_MAP_H
#define MODBUS_MAP_H
#include "frame.h"
#include "penstock/batch.h"

enum { MAP_POINTS_MAX = 500, MAP_GROUPS_MAX = 20 };

typedef enum map_type {
    MAP_U16,
    MAP_S16,
    MAP_U32,
    MAP_S32,
    MAP_U64,
    MAP_S64,
    MAP_F32,
    MAP_F64,
    MAP_STRING,
    MAP_BIT
} map_type;

typedef struct map_point {
    const char *name;
    frame_table table;
    uint16_t address, n; /* registers, or bits of coils and inputs */
    map_type type;
    bool low_word_first, low_byte_first;
    int bit; /* of a register, with MAP_BIT */
    bool scaled;
    double scale, offset;
    int column;
    size_t group;
} map_point;

typedef struct map_block { /* one request */
    frame_table table;
    uint16_t from, n;
    size_t first, end; /* its points */
} map_block;

typedef struct map_group { /* what is read together, each every_us */
    int64_t every_us;
    size_t first, end; /* its blocks */
} map_group;

typedef struct map {
    map_point points[MAP_POINTS_MAX]; /* by group, table, address */
    size_t n_points;
    map_block blocks[MAP_POINTS_MAX];
    size_t n_blocks;
    map_group groups[MAP_GROUPS_MAX];
    size_t n_groups;
} map;

/* Reads /points, /every_ms, /gap and /max_registers, and makes a column for each point. */
pst_status map_read(const pst_host *host, pst_builder *builder, map *out, pst_error *error);
/* The point's value from the answer of its block, into the row that is being made. False: it has none (NaN,
 * no text). */
bool map_set(const map_point *p, const map_block *b, const uint8_t *data, pst_builder *builder);
#endif
