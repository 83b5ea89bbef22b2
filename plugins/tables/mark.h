/* How far a table was read by its cursor column: the last value, and which rows of that value were handed
 * over. It is the source's cursor, so it is durable together with the rows.
 *
 * A poll reads the rows from the last value on, that value included, and those that are known are passed
 * over. So a row that came later with an equal value is found, and none comes twice. When more rows share a
 * value than can be remembered the mark is `crowded`: then the value's rows go by the order of the key, from
 * the last one on. */
#ifndef TABLES_MARK_H
#define TABLES_MARK_H
#include "driver.h"

enum {
    MARK_VALUE_MAX = 1000, /* bytes of a value of the cursor column */
    MARK_KEY_MAX = 4000,   /* bytes of a row's key texts */
    MARK_KEYS_MAX = 8,     /* columns of a key */
    MARK_SEEN_MAX = 2000,  /* rows of one value that are remembered */
    MARK_TEXT_MAX = 65536  /* of mark_write */
};

typedef struct mark_row { /* which row it is: two hashes of its key, or of all its values */
    uint64_t a, b;
} mark_row;

typedef struct mark {
    char column[DRIVER_NAME_MAX]; /* which column's values these are; "" = there is no mark */
    bool crowded;
    char value[MARK_VALUE_MAX];
    uint32_t value_len, key_lens[MARK_KEYS_MAX], n_keys, n_seen;
    char key[MARK_KEY_MAX]; /* texts of the key columns of the last row, one after the other */
    mark_row seen[MARK_SEEN_MAX];
} mark;

/* False: it is none. Empty bytes are an empty mark. */
bool mark_read(mark *m, pst_bytes bytes);
size_t mark_write(const mark *m, uint8_t out[MARK_TEXT_MAX]);

mark_row mark_row_of(const driver_value *values, size_t n);
bool mark_is_at(const mark *m, driver_value value);
/* Takes one of the rows out of the list, if it is in it: rows that are the same in everything count. */
bool mark_take(mark_row *list, uint32_t *n, mark_row row);
/* The row was handed over. False: value or key are too long. */
bool mark_move(mark *m, driver_value value, const driver_value *keys, size_t n_keys, mark_row row);
driver_value mark_key(const mark *m, uint32_t index);
#endif
