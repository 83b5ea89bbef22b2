/* What has been received and not been answered yet, and what the cursor says about it.
 *
 * Answers (PUBACK, PUBREC, PUBCOMP) belong to a batch and go out, in the order of their packets, when the
 * batch is durable. For QoS 2 the identifiers that were received and not released by the broker are *held*:
 * they stand in the cursor, which becomes durable together with the rows, so a message that the broker sends
 * again after a crash is known. An identifier leaves the cursor before PUBCOMP is sent, and only after it may
 * the broker use it for another message. So each message of QoS 2 is one row, whatever dies when.
 *
 * Where several brokers serve in turn, what is held of those that do not serve is parked, and is part of the
 * cursor too: each of them sends its own messages again when we are back. */
#ifndef MQTT_FLIGHT_H
#define MQTT_FLIGHT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outgoing.h"

enum {
    FLIGHT_PARKED_MAX = 3,
    FLIGHT_CURSOR_MAX = 32 + 8192 + FLIGHT_PARKED_MAX * (16 + 8192),
    FLIGHT_WAITING_MAX = 131072
};

typedef struct flight_answer {
    uint64_t batch;
    uint16_t id;
    uint8_t kind;
} flight_answer;

typedef struct flight {
    uint64_t batch;         /* the one that is being made */
    uint64_t place;         /* which broker and client the cursor is of */
    flight_answer *waiting; /* in order, from `first` */
    size_t first, n, cap;
    uint8_t held[8192]; /* a bit for each identifier */
    size_t n_held;
    uint8_t *parked; /* as in the cursor; NULL = nothing */
    size_t parked_len;
} flight;

/* Begins at a cursor; false: it is none of ours. One of another place counts as none. */
bool flight_open(flight *f, uint64_t place, const void *cursor, size_t len);
void flight_free(flight *f);
/* Goes on with another broker, or with another connection to the same: what waits for its answer is sent
 * again by whom it is of. False: no memory. */
bool flight_move(flight *f, uint64_t place);
bool flight_is_quiet(const flight *f); /* nothing waits for its answer */
void flight_forget_held(flight *f);    /* the broker has no session: it will not send again */
bool flight_holds(const flight *f, uint16_t id);
/* PUBREC for it waits for its batch. */
bool flight_waits(const flight *f, uint16_t id);
/* A message of QoS 1 or 2, or its release, is part of the batch. False: no memory, or more than a broker may
 * send. */
bool flight_add(flight *f, uint8_t qos, uint16_t id);
bool flight_release(flight *f, uint16_t id);
/* The cursor after the batch that is being made, which ends with it. */
size_t flight_cut(flight *f, uint8_t cursor[FLIGHT_CURSOR_MAX]);
/* The batch of that cursor, and those before it, are durable: their answers. False: no cursor of ours. */
bool flight_answer_up_to(flight *f, const void *cursor, size_t len, outgoing *out);
#endif
