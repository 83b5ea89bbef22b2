/* A row is known by a digest of where it was to go, the plugin's hash and the row's JSON, which stands in its
 * dead letter as `request`: that is how a row is buried once only, and how the ward finds its rows again
 * after a restart. */
#include "flow/poison.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/keep.h"
#include "base/log.h"
#include "base/random.h"
#include "flow/dead_letter.h"
#include "plugin/instance_swap.h"
#include "plugin/suspect.h"

enum { POOL_WAIT_MS = 5000, SLOTS_FIRST = 256, STAGES_MAX = 1024 };

struct poison_ward {
    pool *data;
    int32_t wid;
    pthread_mutex_t lock;
    char (*slots)[DIGEST_TEXT_SIZE]; /* open addressing; "" = empty; NULL: none is known */
    uint32_t n_slots, n_known;
    char **stages; /* that have any */
    uint32_t n_stages;
    bool loaded;
};

poison_ward *poison_ward_create(pool *data, int32_t wid)
{
    poison_ward *w = keep_zero(1, sizeof *w);
    w->data = data;
    w->wid = wid;
    pthread_mutex_init(&w->lock, NULL);
    return w;
}

void poison_ward_free(poison_ward *w)
{
    if (!w)
        return;
    for (uint32_t i = 0; i < w->n_stages; i++)
        free(w->stages[i]);
    free(w->stages);
    free(w->slots);
    pthread_mutex_destroy(&w->lock);
    keep_free(w);
}

static void drop_known(poison_ward *w)
{
    for (uint32_t i = 0; i < w->n_stages; i++)
        free(w->stages[i]);
    w->n_stages = w->n_known = 0;
    free(w->slots);
    w->slots = NULL;
    w->n_slots = 0;
    w->loaded = false;
}

void poison_ward_forget(poison_ward *w)
{
    pthread_mutex_lock(&w->lock);
    drop_known(w);
    pthread_mutex_unlock(&w->lock);
}

/* ---- What is known; the lock is held ---- */

static char *slot_of(const poison_ward *w, const char *digest)
{
    char head[9] = {0};
    memcpy(head, digest, 8);
    uint32_t i = (uint32_t)strtoul(head, NULL, 16) & (w->n_slots - 1);
    while (w->slots[i][0] && strcmp(w->slots[i], digest) != 0)
        i = (i + 1) & (w->n_slots - 1);
    return w->slots[i];
}

static void grow(poison_ward *w)
{
    char(*old)[DIGEST_TEXT_SIZE] = w->slots;
    uint32_t n = w->n_slots;
    w->n_slots = n ? n * 2 : SLOTS_FIRST;
    w->slots = memory_zero(w->n_slots, sizeof *w->slots);
    for (uint32_t i = 0; i < n; i++)
        if (old[i][0])
            memcpy(slot_of(w, old[i]), old[i], DIGEST_TEXT_SIZE);
    free(old);
}

static bool has_stage(const poison_ward *w, const char *stage)
{
    for (uint32_t i = 0; i < w->n_stages; i++)
        if (strcmp(w->stages[i], stage) == 0)
            return true;
    return false;
}

static void remember(poison_ward *w, const char *stage, const char *digest)
{
    if (w->n_known * 2 >= w->n_slots)
        grow(w);
    char *slot = slot_of(w, digest);
    if (!slot[0] && w->n_known < POISON_KNOWN_MAX) {
        snprintf(slot, DIGEST_TEXT_SIZE, "%s", digest);
        w->n_known++;
    }
    if (has_stage(w, stage) || w->n_stages == STAGES_MAX)
        return;
    w->stages = memory_grow(w->stages, (w->n_stages + 1) * sizeof(char *));
    w->stages[w->n_stages++] = memory_string(stage);
}

/* From the dead letters, once; not while the database is away. */
static void load(poison_ward *w)
{
    char sql[200];
    status st;
    connection *c;
    rows *found = NULL;
    if (w->loaded || !w->data || pool_borrow(w->data, NULL, POOL_WAIT_MS, &c, &st) != STATUS_OK)
        return;
    snprintf(sql, sizeof sql,
             "SELECT origin, request FROM penstock.dead_letter_wid%d WHERE code = 'poison' ORDER BY id DESC "
             "LIMIT %d",
             (int)w->wid, POISON_KNOWN_MAX);
    statement list = {"list poison rows", sql};
    w->loaded = connection_run(c, &list, NULL, 0, &found, &st) == STATUS_OK;
    for (uint32_t i = 0; w->loaded && i < rows_count(found); i++) {
        const char *origin = rows_text(found, i, 0), *digest = rows_text(found, i, 1);
        if (origin && digest && strlen(digest) == DIGEST_TEXT_SIZE - 1)
            remember(w, origin, digest);
    }
    rows_free(found);
    pool_return(w->data, c);
}

static void digest_of(char out[DIGEST_TEXT_SIZE], const poison_place *place, const char *row, size_t len)
{
    char hash[65];
    text all = {0};
    instance_hash(place->plugin, hash);
    text_printf(&all, "%s\n%s\n", place->stage, hash);
    text_add_n(&all, row, len);
    digest_text(out, all.data, all.len);
    text_free(&all);
}

bool poison_any(const poison_place *place)
{
    poison_ward *w = place->ward;
    if (!w)
        return false;
    pthread_mutex_lock(&w->lock);
    load(w);
    bool any = has_stage(w, place->stage);
    pthread_mutex_unlock(&w->lock);
    return any;
}

bool poison_is(const poison_place *place, const char *row, size_t len)
{
    char digest[DIGEST_TEXT_SIZE];
    poison_ward *w = place->ward;
    if (!w)
        return false;
    digest_of(digest, place, row, len);
    pthread_mutex_lock(&w->lock);
    bool known = w->slots && slot_of(w, digest)[0] != '\0';
    pthread_mutex_unlock(&w->lock);
    return known;
}

/* ---- Burying ---- */

static void say_why(char *out, size_t size, instance *plugin, const instance_call *death, unsigned attempts)
{
    char name[INSTANCE_PLUGIN_MAX];
    instance_plugin(plugin, name, sizeof name);
    if (death->death == PLUGIN_DEATH_SIGNAL)
        snprintf(out, size, "the plugin %s was %s on this row, %u attempts", name, death->cause, attempts);
    else
        snprintf(out, size, "the plugin %s %s on this row (%s), %u attempts", name,
                 death->death == PLUGIN_DEATH_HANG ? "hung" : "died", death->cause, attempts);
}

/* Whether it was buried before: found over again after a restart, say. */
static status_class find_letter(connection *c, int32_t wid, const char *digest, bool *there_out, status *st)
{
    char sql[160];
    rows *found;
    snprintf(sql, sizeof sql,
             "SELECT 1 FROM penstock.dead_letter_wid%d WHERE code = 'poison' AND request = $1 LIMIT 1",
             (int)wid);
    statement look = {"look for a poison row", sql};
    const value param = value_text(digest);
    status_class class = connection_run(c, &look, &param, 1, &found, st);
    if (class == STATUS_OK) {
        *there_out = rows_count(found) > 0;
        rows_free(found);
    }
    return class;
}

static status_class bury_once(connection *c, const dead_letter *letter, status *st)
{
    bool there = false;
    letter_book *letters = letter_book_create(NULL);
    ledger_book *ledger = ledger_book_create(LEDGER_OTHERS);
    status_class class = connection_begin(c, st);
    if (class == STATUS_OK)
        class = find_letter(c, letter->wid, letter->request, &there, st);
    if (class == STATUS_OK && !there)
        class = dead_letter_write(letters, c, ledger, letter, st);
    if (class == STATUS_OK)
        class = ledger_book_write(ledger, c, st);
    if (class == STATUS_OK)
        class = connection_commit(c, st);
    else
        connection_rollback(c);
    ledger_book_free(ledger);
    letter_book_free(letters);
    return class;
}

static status_class write_letter(const poison_place *place, const rejected_row *row, const char *digest,
                                 status *st)
{
    connection *c;
    dead_letter letter = {.wid = place->ward->wid,
                          .store = place->store,
                          .origin = place->stage,
                          .request = digest,
                          .received_us = clock_wall_us(),
                          .row = *row};
    status_class class = pool_borrow(place->ward->data, NULL, POOL_WAIT_MS, &c, st);
    if (class != STATUS_OK)
        return class;
    class = bury_once(c, &letter, st);
    pool_return(place->ward->data, c);
    return class;
}

/* `death`: the call in which the row killed the plugin last. */
static status_class poison_bury(const poison_place *place, const char *row, size_t len,
                                const instance_call *death, unsigned attempts, status *st)
{
    char digest[DIGEST_TEXT_SIZE], why[500];
    if (!place->ward)
        return STATUS_OK;
    digest_of(digest, place, row, len);
    say_why(why, sizeof why, place->plugin, death, attempts);
    rejected_row dead = {.code = "poison",
                         .pointer = "",
                         .detail = why,
                         .bytes = row,
                         .len = len < REJECTED_BYTES_MAX ? len : REJECTED_BYTES_MAX,
                         .form = REJECTED_JSON,
                         .attempts = (uint16_t)(attempts < UINT16_MAX ? attempts : UINT16_MAX),
                         .signal = death->cause};
    status_class class = write_letter(place, &dead, digest, st);
    if (class != STATUS_OK)
        return status_wrap(st, "a row that kills a plugin cannot be put aside");
    log_warn("poison", "a row was put aside", LOG_NUMBER("wid", place->ward->wid),
             LOG_TEXT("stage", place->stage), LOG_TEXT("reason", why));
    pthread_mutex_lock(&place->ward->lock);
    remember(place->ward, place->stage, digest);
    pthread_mutex_unlock(&place->ward->lock);
    return STATUS_OK;
}

/* ---- The hunt ---- */

enum { HANG_LEAST_US = 1000000, HANG_SHARE = 10 };

enum { NONE_FINE_MAX = 3 }; /* rows that kill, and none that does not: it is the plugin, not the rows */

typedef struct victim {
    struct victim *next;
    text json;
    instance_call death;
    unsigned attempts;
} victim;

typedef struct chase {
    poison_hunt *hunt;
    const instance_call *death; /* of the whole batch */
    int64_t took_us;
    unsigned cancels;
    instance_call last; /* the newest death */
    uint16_t *attempts; /* by row: deaths that it was part of */
    victim *victims;
    uint32_t n_victims;
    bool worked;
    status *st;
    status_class class;
} chase;

/* Part of a batch that hung need not be waited for as long as the whole. */
static int64_t deadline_of(const chase *c, uint32_t n)
{
    if (c->death->death != PLUGIN_DEATH_HANG || n == c->hunt->n_rows)
        return 0;
    int64_t share = c->took_us * n / c->hunt->n_rows;
    int64_t least = c->took_us / HANG_SHARE > HANG_LEAST_US ? c->took_us / HANG_SHARE : HANG_LEAST_US;
    return share > least ? share : least;
}

static suspect_outcome try_rows(void *arg, uint32_t first, uint32_t n)
{
    chase *c = arg;
    instance_call call = {.suspect = true,
                          .deadline_us = deadline_of(c, n),
                          .trace = c->death->trace,
                          .work_id = c->death->work_id,
                          .subject = c->death->subject};
    if (!c->worked && c->n_victims >= NONE_FINE_MAX) {
        c->class = status_set(c->st, STATUS_UNAVAILABLE, "%s: the plugin dies whatever rows it is given: %s",
                              c->hunt->place.stage, c->last.cause);
        return SUSPECT_STOP;
    }
    if (instance_cancels(c->hunt->place.plugin) != c->cancels) {
        c->class = status_set(c->st, STATUS_CANCELLED, "the work was cancelled");
        return SUSPECT_STOP;
    }
    status_class class = c->hunt->run(c->hunt->arg, first, n, &call, c->st);
    c->worked = c->worked || class == STATUS_OK;
    if (class == STATUS_OK)
        return SUSPECT_FINE;
    if (!instance_call_suspicious(&call)) {
        c->class = class;
        return SUSPECT_STOP;
    }
    c->last = call;
    for (uint32_t i = first; i < first + n; i++)
        c->attempts[i]++;
    return SUSPECT_DIED;
}

static void on_poison(void *arg, uint32_t row)
{
    chase *c = arg;
    victim *v = memory_zero(1, sizeof *v);
    *v = (victim){.next = c->victims, .death = c->last, .attempts = c->attempts[row] + 1U};
    c->hunt->on_poison(c->hunt->arg, row, &v->json);
    c->victims = v;
    c->n_victims++;
}

/* All of them, or an error: then the work is done over again, and finds those that are buried already. */
static status_class bury_all(chase *c)
{
    status_class class = c->class;
    while (c->victims) {
        victim *v = c->victims;
        c->victims = v->next;
        if (class == STATUS_OK)
            class = poison_bury(&c->hunt->place, text_or_empty(&v->json), v->json.len, &v->death, v->attempts,
                                c->st);
        text_free(&v->json);
        free(v);
    }
    return class;
}

status_class poison_hunt_run(poison_hunt *hunt, const instance_call *death, int64_t took_us, status *st)
{
    chase c = {.hunt = hunt,
               .death = death,
               .took_us = took_us,
               .cancels = instance_cancels(hunt->place.plugin),
               .attempts = memory_zero(hunt->n_rows, sizeof *c.attempts),
               .st = st,
               .class = STATUS_OK};
    suspect_hunt find = {.try_rows = try_rows, .on_poison = on_poison, .arg = &c};
    suspect_outcome outcome = suspect_find(&find, 0, hunt->n_rows);
    free(c.attempts);
    hunt->n_poison = c.n_victims;
    hunt->tries = find.tries;
    status_class class = bury_all(&c);
    if (class == STATUS_OK && c.n_victims)
        instance_absolve(hunt->place.plugin, c.n_victims, c.worked);
    if (class == STATUS_OK && outcome == SUSPECT_DIED)
        class = status_set(st, STATUS_UNAVAILABLE,
                           "%s: more rows kill the plugin than are sorted out at once (%u so far): %s",
                           hunt->place.stage, c.n_victims, c.last.cause);
    return class;
}
