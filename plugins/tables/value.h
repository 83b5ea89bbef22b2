/* The texts that databases give for values, as values of a batch: read first, so that a row that cannot be
 * one is left out as a whole. Pure functions, but for value_zone. */
#ifndef TABLES_VALUE_H
#define TABLES_VALUE_H
#include "driver.h"

typedef struct value { /* what a text says; `text` borrows it */
    bool null, flag;
    int64_t number; /* integers, times in µs */
    double real;
    driver_value text;
} value;

/* The clock that DRIVER_LOCAL is by, for the whole process: an IANA name; false: there is none of that name.
 */
bool value_zone(const char *zone);
/* NULL, or why the text is no value of its column's kind. json may be NULL: then JSON is not looked into. */
const char *value_read(const pst_host *host, const pst_json_service *json, driver_kind kind,
                       driver_value from, value *out);
void value_set(pst_builder *b, int column, driver_kind kind, const value *v);
pst_type value_type(driver_kind kind);

/* A place on a line, so that texts can be compared and moved: whole numbers, times in µs, dates in days.
 * Kinds without one: false. */
bool value_order(driver_kind kind, driver_value from, int64_t *out);
/* The text of a place: what value_order was given. Returns its length. */
size_t value_of_order(driver_kind kind, int64_t order, char out[64]);
/* What `overlap` means in places: seconds for times, days begun for dates, units for whole numbers. */
int64_t value_overlap(driver_kind kind, double overlap);
#endif
