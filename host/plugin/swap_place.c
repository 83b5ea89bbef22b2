/* What replacing a cell needs to know of an instance, noted as calls go by: how far an open source is acked,
 * the last good question of a metric engine or a model; who holds the instance; and whether its plugin is
 * unloaded. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/keep.h"
#include "plugin/instance_private.h"
#include "plugin/instance_swap.h"

void instance_set_end_swaps(instance_set *set)
{
    atomic_store(&set->no_swaps, true);
}

void instance_unload(instance *in, bool unloaded)
{
    pthread_mutex_lock(&in->lock);
    bool changed = in->swap.unloaded != unloaded;
    in->swap.unloaded = unloaded;
    if (changed && unloaded)
        instance_drop_cell(in, DEADLINE_STOP_MS);
    if (changed) {
        supervise_reset(&in->supervisor);
        swap_forget_answer(in);
        facts_condition(in, unloaded ? INSTANCE_UNLOADED : INSTANCE_STOPPED);
    }
    pthread_mutex_unlock(&in->lock);
}

/* ---- What the calls tell ---- */

static void note_cursor(kept_cursor *c, const void *cursor, size_t len)
{
    c->data = keep_grow(c->data, len);
    if (len)
        memcpy(c->data, cursor, len);
    c->len = len;
}

void swap_note_open(instance *in, const void *cursor, size_t len)
{
    note_cursor(&in->swap.acked, cursor, len);
    in->swap.owed = false;
}

void swap_note_handed(instance *in, const void *cursor, size_t len)
{
    note_cursor(&in->swap.owing, cursor, len);
    /* Rows without a cursor come again after an OPEN only if the source can replay them. */
    in->swap.owed |= len || (in->source_flags & PST_SOURCE_REPLAYS);
}

void swap_note_acked(instance *in, const void *cursor, size_t len)
{
    note_cursor(&in->swap.acked, cursor, len);
    if (in->swap.owing.len == len && len && memcmp(in->swap.owing.data, cursor, len) == 0)
        in->swap.owed = false;
}

void swap_note_answered(instance *in, const exchange *x, const frame_writer *w)
{
    int64_t now = clock_monotonic_us();
    if ((x->type != WIRE_INFER && x->type != WIRE_EVALUATE) || w->len > SWAP_CANARY_MAX_BYTES ||
        (in->swap.canary.len && now - in->swap.canary_us < SWAP_CANARY_FRESH_US))
        return;
    pthread_mutex_lock(&in->facts_lock);
    text_clear(&in->swap.canary);
    text_add_n(&in->swap.canary, w->data, w->len);
    in->swap.canary_type = x->type;
    in->swap.canary_rows = x->rows;
    in->swap.canary_us = now;
    pthread_mutex_unlock(&in->facts_lock);
}

void swap_forget_answer(instance *in)
{
    pthread_mutex_lock(&in->facts_lock);
    text_free(&in->swap.canary);
    pthread_mutex_unlock(&in->facts_lock);
}

void swap_reconfigured(instance *in, const json_t *config)
{
    char *complete = instance_config_text(config), *given = instance_config_text(config);
    swap_forget_answer(in);
    pthread_mutex_lock(&in->facts_lock);
    keep_free(in->config);
    keep_free(in->given);
    in->config = complete;
    in->given = given;
    in->swap.configured++;
    pthread_mutex_unlock(&in->facts_lock);
}

/* ---- The place ---- */

void swap_place_init(instance *in)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&in->swap.settled, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void swap_place_end(instance *in)
{
    pthread_mutex_lock(&in->facts_lock);
    in->swap.ending = true;
    pthread_cond_broadcast(&in->swap.settled);
    while (in->swap.holds)
        pthread_cond_wait(&in->swap.settled, &in->facts_lock);
    pthread_mutex_unlock(&in->facts_lock);
}

void swap_place_free(instance *in)
{
    pthread_cond_destroy(&in->swap.settled);
    keep_free(in->swap.acked.data);
    keep_free(in->swap.owing.data);
    text_free(&in->swap.canary);
}

void instance_unhold(instance *in)
{
    pthread_mutex_lock(&in->facts_lock);
    in->swap.holds--;
    pthread_cond_broadcast(&in->swap.settled);
    pthread_mutex_unlock(&in->facts_lock);
}

uint64_t instance_set_round(instance_set *set)
{
    return atomic_fetch_add(&set->rounds, 1) + 1;
}

instance *instance_set_next(instance_set *set, const char *plugin_id, uint64_t round)
{
    instance *found = NULL;
    pthread_mutex_lock(&set->lock);
    for (instance *in = set->first; in && !found; in = in->next) {
        pthread_mutex_lock(&in->facts_lock);
        if (in->swap.round < round && (!plugin_id || strcmp(in->plugin->id, plugin_id) == 0)) {
            in->swap.round = round;
            in->swap.holds++;
            found = in;
        }
        pthread_mutex_unlock(&in->facts_lock);
    }
    pthread_mutex_unlock(&set->lock);
    return found;
}

void instance_hash(instance *in, char out[65])
{
    pthread_mutex_lock(&in->facts_lock);
    out[0] = '\0';
    strncat(out, in->plugin->hash, 64);
    pthread_mutex_unlock(&in->facts_lock);
}

const char *instance_workspace(const instance *in)
{
    return in->workspace;
}

const char *instance_name(const instance *in)
{
    return in->name;
}
