/* What the functions of this module share: the two databases and the key that seals secrets. Made by app.c,
 * borrowed by everybody; immutable. The functions that take it block (SQL): lanes and start-up only. */
#ifndef PENSTOCK_CONTROL_CONTROL_H
#define PENSTOCK_CONTROL_CONTROL_H
#include "control/secret.h"
#include "control/template.h"
#include "store/pool.h"

#define CONTROL_WAIT_MS 10000

typedef struct control {
    pool *control, *data; /* base logins: the service's */
    const secret_key *key;
    char stack_id[37]; /* uuid; control_identify */
    char stack8[9];
    template_plugins plugins; /* config_schema NULL = offline */
} control;

/* Reads which stack this is; the migrations must have run. */
status_class control_identify(control *c, status *st);
#endif
