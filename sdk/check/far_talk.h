/* What the protocols of the far side share. One connection; functions return when it is over. */
#ifndef PENSTOCK_CHECK_FAR_TALK_H
#define PENSTOCK_CHECK_FAR_TALK_H
#include <stdbool.h>
#include <stdio.h>

#include "check/far_side.h"

typedef struct far_peer {
    FILE *in;
    int out;
    FILE *told; /* what it was told goes there too */
    bool refuses;
    const char *answer; /* http: the body that is answered; s3: the object */
} far_peer;

void far_say(const far_peer *p, const void *data, size_t len);
void far_talk_mqtt(far_peer *p);
void far_talk_modbus(far_peer *p);
void far_talk_nats(far_peer *p);
/* Not one connection, but all of them. */
void far_program_start(const char *program, far_mode mode, far_side *out);
void far_talk_postgres(far_peer *p);
void far_talk_s3(far_peer *p);
#endif
