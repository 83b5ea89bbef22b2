/* The messages between the host and a cell: one SEQPACKET packet each, a header of 64 bytes, for short ones a
 * body in the same packet, for long ones a frame (wire/frame.h) in the sender's arena. docs/abi/wire.md is
 * the description. Not part of the ABI: host and cell are always of one build, and a different version is
 * refused. */
#ifndef PENSTOCK_WIRE_MESSAGE_H
#define PENSTOCK_WIRE_MESSAGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WIRE_MAGIC 0x43545350U /* "PSTC" */
#define WIRE_VERSION 1
#define WIRE_BODY_MAX (32U * 1024)
#define WIRE_SOCKET_FD 3 /* in the cell */
#define WIRE_CANCEL_FD 4 /* an eventfd of the host: readable = give up */
#define WIRE_PLUGIN_FD 5 /* the object file, when the cell's user cannot reach it by path */

typedef enum wire_type {
    /* cell → host */
    WIRE_HELLO = 1, /* body: JSON, what the sandbox could apply; sent before the plugin is loaded */
    WIRE_READY,     /* the plugin is loaded */
    WIRE_RESULT,    /* answer of a request: status, frame */
    WIRE_LOG,       /* body: frame of one line */
    WIRE_SERVICE, /* body: frame (wire/service.h); the host answers with WIRE_ANSWER. Only during a request */
    WIRE_BYE,     /* body: why the cell cannot go on */
    /* both ways */
    WIRE_ARENA, /* one descriptor: the sender's new arena; arena_len: its size */
    /* host → cell */
    WIRE_ANSWER, /* of WIRE_SERVICE: status, body, maybe one descriptor */
    WIRE_STOP,   /* destroy the object and end */
    /* requests, one at a time; each is answered by exactly one WIRE_RESULT of the same sequence */
    WIRE_CONFIGURE = 32,
    WIRE_OPEN,
    WIRE_CREDIT, /* asks a source for one batch of at most `rows` rows */
    WIRE_ACK,
    WIRE_CLOSE,
    WIRE_CHECK,
    WIRE_DISCOVER,
    WIRE_RECEIVE,
    WIRE_SEND,
    WIRE_PREPARE,
    WIRE_EVALUATE,
    WIRE_TRAIN,
    WIRE_CONTEXT,
    WIRE_INFER,
    WIRE_SKIP,    /* asks a source for at most `rows` records as rejects: reading them killed the plugin */
    WIRE_WRITE,   /* rows to a sink */
    WIRE_COMMAND, /* FRAME_NUMBER: wire_command */
    WIRE_RECEIPT,
    WIRE_EXPLAIN,
    WIRE_REQUEST_END,
} wire_type;

typedef enum wire_command {
    COMMAND_LIST,
    COMMAND_SEND,
    COMMAND_FETCH,
    COMMAND_FIND,
    COMMAND_CANCEL,
} wire_command;

typedef struct wire_header {
    uint32_t magic;
    uint16_t version, type;
    uint32_t epoch;    /* which start of the cell: late messages of an earlier one are refused */
    uint32_t instance; /* 0: a cell serves one instance */
    uint64_t sequence; /* of the request; RESULT repeats it */
    uint64_t arena_len;
    uint32_t body_len;
    int32_t status;
    uint32_t rows;
    uint32_t flags;
    int64_t budget_us; /* how long the request may take */
    uint64_t reserved;
} wire_header;
_Static_assert(sizeof(wire_header) == 64, "a message begins with 64 bytes");

typedef struct wire_message {
    wire_header header;
    _Alignas(8) uint8_t body[WIRE_BODY_MAX];
    int fd; /* received beside it; -1 = none. The receiver closes it */
} wire_message;

wire_header wire_header_make(wire_type type, uint32_t epoch, uint64_t sequence);
/* False with errno. `fd` -1 = none. flags: MSG_DONTWAIT or 0. */
bool wire_send(int socket, const wire_header *header, const void *body, int fd, int flags);

typedef enum wire_arrival { WIRE_ARRIVED, WIRE_NOTHING, WIRE_ENDED, WIRE_BROKEN } wire_arrival;
/* Takes one packet and checks magic, version and lengths. NOTHING only with MSG_DONTWAIT. */
wire_arrival wire_receive(int socket, wire_message *out, int flags);
#endif
