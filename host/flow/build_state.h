/* The statements of builds (build.h), all on the service's login: what a table was built as, how far a build
 * is, the table beside, and the change of places. */
#ifndef PENSTOCK_FLOW_BUILD_STATE_H
#define PENSTOCK_FLOW_BUILD_STATE_H
#include "flow/build.h"

typedef struct build_record {
    bool has_object, has_build;
    char hash[33];     /* that the table was built by; "" = it must be built again */
    char *body;        /* its recipe, or NULL */
    int64_t oldest_us; /* of the sources; INT64_MIN = whole */
    char build_hash[33];
    build_progress progress;
} build_record;

status_class build_read(connection *c, const featurestore_plan *f, build_record *out, status *st);
void build_record_free(build_record *r);
/* Widens [*lower, *upper] to the times of the table's rows. */
status_class build_source_bounds(connection *c, const store_table *t, int64_t *lower, int64_t *upper,
                                 status *st);
/* An empty table like `t` beside it, an older one is dropped. */
status_class build_make_next(connection *c, const store_table *t, const char *role, status *st);
/* Inside the caller's transaction: the table beside takes the place of the old one, whose rows before `lower`
 * are kept when `copy_older`. */
status_class build_switch(connection *c, const store_table *t, int64_t lower_us, bool copy_older, status *st);
status_class build_insert(connection *c, const featurestore_plan *f, const build_progress *p,
                          const char *hash, status *st);
status_class build_update(connection *c, const featurestore_plan *f, const build_progress *p, status *st);
status_class build_delete(connection *c, const featurestore_plan *f, status *st);
status_class build_set_paused(connection *c, const featurestore_plan *f, bool paused, bool *found_out,
                              status *st);
status_class build_note_object(connection *c, const featurestore_plan *f, const char *hash, const char *body,
                               status *st);
/* The store must be built again, from its beginning: one that it reads was. So is what a build that is under
 * way has done. */
status_class build_forget(connection *c, const featurestore_plan *f, status *st);
/* A backfill that is under way begins again and takes the stretch in. *found_out: there is one. */
status_class build_widen(connection *c, const featurestore_plan *f, int64_t lower_us, int64_t upper_us,
                         bool *found_out, status *st);
/* Removes what an earlier first build has left in the table. */
status_class build_clear(connection *c, const store_table *t, status *st);
#endif
