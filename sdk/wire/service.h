/* What a cell may ask its host during a request: a WIRE_SERVICE message names a service and the number of one
 * of its functions, and has the arguments behind them; WIRE_ANSWER has the status, the results, or a
 * FRAME_ERROR, and maybe one descriptor. So a new service needs no new message. The numbers are private to
 * host and cell; the services as plugins see them are in penstock/plugin.h. */
#ifndef PENSTOCK_WIRE_SERVICE_H
#define PENSTOCK_WIRE_SERVICE_H
#include <stdint.h>

#define SERVICE_QUESTIONS_MAX 10000 /* of one request; further ones are answered with PST_E_RESOURCE */

/* Values behind config properties of format "penstock-secret"; not a service of its own for plugins.
 *   FETCH  FRAME_TEXT reference                          → FRAME_VALUE */
#define SERVICE_SECRETS "penstock.secrets"
enum { SERVICE_SECRETS_FETCH };

/* OPEN  FRAME_PATH                                       → a descriptor
 * FIND  FRAME_PATH                                       → FRAME_FILE
 * LIST  FRAME_PATH, FRAME_KEY pattern, FRAME_VALUE after (maybe), FRAME_NUMBER at most so many
 *                                                        → FRAME_FILE …; status PST_END: there are no more */
#define SERVICE_FILES "penstock.files"
enum { SERVICE_FILES_OPEN, SERVICE_FILES_FIND, SERVICE_FILES_LIST };

/* Expected and returned versions are FRAME_AT: uint64.
 * GET     FRAME_KEY                                      → FRAME_AT version, FRAME_VALUE
 * PUT     FRAME_KEY, FRAME_AT int64[2] expected, expires_us, FRAME_VALUE → FRAME_AT version
 * REMOVE  FRAME_KEY, FRAME_AT expected
 * LIST    FRAME_TEXT prefix, FRAME_KEY after (maybe), FRAME_NUMBER at most so many → FRAME_KEY, FRAME_AT … */
#define SERVICE_STATE "penstock.state"
enum { SERVICE_STATE_GET, SERVICE_STATE_PUT, SERVICE_STATE_REMOVE, SERVICE_STATE_LIST };

/* TAKE    FRAME_NAME provider, FRAME_VALUE service_take   → FRAME_VALUE service_taken
 * FORGET  FRAME_NAME provider, FRAME_VALUE service_take   (only its ticket counts) */
#define SERVICE_LIMIT "penstock.limit"
enum { SERVICE_LIMIT_TAKE, SERVICE_LIMIT_FORGET };

/* TELL    FRAME_TEXT                                     → */
#define SERVICE_HEALTH "penstock.health"
enum { SERVICE_HEALTH_TELL };

/* START   →                                              a descriptor: what it writes
 * ERRORS  →                                              a descriptor: what it writes to its standard error
 * ENDED   →                                              FRAME_AT int32: code, or minus the signal; status
 * PST_IDLE: it runs STOP    → */
#define SERVICE_PROGRAM "penstock.program"
enum { SERVICE_PROGRAM_START, SERVICE_PROGRAM_ERRORS, SERVICE_PROGRAM_ENDED, SERVICE_PROGRAM_STOP };

typedef struct service_take {
    double units, per_second, burst;
    int64_t max_wait_us;
    uint64_t ticket; /* 0 = it has none yet */
} service_take;
typedef struct service_taken {
    int64_t wait_us; /* 0 = go; else ask again then, with the ticket */
    uint64_t ticket; /* 0 with a wait: it would take longer than max_wait_us */
} service_taken;

typedef struct service_file { /* of FRAME_FILE; its name follows, with its NUL */
    uint64_t device, inode;
    int64_t bytes, modified_us;
} service_file;
#endif
