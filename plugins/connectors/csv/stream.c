#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static bool is_gzip(const char *path)
{
    size_t len = strlen(path);
    return len > 3 && !strcmp(path + len - 3, ".gz");
}

bool stream_open(stream *s, int fd, const char *path)
{
    *s = (stream){.fd = fd};
    if (!is_gzip(path))
        return true;
    int copy = fcntl(s->fd, F_DUPFD_CLOEXEC, 0); /* gzclose closes its own */
    s->gz = copy < 0 ? NULL : gzdopen(copy, "rb");
    if (s->gz)
        return true;
    if (copy >= 0)
        close(copy);
    stream_close(s);
    return false;
}

void stream_close(stream *s)
{
    if (s->gz)
        gzclose_r(s->gz);
    if (s->fd >= 0)
        close(s->fd);
    *s = (stream){.fd = -1};
}

ssize_t stream_read(stream *s, void *out, size_t len)
{
    ssize_t n;
    if (!s->gz) {
        do
            n = read(s->fd, out, len);
        while (n < 0 && errno == EINTR);
        return n;
    }
    n = gzread(s->gz, out, (unsigned)len);
    int error = Z_OK;
    if (n <= 0)
        gzerror(s->gz, &error);
    s->torn = s->torn || error == Z_DATA_ERROR || error == Z_BUF_ERROR;
    return n < 0 && s->torn ? 0 : n;
}

bool stream_skip(stream *s, uint64_t offset)
{
    if (!s->gz) {
        struct stat now;
        return !fstat(s->fd, &now) && (uint64_t)now.st_size >= offset &&
               lseek(s->fd, (off_t)offset, SEEK_SET) >= 0;
    }
    char waste[16384];
    if (gzrewind(s->gz))
        return false;
    while (offset) {
        ssize_t n = stream_read(s, waste, offset < sizeof waste ? offset : sizeof waste);
        if (n <= 0)
            return false;
        offset -= (uint64_t)n;
    }
    return true;
}
