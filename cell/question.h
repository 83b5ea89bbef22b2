/* A question of the cell to its host, during a request: arguments out, results back, one at a time. */
#ifndef PENSTOCK_CELL_QUESTION_H
#define PENSTOCK_CELL_QUESTION_H
#include "cell/session.h"
#include "wire/service.h"

typedef struct question question;
struct question {
    session *s;
    frame_writer arguments; /* the caller writes them between begin and ask */
    frame_reader results;   /* after ask */
    int fd;                 /* a descriptor that came back: the caller's; -1 = none */
    wire_message message;   /* both bodies, one after the other */
};

/* PST_E_INTERNAL outside a request. Every question that was begun must be ended, and wipes what it held. */
pst_status question_begin(session *s, const pst_call *call, const char *service, uint32_t function,
                          question **out, pst_error *error);
/* Sends it and waits. The status of the host; a negative one has its error filled in. */
pst_status question_ask(question *q, pst_error *error);
void question_end(question *q); /* NULL is fine */
#endif
