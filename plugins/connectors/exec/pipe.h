/* One end of a pipe that a program writes to: bytes are read as they come and cut into records. A record that
 * is longer than the limit is passed over to its end. */
#ifndef EXEC_PIPE_H
#define EXEC_PIPE_H
#include <stdbool.h>
#include <stddef.h>

typedef struct pipe_reader {
    int fd; /* -1 = closed */
    bool quotes, at_end, skipping;
    size_t limit, have, used, too_long; /* too_long: records passed over since it was asked */
    char *buffer;                       /* limit + a chunk */
} pipe_reader;

bool pipe_reader_make(pipe_reader *p, size_t limit, bool quotes);
void pipe_reader_begin(pipe_reader *p, int fd); /* takes it over */
void pipe_reader_close(pipe_reader *p);
void pipe_reader_free(pipe_reader *p);
/* What is there now; false: nothing (at_end: nothing will come). Does not wait. */
bool pipe_reader_fill(pipe_reader *p);
/* The next whole record, without its line end; false: more bytes are needed. Lives until the next call. */
bool pipe_reader_cut(pipe_reader *p, const char **record, size_t *len);
#endif
