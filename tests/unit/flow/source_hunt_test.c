/* A source with poison records, played without a plugin: everything else arrives, in order and once, each
 * poison record is skipped, and it does not take many deaths. The seed of a failure is printed. */
#include <stdbool.h>
#include <stdlib.h>

#include "flow/source_hunt.h"
#include "support/check.h"

enum { RECORDS_MAX = 4000, ROUNDS = 2000, READ_ROWS = 1000 };

typedef struct play {
    bool poison[RECORDS_MAX];
    uint32_t n, at; /* the durable cursor */
    uint32_t n_poison, arrived, skipped;
    unsigned deaths;
    source_hunt hunt;
} play;

static uint64_t random_state;
static uint32_t below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

static bool kills(const play *p, uint32_t rows)
{
    for (uint32_t i = p->at; i < p->at + rows && i < p->n; i++)
        if (p->poison[i])
            return true;
    return false;
}

static void read_once(play *p)
{
    static const instance_call died = {.death = PLUGIN_DEATH_SIGNAL};
    uint32_t rows = p->hunt.on ? p->hunt.next : READ_ROWS;
    if (kills(p, rows)) {
        p->deaths++;
        source_hunt_died(&p->hunt, rows, &died, 1000);
        return;
    }
    uint32_t most = 1 + below(rows),
             left = p->n - p->at; /* a source may hand over less than it is asked for */
    uint32_t n = most < left ? most : left;
    p->at += n;
    p->arrived += n;
    source_hunt_read(&p->hunt, n);
}

static void play_once(uint64_t seed)
{
    static play p;
    p = (play){0};
    random_state = seed;
    p.n = 1 + below(RECORDS_MAX);
    for (uint32_t i = below(6); i > 0; i--)
        p.poison[below(p.n)] = true;
    for (uint32_t i = 0; i < p.n; i++)
        p.n_poison += p.poison[i];
    for (unsigned turns = 0; p.at < p.n && turns < 100000; turns++) {
        if (!p.hunt.skip) {
            read_once(&p);
            continue;
        }
        assert_true(p.poison[p.at]);
        p.at++;
        p.skipped++;
        source_hunt_end(&p.hunt);
    }
    bool good = p.at == p.n && p.skipped == p.n_poison && p.arrived == p.n - p.n_poison &&
                p.deaths <= 13 * p.n_poison;
    if (!good)
        print_error("seed %llu: %u records, %u poison: %u arrived, %u skipped, %u deaths\n",
                    (unsigned long long)seed, p.n, p.n_poison, p.arrived, p.skipped, p.deaths);
    assert_true(good);
}

static void everything_but_the_poison_arrives(void **state)
{
    (void)state;
    const char *given = getenv("PENSTOCK_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 1;
    for (unsigned i = 0; i < (given ? 1 : ROUNDS); i++)
        play_once(seed + i);
}

static void a_death_by_chance_ends_the_hunt(void **state)
{
    (void)state;
    source_hunt h = {0};
    const instance_call died = {.death = PLUGIN_DEATH_EXIT};
    source_hunt_died(&h, 1000, &died, 1000);
    assert_true(h.on);
    assert_int_equal(h.next, 1000); /* the whole once more */
    source_hunt_read(&h, 1000);
    assert_false(h.on);
}

static void parts_of_a_hang_are_waited_for_less(void **state)
{
    (void)state;
    source_hunt h = {0};
    const instance_call hung = {.death = PLUGIN_DEATH_HANG};
    source_hunt_died(&h, 1000, &hung, 30000000);
    assert_int_equal(source_hunt_deadline_us(&h), 0); /* the second time as long as the first */
    source_hunt_died(&h, 1000, &hung, 30000000);
    assert_int_equal(source_hunt_deadline_us(&h), 15000000);
    for (uint32_t rows = 500; rows > 1; rows /= 2)
        source_hunt_died(&h, rows, &hung, 1);
    assert_int_equal(source_hunt_deadline_us(&h), 3000000);
}

/* Records are known to be there: a pause is cut short, once for each time that some came. */
static void a_pause_is_cut_short_once(void **state)
{
    (void)state;
    source_hunt h = {0};
    const instance_call died = {.death = PLUGIN_DEATH_SIGNAL};
    assert_false(source_hunt_renews(&h)); /* nothing is hunted */
    source_hunt_died(&h, 100, &died, 1000);
    assert_false(source_hunt_renews(&h)); /* the first death may be chance: what is there is not known */
    source_hunt_died(&h, 100, &died, 1000);
    assert_false(source_hunt_renews(&h)); /* a fresh cell that gave nothing */
    source_hunt_read(&h, 50);
    assert_true(source_hunt_renews(&h));
    assert_false(source_hunt_renews(&h));
    source_hunt_read(&h, 25);
    source_hunt_died(&h, 12, &died, 1000);
    assert_false(source_hunt_renews(&h)); /* that cell is gone */
    source_hunt_read(&h, 25);
    assert_false(source_hunt_renews(&h)); /* nothing is left */
    assert_false(h.on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_but_the_poison_arrives),
        cmocka_unit_test(a_death_by_chance_ends_the_hunt),
        cmocka_unit_test(parts_of_a_hang_are_waited_for_less),
        cmocka_unit_test(a_pause_is_cut_short_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
