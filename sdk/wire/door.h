/* A cell's door: what a sandboxed cell and the broker say to each other over descriptor 6, one SEQPACKET
 * packet each. The broker is the process that answers the system calls which the cell's filter does not
 * simply allow, and that resolves names and connects for it. Whoever holds the door may only ask: the broker
 * decides by the rules that the host gave it, so a plugin that speaks through the door itself gains nothing.
 */
#ifndef PENSTOCK_WIRE_DOOR_H
#define PENSTOCK_WIRE_DOOR_H
#include <stddef.h>
#include <stdint.h>

#define WIRE_DOOR_FD 6 /* in the cell */
/* Descriptors from 3 to this one belong to the cell, not to its plugin: they cannot be closed or replaced. */
#define WIRE_FDS_KEPT 6
#define DOOR_BROKER_VARIABLE "PENSTOCK_BROKER" /* of the environment: the broker's process id */
#define DOOR_NAME_MAX 4096
#define DOOR_ADDRESSES_MAX 32
#define DOOR_TEXT_MAX 384

typedef enum door_kind {
    DOOR_BEGIN = 1, /* cell's first: its filter's listener beside it, its pid, the object file as `name` */
    DOOR_RESOLVE,   /* `name` → addresses */
    DOOR_DENIED,    /* → what was refused last since the question before; "" = nothing */
} door_kind;

enum { DOOR_LANDLOCK = 1 }; /* flags of BEGIN: the kernel itself limits which files it opens */

typedef struct door_ask {
    uint32_t kind, number; /* the answer repeats both */
    uint32_t pid, flags;
    int32_t family;           /* RESOLVE: AF_INET, AF_INET6 or AF_UNSPEC */
    char name[DOOR_NAME_MAX]; /* only as far as used, with its NUL */
} door_ask;

typedef struct door_address {
    int32_t family;
    uint8_t bytes[16]; /* AF_INET: the first four */
} door_address;

typedef struct door_answer {
    uint32_t kind, number;
    int32_t error; /* RESOLVE: EAI_…; else errno; 0 = fine */
    uint32_t n;
    door_address addresses[DOOR_ADDRESSES_MAX];
    char text[DOOR_TEXT_MAX];
} door_answer;

#define DOOR_ASK_LEAST offsetof(door_ask, name)
#endif
