/* Where in a JSON text a value is: `$.data.items[*]`, `.values['a b'][0]`, `$.hosts[*]~`. docs/decode.md says
 * what the words mean.
 *
 * A path is immutable and shared by threads. Following one needs the place of the row (which item each `[*]`
 * has come to) and a memo, so that walking along an array costs a step a row. */
#ifndef PENSTOCK_FLOW_JSON_PATH_H
#define PENSTOCK_FLOW_JSON_PATH_H
#include "base/arena.h"
#include "flow/json_tape.h"

#define JSON_PATH_STEPS_MAX 32
#define JSON_PATH_STARS_MAX 4
#define JSON_PATH_TEXT_MAX 500

typedef enum json_step_kind { JSON_STEP_NAME, JSON_STEP_INDEX, JSON_STEP_STAR } json_step_kind;

typedef struct json_step {
    json_step_kind kind;
    uint32_t index; /* of an item; of a star: which one of the path */
    const char *name;
    uint32_t name_len;
} json_step;

typedef struct json_path {
    bool from_root; /* `$`, otherwise from the row */
    bool name_only; /* `~` */
    uint32_t n_steps, n_stars;
    const json_step *steps;
} json_path;

/* The items that the stars of a row's path have come to; kept by the walker. */
typedef struct json_place {
    uint32_t n;
    struct {
        uint32_t index;
        uint32_t name; /* the name's node when the container is an object, else JSON_TAPE_NONE */
    } star[JSON_PATH_STARS_MAX];
} json_place;

typedef struct json_memo { /* where a star was the last time; zeroed for a new text */
    bool used;
    uint32_t container, index, node;
} json_memo;

typedef struct json_found {
    uint32_t node;  /* JSON_TAPE_NONE = nothing there */
    uint32_t index; /* number of the item that the last step took */
    bool item;      /* the last step went into an array */
    bool twice;     /* a name on the way stands twice in its object */
} json_found;

/* STATUS_INVALID: what is wrong and where in the path. */
status_class json_path_parse(arena *a, const char *s, json_path *out, status *st);
/* `memos` has one for each star. */
json_found json_path_follow(const json_path *p, json_tape *t, uint32_t row, const json_place *place,
                            json_memo memos[JSON_PATH_STARS_MAX]);

/* Visits each value that a path with stars leads to, in order. False from `visit` ends the walk. */
typedef bool (*json_path_visit)(void *arg, uint32_t node, const json_place *place);
typedef enum json_walk {
    JSON_WALK_DONE,
    JSON_WALK_NOTHING, /* a step before or at the first star found nothing, or no container for the star */
    JSON_WALK_TWICE,
    JSON_WALK_ENDED /* by `visit` */
} json_walk;
json_walk json_path_walk(const json_path *p, json_tape *t, json_path_visit visit, void *arg);
#endif
