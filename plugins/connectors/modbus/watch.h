/* Which device is to be read when, and how each is doing. A group of points that was not answered is left
 * alone for a while, and the longer the more of them there are: silence costs the others a quarter of the
 * time at most. A device that misses twice in a row is left alone as a whole, until one request of it is
 * answered. What a device refuses is told when it begins or changes, not at each reading. One thread. */
#ifndef MODBUS_WATCH_H
#define MODBUS_WATCH_H
#include "map.h"

enum {
    WATCH_DEVICES_MAX = 100,
    WATCH_PAUSE = 4,   /* time-outs that a silent group is left alone, for each that is silent */
    WATCH_QUIET = 2,   /* time-outs that nothing is asked of a device whose late answer could be mistaken */
    WATCH_MISSES = 3,  /* in a row, of devices that should answer: the connection is dead */
    WATCH_SUSPECT = 2, /* in a row, of one device: it is left alone as a whole */
};

typedef struct device {
    const char *name;
    uint8_t unit;
    bool answers;                   /* since the connection was opened */
    unsigned misses;                /* in a row */
    uint32_t late;                  /* a bit for each group whose last request was not answered */
    int64_t due_us[MAP_GROUPS_MAX]; /* wall clock, on the group's grid */
} device;

typedef struct watch {
    const map *map;
    device devices[WATCH_DEVICES_MAX];
    size_t n, next; /* next: where the next round begins */
    int64_t timeout_us;
    bool numbered;    /* answers name their request: one that comes late does no harm */
    bool heard;       /* somebody has answered since the connection was opened */
    unsigned misses;  /* in a row, of devices that should answer */
    const char **why; /* for each device and block: what it says instead of values, NULL = values */
} watch;

/* Reads /devices. `map` is borrowed. */
pst_status watch_make(watch *w, const pst_host *host, const map *map, int64_t timeout_us, bool numbered,
                      pst_error *error);
void watch_free(watch *w);
/* There is a new connection: nobody is known, and everything is due. */
void watch_opened(watch *w);

bool watch_due(const watch *w, const device *d, size_t group, int64_t now_us);
int64_t watch_next_due(const watch *w); /* of all */
/* The group is read now; when next. */
void watch_begin(const watch *w, device *d, size_t group, int64_t now_us);
/* A request of it was answered (a refusal is an answer), or not. */
void watch_answered(watch *w, device *d, size_t group, int64_t now_us);
void watch_silent(watch *w, device *d, size_t group, int64_t now_us);
/* `why` NULL: it gave values; a constant otherwise. True: that is news. */
bool watch_note(watch *w, const device *d, size_t block, const char *why);

/* Nobody answers any more, or those that did fall silent one after the other. */
bool watch_is_dead(const watch *w);
/* What is wrong with some of them; "" if nothing is. */
void watch_words(const watch *w, char *out, size_t cap);
#endif
