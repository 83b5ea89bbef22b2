/* A tree of path segments. A node has literal children, children whose literal is a suffix of a parameter
 * (":verb"), at most one parameter child and at most one "rest" child, tried in that order. */
#include "serve/route.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

typedef enum segment { SEGMENT_LITERAL, SEGMENT_SUFFIX, SEGMENT_PARAM, SEGMENT_REST } segment;

typedef struct node {
    struct node *next, *children; /* children sorted by kind */
    segment kind;
    char *literal; /* the literal or the suffix with its ':' */
    const route *routes[HTTP_OTHER];
    unsigned rows[HTTP_OTHER];
} node;

struct route_table {
    node root;
    const route **routes;
    size_t n, cap;
};

static const char *const verb_names[] = {"read",  "write", "delete",  "run",  "send",
                                         "start", "ack",   "approve", "admin"};

const char *verb_name(verb v)
{
    for (unsigned i = 0; i < sizeof verb_names / sizeof *verb_names; i++)
        if (v == (verb)(1 << i))
            return verb_names[i];
    return "none";
}

bool verb_parse(const char *word, verb *verb_out)
{
    for (unsigned i = 0; i < sizeof verb_names / sizeof *verb_names; i++)
        if (strcmp(word, verb_names[i]) == 0) {
            *verb_out = (verb)(1 << i);
            return true;
        }
    return false;
}

route_table *route_table_create(void)
{
    return memory_zero(1, sizeof(route_table));
}

static void children_free(node *n)
{
    while (n->children) {
        node *child = n->children;
        n->children = child->next;
        children_free(child);
        free(child->literal);
        free(child);
    }
}

void route_table_free(route_table *t)
{
    if (!t)
        return;
    children_free(&t->root);
    free(t->routes);
    free(t);
}

static segment segment_kind(const char *s, size_t len, const char **literal, size_t *literal_len)
{
    *literal = s;
    *literal_len = len;
    if (!len || s[0] != '{')
        return SEGMENT_LITERAL;
    const char *close = memchr(s, '}', len);
    assert(close);
    *literal = close + 1;
    *literal_len = (size_t)(s + len - *literal);
    if (close[-1] == '*')
        return SEGMENT_REST;
    return *literal_len ? SEGMENT_SUFFIX : SEGMENT_PARAM;
}

static node *child_for(node *parent, const char *s, size_t len)
{
    const char *literal;
    size_t literal_len;
    segment kind = segment_kind(s, len, &literal, &literal_len);
    node **at = &parent->children;
    for (; *at && (*at)->kind <= kind; at = &(*at)->next)
        if ((*at)->kind == kind && strlen((*at)->literal) == literal_len &&
            memcmp((*at)->literal, literal, literal_len) == 0)
            return *at;
    node *n = memory_zero(1, sizeof *n);
    n->kind = kind;
    n->literal = memory_zero(literal_len + 1, 1);
    memcpy(n->literal, literal, literal_len);
    n->next = *at;
    *at = n;
    return n;
}

static void insist(bool fine, const route *r, const char *what)
{
    if (fine)
        return;
    fprintf(stderr, "penstock: route %s: %s\n", r->path, what);
    abort();
}

static void check_row(const route_table *t, const route *r)
{
    insist(r->path && r->path[0] == '/', r, "a path begins with /");
    insist(r->name && r->tag && r->summary, r, "name, tag and summary are missing");
    insist(r->handler && r->success >= 200 && r->success < 300, r, "handler or success is missing");
    insist(r->verb == VERB_NONE || r->reference, r, "a verb needs a reference");
    insist(r->method >= HTTP_GET && r->method < HTTP_OTHER && r->method != HTTP_HEAD, r, "method");
    for (size_t i = 0; i < t->n; i++)
        insist(strcmp(t->routes[i]->name, r->name) != 0, r, "its name is taken");
}

static void add_one(route_table *t, const route *r)
{
    check_row(t, r);
    node *n = &t->root;
    for (const char *at = r->path + 1; *at;) {
        size_t len = strcspn(at, "/");
        n = child_for(n, at, len);
        at += len + (at[len] == '/');
    }
    insist(!n->routes[r->method], r, "this method is there already");
    n->routes[r->method] = r;
    n->rows[r->method] = (unsigned)t->n;
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->routes = memory_grow(t->routes, t->cap * sizeof(const route *));
    }
    t->routes[t->n++] = r;
}

void route_table_add(route_table *t, const route *routes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_one(t, &routes[i]);
}

size_t route_table_size(const route_table *t)
{
    return t->n;
}

const route *route_table_at(const route_table *t, size_t i)
{
    assert(i < t->n);
    return t->routes[i];
}

static bool node_is_end(const node *n)
{
    for (unsigned m = HTTP_GET; m < HTTP_OTHER; m++)
        if (n->routes[m])
            return true;
    return false;
}

static bool takes(const node *n, const char *s, size_t len, size_t *value_len)
{
    size_t literal = strlen(n->literal);
    *value_len = len;
    switch (n->kind) {
    case SEGMENT_LITERAL:
        return literal == len && memcmp(n->literal, s, len) == 0;
    case SEGMENT_SUFFIX:
        *value_len = len - literal;
        return len > literal && memcmp(s + len - literal, n->literal, literal) == 0;
    case SEGMENT_PARAM:
        return len > 0 && !memchr(s, ':', len);
    default:
        *value_len = strlen(s);
        return *value_len > 0;
    }
}

typedef struct walk {
    const char *values[HTTP_PARAMS_MAX];
    size_t lens[HTTP_PARAMS_MAX];
} walk;

/* Depth is bounded by the templates; `at` is what is left of the path after a '/'. */
static const node *find(const node *n, const char *at, walk *w, unsigned depth)
{
    if (!*at)
        return node_is_end(n) ? n : NULL;
    size_t len = strcspn(at, "/");
    for (const node *child = n->children; child; child = child->next) {
        size_t value_len;
        if (!takes(child, at, len, &value_len))
            continue;
        unsigned deeper = depth + (child->kind != SEGMENT_LITERAL);
        if (deeper > HTTP_PARAMS_MAX)
            continue;
        if (deeper > depth) {
            w->values[depth] = at;
            w->lens[depth] = value_len;
        }
        const char *rest = child->kind == SEGMENT_REST ? "" : at + len + (at[len] == '/' && at[len + 1]);
        if (*rest == '/')
            continue; /* a trailing or doubled slash is another path */
        const node *found = find(child, rest, w, deeper);
        if (found)
            return found;
    }
    return NULL;
}

/* Names come from the route that won; values were found on the way. */
static bool name_params(const route *r, const walk *w, arena *a, route_match *out)
{
    for (const char *at = r->path; (at = strchr(at, '{')); at++) {
        size_t len = strcspn(at + 1, "*}");
        char *value = http_unescape(a, w->values[out->n_params], w->lens[out->n_params], false);
        if (!value)
            return false;
        out->params[out->n_params++] = (http_pair){arena_string_n(a, at + 1, len), value};
    }
    return true;
}

void route_table_match(const route_table *t, http_method method, const char *raw_path, arena *a,
                       route_match *out)
{
    *out = (route_match){0};
    walk w;
    const node *n = raw_path[0] == '/' ? find(&t->root, raw_path + 1, &w, 0) : NULL;
    if (!n)
        return;
    for (unsigned m = HTTP_GET; m < HTTP_OTHER; m++)
        if (n->routes[m])
            out->allowed |= 1U << m;
    if (n->routes[HTTP_GET])
        out->allowed |= 1U << HTTP_HEAD;
    method = method == HTTP_HEAD ? HTTP_GET : method;
    const route *r = n->routes[method];
    if (r && name_params(r, &w, a, out)) {
        out->route = r;
        out->row = n->rows[method];
    }
}
