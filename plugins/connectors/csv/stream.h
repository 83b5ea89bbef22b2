/* The bytes of a file in order: plain, or gzip by its name's ending. */
#ifndef CSV_STREAM_H
#define CSV_STREAM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct stream {
    int fd;    /* -1 = closed */
    void *gz;  /* gzFile, or NULL */
    bool torn; /* gzip data is damaged or ends early */
} stream;

/* Takes `fd` over; `path` says whether it is gzip. False: no memory. */
bool stream_open(stream *s, int fd, const char *path);
void stream_close(stream *s); /* closed is fine */
/* 0: nothing (more) there now; -1: errno. After the end of a plain file, later calls see what was appended.
 */
ssize_t stream_read(stream *s, void *out, size_t len);
/* Goes to `offset`, seen from the start of the file and of this stream. False: it ends before. */
bool stream_skip(stream *s, uint64_t offset);
#endif
