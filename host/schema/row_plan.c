/* From the compiled graph to columns: each property's keywords are sorted into checks that the plan can do on
 * a bare value; what it cannot do makes the column deep. */
#include "schema/row_plan.h"

#include <math.h>
#include <stdlib.h>

#include "schema/node.h"
#include "schema/plan_choices.h"

#define REFERENCES_MAX 16 /* a property may be a $ref to a $ref … */

typedef struct maker {
    row_plan *plan;
    schema *schema;
    arena *arena;
    status *st;
} maker;

static void not_flat(maker *m, const schema_node *n, const char *keyword, const char *reason)
{
    if (!m->plan->flat)
        return;
    m->plan->flat = false;
    m->plan->flat_where = arena_printf(m->arena, "%s/%s", node_pointer(n, m->arena), keyword);
    m->plan->flat_reason = arena_printf(m->arena, "%s at the top level %s", keyword, reason);
}

static const node_keyword *find_keyword(const schema_node *n, keyword_kind kind)
{
    for (uint32_t i = 0; i < n->n_keywords; i++)
        if (n->keywords[i].kind == kind)
            return &n->keywords[i];
    return NULL;
}

/* A property that is nothing but a reference is what it refers to. */
static const schema_node *follow(const schema_node *n)
{
    for (int i = 0; i < REFERENCES_MAX && n->n_keywords == 1 && n->keywords[0].kind == KEYWORD_REF; i++)
        n = n->keywords[0].as.node;
    return n;
}

/* ---- types ---- */

#define TYPE_ALL 0x7fU

static uint32_t value_type(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return TYPE_OBJECT;
    case JSON_ARRAY:
        return TYPE_ARRAY;
    case JSON_STRING:
        return TYPE_STRING;
    case JSON_INTEGER:
        return TYPE_INTEGER;
    case JSON_REAL:
        return number_is_integer(v) ? TYPE_INTEGER : TYPE_NUMBER;
    case JSON_NULL:
        return TYPE_NULL;
    default:
        return TYPE_BOOLEAN;
    }
}

static uint32_t types_of_values(const json_t *array)
{
    uint32_t types = 0;
    for (size_t i = 0; i < json_array_size(array); i++)
        types |= value_type(json_array_get(array, i));
    return types;
}

/* Does the list of allowed values, if there is one, hold null? */
static bool values_hold_null(const schema_node *n)
{
    const node_keyword *list = find_keyword(n, KEYWORD_ENUM), *one = find_keyword(n, KEYWORD_CONST);
    return (!list || types_of_values(list->value) & TYPE_NULL) && (!one || json_is_null(one->value));
}

/* The types a property takes: as declared, else those of its enum or const. */
static uint32_t types_of_property(const schema_node *n)
{
    const node_keyword *type = find_keyword(n, KEYWORD_TYPE), *list = find_keyword(n, KEYWORD_ENUM);
    const node_keyword *one = find_keyword(n, KEYWORD_CONST);
    if (type)
        return type->as.types;
    if (list)
        return types_of_values(list->value);
    return one ? value_type(one->value) : TYPE_ALL;
}

static column_type type_of_string(const schema_node *n, format_kind *format)
{
    const json_t *name = json_object_get(n->source, "format");
    *format = json_is_string(name) ? format_by_name(json_string_value(name)) : FORMAT_NONE;
    switch (*format) {
    case FORMAT_DATE_TIME:
        return COLUMN_TIMESTAMP;
    case FORMAT_DATE:
        return COLUMN_DATE;
    case FORMAT_UUID:
        return COLUMN_UUID;
    default:
        return COLUMN_TEXT;
    }
}

static column_type type_of_column(const schema_node *n, uint32_t types, format_kind *format)
{
    switch (types & ~(uint32_t)TYPE_NULL) {
    case TYPE_STRING:
        return type_of_string(n, format);
    case TYPE_INTEGER:
        return COLUMN_INTEGER;
    case TYPE_NUMBER:
    case TYPE_NUMBER | TYPE_INTEGER:
        return COLUMN_NUMBER;
    case TYPE_BOOLEAN:
        return COLUMN_BOOLEAN;
    default:
        return COLUMN_JSON;
    }
}

static uint8_t json_types_of(uint32_t types)
{
    static const struct {
        uint32_t type;
        uint8_t json;
    } map[] = {{TYPE_OBJECT, JSON_TYPE_OBJECT},   {TYPE_ARRAY, JSON_TYPE_ARRAY},
               {TYPE_STRING, JSON_TYPE_STRING},   {TYPE_NUMBER, JSON_TYPE_NUMBER},
               {TYPE_INTEGER, JSON_TYPE_INTEGER}, {TYPE_BOOLEAN, JSON_TYPE_BOOLEAN}};
    unsigned out = 0;
    for (size_t i = 0; i < sizeof map / sizeof *map; i++)
        if (types & map[i].type)
            out |= map[i].json;
    return (uint8_t)out;
}

static uint32_t storable_of(column_type type)
{
    switch (type) {
    case COLUMN_TEXT:
    case COLUMN_JSON:
        return STORABLE_NO_NUL;
    case COLUMN_INTEGER:
        return STORABLE_INT64;
    case COLUMN_NUMBER:
        return STORABLE_FINITE;
    case COLUMN_TIMESTAMP:
    case COLUMN_DATE:
        return STORABLE_YEARS;
    default:
        return 0;
    }
}

/* ---- one keyword of a property ---- */

static bool is_textual(column_type type)
{
    return type == COLUMN_TEXT || type == COLUMN_TIMESTAMP || type == COLUMN_DATE || type == COLUMN_UUID;
}

/* The least integer that is at least (or above) a bound; beyond int64 no value fits, below all do. */
static void set_integer_minimum(plan_column *c, const json_t *bound, bool exclusive)
{
    int64_t min;
    if (json_is_integer(bound)) {
        min = json_integer_value(bound);
        if (exclusive && min == INT64_MAX)
            c->max_integer = INT64_MIN, c->checks |= PLAN_CHECK_MAXIMUM;
        min += exclusive && min < INT64_MAX;
    } else {
        double d = json_real_value(bound), whole = exclusive ? floor(d) + 1 : ceil(d);
        if (whole < -9223372036854775808.0)
            return;
        if (whole >= 9223372036854775808.0)
            c->max_integer = INT64_MIN, c->checks |= PLAN_CHECK_MAXIMUM;
        min = whole >= 9223372036854775808.0 ? INT64_MAX : (int64_t)whole;
    }
    if (min > c->min_integer)
        c->min_integer = min;
}

static void set_integer_maximum(plan_column *c, const json_t *bound, bool exclusive)
{
    int64_t max;
    if (json_is_integer(bound)) {
        max = json_integer_value(bound);
        if (exclusive && max == INT64_MIN)
            c->min_integer = INT64_MAX, c->checks |= PLAN_CHECK_MINIMUM;
        max -= exclusive && max > INT64_MIN;
    } else {
        double d = json_real_value(bound), whole = exclusive ? ceil(d) - 1 : floor(d);
        if (whole >= 9223372036854775808.0)
            return;
        if (whole < -9223372036854775808.0)
            c->min_integer = INT64_MAX, c->checks |= PLAN_CHECK_MINIMUM;
        max = whole < -9223372036854775808.0 ? INT64_MIN : (int64_t)whole;
    }
    if (max < c->max_integer)
        c->max_integer = max;
}

static void set_minimum(plan_column *c, const json_t *bound, bool exclusive)
{
    double d = json_number_value(bound);
    set_integer_minimum(c, bound, exclusive);
    if (d > c->min_number || (d == c->min_number && exclusive)) {
        c->min_number = d;
        c->min_exclusive = exclusive;
    }
    c->checks |= PLAN_CHECK_MINIMUM;
}

static void set_maximum(plan_column *c, const json_t *bound, bool exclusive)
{
    double d = json_number_value(bound);
    set_integer_maximum(c, bound, exclusive);
    if (d < c->max_number || (d == c->max_number && exclusive)) {
        c->max_number = d;
        c->max_exclusive = exclusive;
    }
    c->checks |= PLAN_CHECK_MAXIMUM;
}

/* Number keywords; false if it is none. */
static bool plan_number_keyword(plan_column *c, const node_keyword *k)
{
    bool numeric = c->type == COLUMN_INTEGER || c->type == COLUMN_NUMBER;
    switch (k->kind) {
    case KEYWORD_MINIMUM:
    case KEYWORD_EXCLUSIVE_MINIMUM:
        if (numeric)
            set_minimum(c, k->value, k->kind == KEYWORD_EXCLUSIVE_MINIMUM);
        return true;
    case KEYWORD_MAXIMUM:
    case KEYWORD_EXCLUSIVE_MAXIMUM:
        if (numeric)
            set_maximum(c, k->value, k->kind == KEYWORD_EXCLUSIVE_MAXIMUM);
        return true;
    case KEYWORD_MULTIPLE_OF:
        if (numeric) {
            c->divisor = k->as.divisor;
            c->checks |= PLAN_CHECK_MULTIPLE_OF;
        }
        return true;
    default:
        return false;
    }
}

/* String keywords; false if it is none. */
static bool plan_text_keyword(plan_column *c, const node_keyword *k)
{
    bool textual = is_textual(c->type);
    switch (k->kind) {
    case KEYWORD_MIN_LENGTH:
        c->min_length = k->as.count;
        c->checks |= textual ? PLAN_CHECK_LENGTH : 0U;
        return true;
    case KEYWORD_MAX_LENGTH:
        c->max_length = k->as.count;
        c->checks |= textual ? PLAN_CHECK_LENGTH : 0U;
        return true;
    case KEYWORD_PATTERN:
        c->pattern = k->as.pattern;
        c->checks |= textual ? PLAN_CHECK_PATTERN : 0U;
        return true;
    case KEYWORD_FORMAT:
        c->checks |= c->type == COLUMN_TEXT ? PLAN_CHECK_FORMAT : 0U;
        return true;
    default:
        return false;
    }
}

static void plan_values(maker *m, plan_column *c, const json_t *values)
{
    c->deep = c->deep || c->choices; /* enum and const together */
    c->choices = plan_choices_make(m->arena, values);
    c->checks |= PLAN_CHECK_ENUM;
}

/* One keyword of a scalar column's schema. */
static void plan_keyword(maker *m, plan_column *c, const node_keyword *k)
{
    if (k->kind == KEYWORD_TYPE || plan_number_keyword(c, k) || plan_text_keyword(c, k))
        return;
    if (k->kind == KEYWORD_ENUM) {
        plan_values(m, c, k->value);
        return;
    }
    if (k->kind == KEYWORD_CONST) {
        json_t *one = json_array();
        json_array_append(one, (json_t *)k->value);
        json_array_append_new(m->schema->owned, one);
        plan_values(m, c, one);
        return;
    }
    c->deep = true;
}

/* ---- one column ---- */

static bool name_fits(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > ROW_PLAN_NAME_MAX || name[0] == '_')
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    static const char *const taken[] = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (strcmp(taken[i], name) == 0)
            return false;
    return true;
}

static status_class name_refuse(maker *m, const char *name)
{
    const char *where = arena_printf(m->arena, "/properties/%.80s", name);
    return status_at(
        m->st, STATUS_INVALID, where,
        "column %.80s: a name has 1 to %u bytes, no control characters, does not begin with _ and is no "
        "system column of PostgreSQL",
        name, ROW_PLAN_NAME_MAX);
}

static void column_fill(maker *m, plan_column *c, const schema_node *property)
{
    const schema_node *n = follow(property);
    uint32_t types = types_of_property(n);
    c->node = property;
    c->source = property->source;
    c->plan = m->plan;
    c->unit = json_string_value(json_object_get(property->source, "unit"));
    c->type = type_of_column(n, types, &c->format);
    c->storable = storable_of(c->type);
    c->nullable = types & TYPE_NULL && values_hold_null(n);
    c->min_integer = INT64_MIN;
    c->max_integer = INT64_MAX;
    c->min_number = -INFINITY;
    c->max_number = INFINITY;
    c->max_length = UINT64_MAX;
    if (c->type == COLUMN_JSON) {
        c->json_types = json_types_of(types);
        c->deep = n->n_keywords > (find_keyword(n, KEYWORD_TYPE) ? 1U : 0U) || (n->is_boolean && !n->verdict);
        return;
    }
    for (uint32_t i = 0; i < n->n_keywords; i++)
        plan_keyword(m, c, &n->keywords[i]);
}

static status_class columns_fill(maker *m, const node_keyword *properties)
{
    row_plan *p = m->plan;
    const json_t *map = properties->value;
    plan_column *columns = arena_zero(m->arena, json_object_size(map) + 1, sizeof *columns);
    const char *name;
    json_t *sub;
    if (json_object_size(map) > ROW_PLAN_COLUMNS_MAX)
        return status_at(m->st, STATUS_LIMIT, "/properties", "row schema: %zu columns, at most %u",
                         json_object_size(map), ROW_PLAN_COLUMNS_MAX);
    p->columns = columns;
    json_object_foreach((json_t *)map, name, sub)
    {
        if (!name_fits(name))
            return name_refuse(m, name);
        plan_column *c = &columns[p->n_columns++];
        c->name = name;
        c->name_len = (uint32_t)strlen(name);
        column_fill(m, c, node_member_find(properties, name)->node);
    }
    return STATUS_OK;
}

/* ---- the top level ---- */

static void slots_fill(maker *m)
{
    row_plan *p = m->plan;
    uint32_t slots = 8;
    while (slots < 2 * p->n_columns)
        slots *= 2;
    p->slot_mask = slots - 1;
    p->slots = arena_zero(m->arena, slots, sizeof *p->slots);
    for (uint32_t i = 0; i < p->n_columns; i++) {
        uint32_t at = (uint32_t)name_hash(p->columns[i].name, p->columns[i].name_len) & p->slot_mask;
        while (p->slots[at])
            at = (at + 1) & p->slot_mask;
        p->slots[at] = i + 1;
    }
}

static void plan_required(maker *m, const schema_node *root, const node_keyword *k)
{
    for (size_t i = 0; i < json_array_size(k->value); i++) {
        const json_t *name = json_array_get(k->value, i);
        uint32_t hint = 0;
        int32_t at = row_plan_find(m->plan, json_string_value(name), json_string_length(name), &hint);
        if (at < 0) {
            not_flat(m, root, k->name, "names a property that is not declared");
            continue;
        }
        plan_column *c = (plan_column *)&m->plan->columns[at];
        m->plan->n_required += !c->required;
        c->required = true;
    }
}

static void plan_additional(maker *m, const schema_node *root, const node_keyword *k)
{
    const schema_node *n = k->as.additional.node;
    bool anything = n->is_boolean ? n->verdict : n->n_keywords == 0;
    if (n->is_boolean && !n->verdict)
        m->plan->additional = ROW_PLAN_REFUSE;
    else if (!anything)
        not_flat(m, root, k->name, "has rules for the properties it lets in");
}

static status_class plan_top(maker *m, const schema_node *root)
{
    for (uint32_t i = 0; i < root->n_keywords; i++) {
        const node_keyword *k = &root->keywords[i];
        switch (k->kind) {
        case KEYWORD_PROPERTIES:
            break;
        case KEYWORD_TYPE:
            if (!(k->as.types & TYPE_OBJECT))
                return status_at(m->st, STATUS_INVALID, "/type",
                                 "row schema: rows are objects, the schema refuses them");
            break;
        case KEYWORD_REQUIRED:
            plan_required(m, root, k);
            break;
        case KEYWORD_ADDITIONAL_PROPERTIES:
            plan_additional(m, root, k);
            break;
        default:
            not_flat(m, root, k->name, "is more than a list of columns");
            break;
        }
    }
    return STATUS_OK;
}

static void patterns_speed_up(schema *s)
{
    for (size_t i = 0; i < s->n_patterns && i < ROW_PLAN_COLUMNS_MAX; i++)
        pattern_speed_up(s->patterns[i]);
}

row_plan *row_plan_make(schema *compiled, status *st)
{
    maker m = {.schema = compiled, .arena = compiled->arena, .st = st};
    const schema_node *root = follow(compiled->root);
    m.plan = arena_zero(m.arena, 1, sizeof *m.plan);
    *m.plan = (row_plan){.additional = ROW_PLAN_KEEP, .flat = true, .schema = compiled};
    status_class class = STATUS_OK;
    if (root->is_boolean && !root->verdict)
        class = status_at(st, STATUS_INVALID, "", "row schema: it refuses every row");
    const node_keyword *properties = find_keyword(root, KEYWORD_PROPERTIES);
    if (class == STATUS_OK && properties)
        class = columns_fill(&m, properties);
    if (class == STATUS_OK) {
        slots_fill(&m);
        class = plan_top(&m, root);
    }
    if (class == STATUS_OK) {
        patterns_speed_up(compiled);
        return m.plan;
    }
    schema_free(compiled);
    return NULL;
}

void row_plan_free(row_plan *p)
{
    if (p)
        schema_free(p->schema); /* the plan lives in its arena */
}
