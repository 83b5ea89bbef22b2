#include "flow/json_path.h"

#include <ctype.h>
#include <string.h>

/* ---- reading ---- */

typedef struct path_reader {
    arena *a;
    const char *text, *p;
    json_step steps[JSON_PATH_STEPS_MAX];
    uint32_t n, stars;
    status *st;
} path_reader;

static status_class fault(const path_reader *r, const char *what)
{
    status_class class = status_set(r->st, STATUS_INVALID, "the path %.100s: %s (character %zu)", r->text,
                                    what, (size_t)(r->p - r->text) + 1);
    status_hint(r->st, "steps are .name, ['any name'], [3] and [*]");
    return class;
}

static status_class add_step(path_reader *r, json_step step)
{
    if (r->n == JSON_PATH_STEPS_MAX)
        return fault(r, "more than 32 steps");
    if (step.kind == JSON_STEP_STAR && r->stars == JSON_PATH_STARS_MAX)
        return fault(r, "more than 4 [*]");
    if (step.kind == JSON_STEP_STAR)
        step.index = r->stars++;
    r->steps[r->n++] = step;
    return STATUS_OK;
}

static status_class add_name(path_reader *r, const char *from, size_t len)
{
    return add_step(r, (json_step){.kind = JSON_STEP_NAME,
                                   .name = arena_string_n(r->a, from, len),
                                   .name_len = (uint32_t)len});
}

static status_class bare_name(path_reader *r)
{
    const char *from = r->p;
    while (isalnum((unsigned char)*r->p) || *r->p == '_' || *r->p == '-' || (unsigned char)*r->p >= 0x80)
        r->p++;
    if (r->p == from)
        return fault(r, "a name was expected");
    return add_name(r, from, (size_t)(r->p - from));
}

static status_class quoted_name(path_reader *r)
{
    char quote = *r->p++;
    const char *from = r->p, *end = strchr(from, quote);
    if (!end || end[1] != ']')
        return fault(r, "the name in brackets is not closed");
    r->p = end + 2;
    return add_name(r, from, (size_t)(end - from));
}

static status_class index_number(path_reader *r)
{
    uint32_t index = 0;
    const char *from = r->p;
    for (; isdigit((unsigned char)*r->p) && r->p - from < 9; r->p++)
        index = index * 10 + (uint32_t)(*r->p - '0');
    if (r->p == from || *r->p != ']')
        return fault(r, "a number, * or a name in quotes was expected");
    r->p++;
    return add_step(r, (json_step){.kind = JSON_STEP_INDEX, .index = index});
}

static status_class in_brackets(path_reader *r)
{
    r->p++;
    if (*r->p == '\'' || *r->p == '"')
        return quoted_name(r);
    if (strncmp(r->p, "*]", 2) != 0)
        return index_number(r);
    r->p += 2;
    return add_step(r, (json_step){.kind = JSON_STEP_STAR});
}

/* `.name`, `[…]` or `.[…]`. */
static status_class read_step(path_reader *r)
{
    bool dot = *r->p == '.';
    if (dot && r->p[1] != '[') {
        r->p++;
        return bare_name(r);
    }
    r->p += dot;
    return *r->p == '[' ? in_brackets(r) : fault(r, "a step was expected");
}

status_class json_path_parse(arena *a, const char *s, json_path *out, status *st)
{
    path_reader r = {.a = a, .text = s, .p = s, .st = st};
    status_class class = STATUS_OK;
    *out = (json_path){.from_root = *s == '$'};
    if (strlen(s) > JSON_PATH_TEXT_MAX)
        return status_set(st, STATUS_INVALID, "a path has at most %d characters", JSON_PATH_TEXT_MAX);
    if (*s != '$' && *s != '.')
        return fault(&r, "it must begin with $ or a dot");
    r.p += *s == '$' || strcmp(s, ".") == 0;
    while (class == STATUS_OK && *r.p && *r.p != '~')
        class = read_step(&r);
    if (class == STATUS_OK && *r.p == '~' && r.p[1])
        return fault(&r, "~ stands at the end");
    if (class == STATUS_OK && *r.p == '~' && r.n == 0)
        return fault(&r, "~ stands behind a step");
    out->name_only = *r.p == '~';
    out->n_steps = r.n;
    out->n_stars = r.stars;
    out->steps = arena_copy(a, r.steps, r.n * sizeof *r.steps);
    return class;
}

/* ---- following ---- */

static uint32_t item_of(const json_tape *t, uint32_t container, uint32_t index, json_memo *memo)
{
    bool known = memo && memo->used && memo->container == container && memo->index <= index;
    uint32_t at = known ? memo->index : 0;
    uint32_t node = known ? memo->node : json_tape_first(t, container);
    for (; node != JSON_TAPE_NONE && at < index; at++)
        node = json_tape_after(t, container, node);
    if (memo && node != JSON_TAPE_NONE)
        *memo = (json_memo){true, container, at, node};
    return node;
}

static bool same_text(json_tape *t, uint32_t a, uint32_t b)
{
    const json_node *x = &t->nodes[a], *y = &t->nodes[b];
    return !x->escaped && !y->escaped && x->length == y->length &&
           memcmp(t->text + x->at, t->text + y->at, x->length) == 0;
}

/* The member that is called as the row's own: in the same place of its object as a rule. */
static uint32_t namesake(json_tape *t, uint32_t object, uint32_t name, uint32_t index, json_memo *memo,
                         bool *twice)
{
    uint32_t guess = item_of(t, object, index, memo);
    if (guess != JSON_TAPE_NONE && same_text(t, json_tape_name(guess), name))
        return guess;
    text copy = {0};
    json_text says = json_tape_says(t, name);
    text_add_n(&copy, says.data, says.len); /* what is said lives only until the next one */
    uint32_t found = json_tape_member(t, object, text_or_empty(&copy), copy.len, twice);
    text_free(&copy);
    return found;
}

static uint32_t step_star(const json_step *s, json_tape *t, uint32_t at, const json_place *place,
                          json_memo *memos, bool *twice)
{
    if (s->index >= place->n)
        return JSON_TAPE_NONE;
    uint32_t index = place->star[s->index].index, name = place->star[s->index].name;
    bool object = t->nodes[at].kind == JSON_KIND_OBJECT;
    if (object != (name != JSON_TAPE_NONE))
        return JSON_TAPE_NONE;
    return object ? namesake(t, at, name, index, &memos[s->index], twice)
                  : item_of(t, at, index, &memos[s->index]);
}

json_found json_path_follow(const json_path *p, json_tape *t, uint32_t row, const json_place *place,
                            json_memo memos[JSON_PATH_STARS_MAX])
{
    json_found f = {.node = p->from_root ? 0 : row};
    for (uint32_t i = 0; i < p->n_steps && f.node != JSON_TAPE_NONE && !f.twice; i++) {
        const json_step *s = &p->steps[i];
        uint32_t at = f.node;
        f.item = t->nodes[at].kind == JSON_KIND_ARRAY;
        f.index = s->kind == JSON_STEP_STAR && s->index < place->n ? place->star[s->index].index : s->index;
        if (s->kind == JSON_STEP_NAME)
            f.node = json_tape_member(t, at, s->name, s->name_len, &f.twice);
        else if (s->kind == JSON_STEP_INDEX)
            f.node = f.item ? item_of(t, at, s->index, NULL) : JSON_TAPE_NONE;
        else
            f.node = step_star(s, t, at, place, memos, &f.twice);
    }
    return f;
}

/* ---- walking ---- */

typedef struct walker {
    const json_path *p;
    json_tape *t;
    json_path_visit visit;
    void *arg;
    json_place place;
    struct {
        uint32_t container, child, step; /* step: the one behind the star */
    } open[JSON_PATH_STARS_MAX];
} walker;

/* From step *i on to the next star or the end. */
static uint32_t to_star(walker *w, uint32_t at, uint32_t *i, bool *twice)
{
    for (; at != JSON_TAPE_NONE && *i < w->p->n_steps && w->p->steps[*i].kind != JSON_STEP_STAR; ++*i) {
        const json_step *s = &w->p->steps[*i];
        if (s->kind == JSON_STEP_NAME)
            at = json_tape_member(w->t, at, s->name, s->name_len, twice);
        else
            at = w->t->nodes[at].kind == JSON_KIND_ARRAY ? item_of(w->t, at, s->index, NULL) : JSON_TAPE_NONE;
    }
    return at;
}

static void note_place(walker *w, uint32_t star)
{
    uint32_t container = w->open[star].container, child = w->open[star].child;
    bool object = w->t->nodes[container].kind == JSON_KIND_OBJECT;
    w->place.star[star].name = object ? json_tape_name(child) : JSON_TAPE_NONE;
}

/* At a star: its container is opened. False: there is nothing in it. */
static bool enter(walker *w, uint32_t container, uint32_t step)
{
    uint32_t child = json_tape_first(w->t, container), star = w->place.n;
    if (child == JSON_TAPE_NONE)
        return false;
    w->open[star].container = container;
    w->open[star].child = child;
    w->open[star].step = step + 1;
    w->place.star[star].index = 0;
    w->place.n++;
    note_place(w, star);
    return true;
}

/* The innermost star that has another item goes on to it; without one the walk is over. */
static bool advance(walker *w)
{
    while (w->place.n > 0) {
        uint32_t star = w->place.n - 1;
        uint32_t next = json_tape_after(w->t, w->open[star].container, w->open[star].child);
        if (next != JSON_TAPE_NONE) {
            w->open[star].child = next;
            w->place.star[star].index++;
            note_place(w, star);
            return true;
        }
        w->place.n--;
    }
    return false;
}

/* From the innermost star's item: a value to visit, or deeper stars. What is not there has no rows. */
static json_walk descend(walker *w)
{
    bool twice = false;
    for (;;) {
        uint32_t star = w->place.n - 1, i = w->open[star].step;
        uint32_t at = to_star(w, w->open[star].child, &i, &twice);
        if (twice)
            return JSON_WALK_TWICE;
        if (at == JSON_TAPE_NONE)
            return JSON_WALK_DONE;
        if (i == w->p->n_steps)
            return w->visit(w->arg, at, &w->place) ? JSON_WALK_DONE : JSON_WALK_ENDED;
        if (!enter(w, at, i))
            return JSON_WALK_DONE;
    }
}

json_walk json_path_walk(const json_path *p, json_tape *t, json_path_visit visit, void *arg)
{
    walker w = {.p = p, .t = t, .visit = visit, .arg = arg};
    uint32_t i = 0;
    bool twice = false;
    uint32_t at = to_star(&w, 0, &i, &twice);
    if (twice)
        return JSON_WALK_TWICE;
    if (at == JSON_TAPE_NONE)
        return JSON_WALK_NOTHING;
    if (t->nodes[at].kind == JSON_KIND_NULL)
        return JSON_WALK_DONE;
    if (i == p->n_steps)
        return visit(arg, at, &w.place) ? JSON_WALK_DONE : JSON_WALK_ENDED;
    if (t->nodes[at].kind < JSON_KIND_ARRAY)
        return JSON_WALK_NOTHING;
    if (!enter(&w, at, i))
        return JSON_WALK_DONE;
    do {
        json_walk end = descend(&w);
        if (end != JSON_WALK_DONE)
            return end;
    } while (advance(&w));
    return JSON_WALK_DONE;
}
