/* One run of schema_validate; private to this folder. validate.c walks the graph and keeps errors, budget and
 * marks; the check_… functions, one a keyword, stand in validate_value.c, validate_array.c and
 * validate_object.c. */
#ifndef PENSTOCK_SCHEMA_EVALUATION_H
#define PENSTOCK_SCHEMA_EVALUATION_H
#include "schema/node.h"
#include "schema/validate.h"

/* What was evaluated: one member (its key's address) or the items [from, to). */
typedef struct mark {
    uintptr_t from, to;
} mark;

typedef struct evaluation {
    const schema *schema;
    uint64_t steps;
    uint32_t depth;
    unsigned quiet; /* > 0: in a branch whose failure is no error yet */
    schema_errors *errors;
    arena *scratch;
    status *st;
    bool failed;       /* an error has been written to st */
    status_class stop; /* not OK: give up */
    mark *marks;
    size_t n_marks, marks_room;
} evaluation;

typedef struct scope { /* resources entered, innermost first */
    const resource *resource;
    const struct scope *outer;
} scope;

typedef struct place { /* where in the value */
    const struct place *outer;
    const char *key;
    size_t index;
} place;

typedef struct frame {
    const schema_node *node;
    const json_t *value;
    const place *place;
    const scope *scope;
    const struct frame *outer;
    size_t base; /* marks above belong to this frame */
    bool marking;
} frame;

/* Is another error wanted, so that checking goes on after a failure? */
bool evaluation_wants_more(const evaluation *e);
/* Notes an error (k NULL: the schema is false) and answers false. */
__attribute__((format(printf, 4, 5))) bool evaluation_fail(evaluation *e, const frame *f,
                                                           const node_keyword *k, const char *fmt, ...);
/* Ends the run; answers false. */
bool evaluation_give_up(evaluation *e, status_class class, const char *why);
/* Takes steps off the budget; false when it is used up. */
bool evaluation_spend(evaluation *e, uint64_t steps);
bool evaluation_matches(evaluation *e, const pattern *p, const char *s, size_t len);

void evaluation_mark_items(evaluation *e, const frame *f, size_t from, size_t to);
void evaluation_mark_member(evaluation *e, const frame *f, const char *key);
void evaluation_sort_marks(evaluation *e, const frame *f);
/* Among the sorted marks [base, end). */
bool evaluation_is_marked(const evaluation *e, size_t base, size_t end, const char *key);

/* To a part of the value: marks are about another value then. */
bool evaluation_apply_part(evaluation *e, const frame *f, const schema_node *n, const json_t *part,
                           const char *key, size_t index);
/* To the value itself. */
bool evaluation_apply(evaluation *e, const frame *f, const schema_node *n);

bool check_additional_properties(evaluation *e, const frame *f, const node_keyword *k);
bool check_all_of(evaluation *e, const frame *f, const node_keyword *k);
bool check_any_of(evaluation *e, const frame *f, const node_keyword *k);
bool check_const(evaluation *e, const frame *f, const node_keyword *k);
bool check_contains(evaluation *e, const frame *f, const node_keyword *k);
bool check_dependencies(evaluation *e, const frame *f, const node_keyword *k);
bool check_dynamic_ref(evaluation *e, const frame *f, const node_keyword *k);
bool check_enum(evaluation *e, const frame *f, const node_keyword *k);
bool check_exclusive_maximum(evaluation *e, const frame *f, const node_keyword *k);
bool check_exclusive_minimum(evaluation *e, const frame *f, const node_keyword *k);
bool check_format(evaluation *e, const frame *f, const node_keyword *k);
bool check_if(evaluation *e, const frame *f, const node_keyword *k);
bool check_items(evaluation *e, const frame *f, const node_keyword *k);
bool check_max_items(evaluation *e, const frame *f, const node_keyword *k);
bool check_max_length(evaluation *e, const frame *f, const node_keyword *k);
bool check_max_properties(evaluation *e, const frame *f, const node_keyword *k);
bool check_maximum(evaluation *e, const frame *f, const node_keyword *k);
bool check_min_items(evaluation *e, const frame *f, const node_keyword *k);
bool check_min_length(evaluation *e, const frame *f, const node_keyword *k);
bool check_min_properties(evaluation *e, const frame *f, const node_keyword *k);
bool check_minimum(evaluation *e, const frame *f, const node_keyword *k);
bool check_multiple_of(evaluation *e, const frame *f, const node_keyword *k);
bool check_not(evaluation *e, const frame *f, const node_keyword *k);
bool check_one_of(evaluation *e, const frame *f, const node_keyword *k);
bool check_pattern(evaluation *e, const frame *f, const node_keyword *k);
bool check_pattern_properties(evaluation *e, const frame *f, const node_keyword *k);
bool check_prefix_items(evaluation *e, const frame *f, const node_keyword *k);
bool check_properties(evaluation *e, const frame *f, const node_keyword *k);
bool check_property_names(evaluation *e, const frame *f, const node_keyword *k);
bool check_ref(evaluation *e, const frame *f, const node_keyword *k);
bool check_required(evaluation *e, const frame *f, const node_keyword *k);
bool check_type(evaluation *e, const frame *f, const node_keyword *k);
bool check_unevaluated_items(evaluation *e, const frame *f, const node_keyword *k);
bool check_unevaluated_properties(evaluation *e, const frame *f, const node_keyword *k);
bool check_unique_items(evaluation *e, const frame *f, const node_keyword *k);
#endif
