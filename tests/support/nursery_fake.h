/* A nursery that starts nothing: it remembers what was asked and answers as it was told. */
#ifndef PENSTOCK_TESTS_NURSERY_FAKE_H
#define PENSTOCK_TESTS_NURSERY_FAKE_H
#include "loop/nursery.h"

typedef struct nursery_fake {
    nursery base; /* hand out &fake.base */
    status_class
        spawn_answer;  /* STATUS_OK: children get pids 1000, 1001, … and a pidfd that is readable at once */
    nursery_exit exit; /* what every child is said to have ended with */
    unsigned spawned, released, signals;
    int last_signal;
    char last_program[256], last_arguments[1024], last_user[64]; /* arguments joined by blanks */
    bool last_outlive;
} nursery_fake;

void nursery_fake_init(nursery_fake *fake);
#endif
