/* memfd with seals. F_SEAL_FUTURE_WRITE keeps the writer's own mapping writable and every later one
 * read-only. */
#include "wire/arena.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL };

static uint8_t *make_sealed(size_t size, int *fd_out)
{
    int fd = memfd_create("penstock-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return NULL;
    void *data = MAP_FAILED;
    if (ftruncate(fd, (off_t)size) == 0)
        data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (data != MAP_FAILED && fcntl(fd, F_ADD_SEALS, SEALS) == 0) {
        *fd_out = fd;
        return data;
    }
    if (data != MAP_FAILED)
        munmap(data, size);
    close(fd);
    return NULL;
}

bool wire_arena_room(wire_arena *a, size_t size, size_t used)
{
    if (size <= a->size)
        return true;
    if (size > a->limit)
        return false;
    size_t larger = a->size ? a->size : WIRE_ARENA_FIRST;
    while (larger < size)
        larger *= 2;
    if (larger > a->limit)
        larger = a->limit;
    wire_arena grown = {.size = larger, .limit = a->limit};
    grown.data = make_sealed(larger, &grown.fd);
    if (!grown.data)
        return false;
    if (used)
        memcpy(grown.data, a->data, used);
    wire_arena_drop(a);
    *a = grown;
    return true;
}

bool wire_arena_map(wire_arena *a, int fd, uint64_t announced, size_t limit)
{
    struct stat facts;
    int seals = fcntl(fd, F_GET_SEALS);
    bool fit = seals >= 0 && (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) == (F_SEAL_SHRINK | F_SEAL_GROW) &&
               announced > 0 && announced <= limit && fstat(fd, &facts) == 0 &&
               (uint64_t)facts.st_size == announced;
    void *data = fit ? mmap(NULL, announced, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    close(fd);
    if (data == MAP_FAILED)
        return false;
    wire_arena_drop(a);
    *a = (wire_arena){.data = data, .size = announced, .limit = limit, .fd = -1};
    return true;
}

void wire_arena_drop(wire_arena *a)
{
    if (a->data) {
        munmap(a->data, a->size);
        if (a->fd >= 0)
            close(a->fd);
    }
    a->data = NULL;
    a->size = 0;
    a->fd = -1;
}
