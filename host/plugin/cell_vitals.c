/* Small files of /proc, read whole into a buffer on the stack. */
#include "plugin/cell_vitals.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 96, FILE_SIZE = 4096, FLAG_EXITING = 4 /* the kernel's PF_EXITING */ };

static const char *read_small(const char *path, char content[FILE_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, content, FILE_SIZE - 1);
    if (fd >= 0)
        close(fd);
    content[n > 0 ? n : 0] = '\0';
    return content;
}

static int64_t status_bytes(const char *status, const char *name)
{
    const char *at = strstr(status, name);
    return at ? strtoll(at + strlen(name), NULL, 10) * 1024 : 0;
}

int64_t cell_vitals_memory_bytes(pid_t pid)
{
    char path[PATH_SIZE], content[FILE_SIZE];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    const char *status = read_small(path, content);
    return status_bytes(status, "RssAnon:") + status_bytes(status, "RssShmem:");
}

/* schedstat: time on a processor, time waiting for one (both ns), number of turns. */
static int64_t thread_waited_us(pid_t pid, const char *thread)
{
    char path[PATH_SIZE], content[FILE_SIZE];
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", (int)pid, thread);
    const char *second = strchr(read_small(path, content), ' ');
    return second ? strtoll(second, NULL, 10) / 1000 : 0;
}

int64_t cell_vitals_waited_us(pid_t pid)
{
    char path[PATH_SIZE];
    int64_t most = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (!threads)
        return 0;
    for (const struct dirent *t; (t = readdir(threads));) {
        int64_t waited = *t->d_name == '.' ? 0 : thread_waited_us(pid, t->d_name);
        most = waited > most ? waited : most;
    }
    closedir(threads);
    return most;
}

/* stat: pid, (name), state, and then numbers, the sixth of them the kernel's flags. The name may hold
 * anything, so it is passed over from behind. */
bool cell_vitals_ending(pid_t pid)
{
    char path[PATH_SIZE], content[FILE_SIZE];
    unsigned flags;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const char *rest = strrchr(read_small(path, content), ')');
    return !rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1 || (flags & FLAG_EXITING) != 0;
}
