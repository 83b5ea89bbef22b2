/* Finds schemas that apply themselves to the same value without end: a cycle of in-place applicators. Depth
 * first with colours, on a stack of its own, so chains of any length are fine. */
#include <stdlib.h>

#include "schema/compiler.h"

enum { WHITE, GREY, BLACK };

/* The i-th schema that this keyword applies to the same value, or NULL after the last. */
static const schema_node *in_place(const node_keyword *k, uint32_t i)
{
    const schema_node *three[3];
    switch (k->kind) {
    case KEYWORD_REF:
    case KEYWORD_NOT:
        return i == 0 ? k->as.node : NULL;
    case KEYWORD_DYNAMIC_REF:
        return i == 0 && !k->as.dynamic.anchor ? k->as.dynamic.node : NULL;
    case KEYWORD_ALL_OF:
    case KEYWORD_ANY_OF:
    case KEYWORD_ONE_OF:
        return i < k->as.list.n ? k->as.list.items[i] : NULL;
    case KEYWORD_IF:
        three[0] = k->as.branch.condition;
        three[1] = k->as.branch.then ? k->as.branch.then : k->as.branch.condition;
        three[2] = k->as.branch.otherwise ? k->as.branch.otherwise : k->as.branch.condition;
        return i < 3 ? three[i] : NULL;
    case KEYWORD_DEPENDENCIES:
    case KEYWORD_DEPENDENT_SCHEMAS:
        for (uint32_t at = 0; at < k->as.members.n; at++)
            if (k->as.members.items[at].node && i-- == 0)
                return k->as.members.items[at].node;
        return NULL;
    default:
        return NULL;
    }
}

typedef struct visit {
    schema_node *node;
    uint32_t keyword, next;
} visit;

typedef struct visits {
    visit *items;
    size_t n, room;
} visits;

static void push(visits *v, const schema_node *n)
{
    if (v->n == v->room) {
        v->room = v->room ? v->room * 2 : 64;
        v->items = memory_grow(v->items, v->room * sizeof(visit));
    }
    schema_node *mine = (schema_node *)n;
    mine->colour = GREY;
    v->items[v->n++] = (visit){.node = mine};
}

/* Goes to the next neighbour of the node on top; a grey one closes a cycle. */
static bool visit_step(visits *v)
{
    visit *top = &v->items[v->n - 1];
    while (top->keyword < top->node->n_keywords) {
        const schema_node *next = in_place(&top->node->keywords[top->keyword], top->next++);
        if (!next) {
            top->keyword++;
            top->next = 0;
        } else if (next->colour == GREY) {
            return false;
        } else if (next->colour == WHITE) {
            push(v, next);
            return true;
        }
    }
    top->node->colour = BLACK;
    v->n--;
    return true;
}

status_class compiler_check_loops(compiler *c)
{
    visits v = {0};
    status_class class = STATUS_OK;
    for (size_t i = 0; i < c->schema->n_nodes && class == STATUS_OK; i++) {
        if (c->schema->nodes[i]->colour != WHITE)
            continue;
        push(&v, c->schema->nodes[i]);
        while (v.n && class == STATUS_OK) {
            const visit *top = &v.items[v.n - 1];
            if (!visit_step(&v))
                class = compiler_fail(c, top->node, top->node->keywords[top->keyword].name, STATUS_INVALID,
                                      "refers to itself without end");
        }
    }
    free(v.items);
    return class;
}
