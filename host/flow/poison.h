/* Poison: rows that kill a plugin. A workspace's ward knows them, buries each once as a dead letter (code
 * `poison`, with the row as JSON, and in its detail the plugin with version and hash, how it died and after
 * how many attempts), and answers whether a row is one, so that it kills nothing again until the row changes
 * or the plugin's file does.
 *
 * What is known lives in memory, and is read back from the dead letters after a restart. Any thread. */
#ifndef PENSTOCK_FLOW_POISON_H
#define PENSTOCK_FLOW_POISON_H
#include <stdbool.h>

#include "base/text.h"
#include "plugin/instance.h"
#include "store/pool.h"

#define POISON_KNOWN_MAX                                                               \
    100000 /* rows of a workspace; beyond, what is found is buried, but not remembered \
            */

typedef struct poison_ward poison_ward;

/* `data`: the service's login. */
poison_ward *poison_ward_create(pool *data, int32_t wid);
void poison_ward_free(poison_ward *w); /* NULL is fine */

/* The plugin and the place that a row was to go through: "model:judge". `stage` outlives the calls. */
typedef struct poison_place {
    poison_ward *ward; /* NULL: nothing is known and nothing buried */
    instance *plugin;
    const char *stage;
    const char *store; /* as the dead letter names it */
} poison_place;

/* Are there any for this place? Cheap; if not, poison_is need not be asked row by row. */
bool poison_any(const poison_place *place);
bool poison_is(const poison_place *place, const char *row, size_t len);

/* Letters were thrown away: what is known is read from them again, so that those rows are tried again. */
void poison_ward_forget(poison_ward *w);

/* ---- The hunt: after a call that ended in a suspicious death ---- */

typedef struct poison_hunt {
    poison_place place;
    uint32_t n_rows; /* that were in hand */
    /* Runs rows first … first+n through the plugin and keeps what comes out. Called with rows in ascending
     * order, each row that is no poison exactly once with success. `call` is to be handed on to the instance.
     */
    status_class (*run)(void *arg, uint32_t first, uint32_t n, instance_call *call, status *st);
    /* The row is poison: leave it out from now on, and say what it is. */
    void (*on_poison)(void *arg, uint32_t row, text *json_out);
    void *arg;
    /* out */
    uint32_t n_poison;
    unsigned tries;
} poison_hunt;

/* OK: every row went through or was buried. Else what stands in the way, in `st`; what was kept must be
 * dropped. `death`: the call that died, `took_us`: how long that was. */
status_class poison_hunt_run(poison_hunt *hunt, const instance_call *death, int64_t took_us, status *st);
#endif
