/* inotify, put on anew before each round: adding a watch that exists is free, and new sub-folders are picked
 * up. */
#include "plugin/watch.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/arena.h"

enum {
    EVENTS = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB | IN_DELETE_SELF
};

struct watch {
    int inotify, stop;
    const char *const *folders;
    size_t n_folders;
    void (*on_settled)(void *arg);
    void *arg;
    pthread_t thread;
};

/* False if a folder is not there. */
static bool put_on(const watch *w)
{
    bool all = true;
    for (size_t i = 0; i < w->n_folders; i++) {
        DIR *listing = opendir(w->folders[i]);
        if (!listing || inotify_add_watch(w->inotify, w->folders[i], EVENTS) < 0)
            all = false;
        for (struct dirent *item; listing && (item = readdir(listing));) {
            char path[4096];
            if (item->d_type == DT_DIR && item->d_name[0] != '.' &&
                snprintf(path, sizeof path, "%s/%s", w->folders[i], item->d_name) < (int)sizeof path)
                inotify_add_watch(w->inotify, path, EVENTS);
        }
        if (listing)
            closedir(listing);
    }
    return all;
}

typedef enum woken { WOKEN_STOP, WOKEN_CHANGE, WOKEN_TIME } woken;

static woken wait_for(const watch *w, int timeout_ms)
{
    struct pollfd watched[2] = {{.fd = w->stop, .events = POLLIN}, {.fd = w->inotify, .events = POLLIN}};
    poll(watched, 2, timeout_ms);
    if (watched[0].revents)
        return WOKEN_STOP;
    _Alignas(struct inotify_event) char events[4096];
    bool any = false;
    while (watched[1].revents && read(w->inotify, events, sizeof events) > 0)
        any = true;
    return any ? WOKEN_CHANGE : WOKEN_TIME;
}

static void *watch_main(void *arg)
{
    watch *w = arg;
    woken why = WOKEN_CHANGE;
    bool all_there = put_on(w);
    while (why != WOKEN_STOP) {
        while (why == WOKEN_CHANGE)
            why = wait_for(w, WATCH_QUIET_MS);
        if (why == WOKEN_STOP)
            break;
        w->on_settled(w->arg);
        do {
            why = wait_for(w, all_there ? -1 : WATCH_MISSING_MS);
            bool before = all_there;
            all_there = put_on(w);
            if (why == WOKEN_TIME && all_there && !before)
                why = WOKEN_CHANGE;
        } while (why == WOKEN_TIME);
    }
    return NULL;
}

status_class watch_start(const char *const *folders, size_t n_folders, void (*on_settled)(void *arg),
                         void *arg, watch **watch_out, status *st)
{
    watch *w = memory_zero(1, sizeof *w);
    *w = (watch){.folders = folders, .n_folders = n_folders, .on_settled = on_settled, .arg = arg};
    w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    w->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int failed = w->inotify < 0 || w->stop < 0 ? errno : pthread_create(&w->thread, NULL, watch_main, w);
    *watch_out = failed ? NULL : w;
    if (!failed)
        return STATUS_OK;
    if (w->inotify >= 0)
        close(w->inotify);
    if (w->stop >= 0)
        close(w->stop);
    free(w);
    return status_errno(st, failed, "cannot watch the plugin folders");
}

void watch_stop(watch *w)
{
    if (!w)
        return;
    eventfd_write(w->stop, 1);
    pthread_join(w->thread, NULL);
    close(w->inotify);
    close(w->stop);
    free(w);
}
