/* What a program writes to its standard error: lines, a few a second of which go to the log, and the last
 * one, which says why it ended. Values of the configuration's secrets are blotted out. One thread. */
#ifndef EXEC_COMPLAINTS_H
#define EXEC_COMPLAINTS_H
#include "penstock/batch.h"

enum {
    COMPLAINTS_LINE_BYTES = 1000,    /* the rest of a longer line is left out */
    COMPLAINTS_LINES = 10,           /* in the log, each second */
    COMPLAINTS_READ_BYTES = 1 << 20, /* so much is taken at once, however fast it writes */
};

typedef struct complaints {
    const pst_host *host;
    int fd;            /* -1 = closed */
    bool at_end, bare; /* bare: secrets may still stand in `last` */
    char line[COMPLAINTS_LINE_BYTES + 1], last[COMPLAINTS_LINE_BYTES + 1];
    size_t len;
    int64_t second_us; /* when the lines of this second began */
    unsigned told;
} complaints;

void complaints_begin(complaints *c, const pst_host *host, int fd); /* takes it over */
void complaints_close(complaints *c);
/* What is there; counts each line in `metric`. */
void complaints_take(complaints *c, const pst_call *call, uint32_t metric);
#endif
