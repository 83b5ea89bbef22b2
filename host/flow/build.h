/* Builds: a featurestore computed whole, or for a stretch of time, from what its sources hold.
 *
 *   first      a new store: into its table
 *   beside     a changed definition: into {key}__next_wid{N}. Readers see the old rows, which the old
 * definition keeps fresh while its buckets are those of the new one; when everything is there the tables
 * change places in one transaction, and what depends on the store is built again from it. backfill   asked
 * for: a stretch of the table is computed again
 *
 * Newest first, in slices whose size follows the time they take, so that one never holds up the refresh for
 * long; between slices the build rests (share). Its state is a row of penstock.build, moved after each slice:
 * a host that dies repeats at most one slice, which changes nothing. Rows that come during a build are marked
 * as always and computed by featurestore_step, into both tables.
 *
 * Owned by the tenant's lane. Rows are computed on the workspace's login, everything else is the service's.
 */
#ifndef PENSTOCK_FLOW_BUILD_H
#define PENSTOCK_FLOW_BUILD_H
#include <jansson.h>

#include "flow/featurestore.h"

#define BUILD_SLICE_US 500000  /* that a slice should take */
#define BUILD_SHARE_DEFAULT 50 /* percent of its time that a build computes; the rest it leaves to others */

typedef enum build_kind { BUILD_NONE, BUILD_FIRST, BUILD_BESIDE, BUILD_BACKFILL } build_kind;

typedef struct build_progress {
    build_kind kind;
    bool paused;
    int64_t lower_us, upper_us, cursor_us; /* [cursor, upper) is done */
    int64_t started_us, busy_us;
    uint64_t rows;
    char problem[256];
} build_progress;

typedef struct build {
    const featurestore_plan *f;
    bool known; /* looked up since it was last changed by somebody */
    build_progress now;
    arena *arena;              /* of the plans below */
    featurestore_plan *beside; /* into the next table; NULL unless BUILD_BESIDE */
    featurestore_plan *old; /* what the table is kept fresh by while BUILD_BESIDE; NULL = it stands still */
    int64_t span_us;        /* of the next slice */
    int64_t rest_until_us;  /* wall time */
    int64_t oldest_us;      /* the sources are complete from here on */
} build;

void build_init(build *b, const featurestore_plan *f);
void build_release(build *b);
/* Finds out what is to be built and begins it: `c` is the service's, `role` the workspace's login. */
status_class build_look(build *b, connection *c, const char *role, status *st);
/* The next slice, on the workspace's login, then its progress, on the service's; and the end of the build,
 * when everything is there. */
status_class build_slice(build *b, connection *workspace, connection *service, status *st);
/* Whether build_slice has something to do now. */
bool build_due(const build *b, int64_t now_us);
/* How long it rests after a slice of `took_us`. */
int64_t build_rest_us(int64_t took_us, unsigned share);
/* What a refresh computes while it is so. */
refresh_order build_order(const build *b);
/* 0 … 100. */
double build_percent(const build_progress *p);
/* {kind, percent, from, to, rows, paused, started, eta_seconds, problem}; a new reference, NULL when nothing
 * is built. */
json_t *build_json(const build_progress *p, int64_t now_us);

/* Asked for by people, on the service's login; the tenant looks again afterwards. STATUS_CONFLICT while
 * another build of the store is under way. Bounds are widened to borders of buckets. */
status_class build_backfill(const featurestore_plan *f, connection *c, int64_t from_us, int64_t to_us,
                            status *st);
status_class build_read_progress(const featurestore_plan *f, connection *c, build_progress *out, status *st);
/* STATUS_NOT_FOUND when nothing is built. */
status_class build_pause(const featurestore_plan *f, connection *c, bool paused, status *st);
#endif
