/* Every message of the tree is visited by its descriptor, so a node type that nobody thought of is met too:
 * it is refused, because only the kinds listed here pass. Scopes of CTEs are kept as PostgreSQL sees them. */
#include "store/sql_tree.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "store/table.h"

extern const char sql_functions[];

#define FUNCTIONS_MAX 512
#define DEPTH_MAX \
    10000 /* of nodes: never met under the token limit; the stack of sql_guard takes ten times as many */

/* ---- allow-lists ---- */

typedef enum function_kind {
    FUNCTION_UNKNOWN,
    FUNCTION_PLAIN,
    FUNCTION_AGGREGATE,
    FUNCTION_NEIGHBOURS
} function_kind;

static struct {
    const char *name;
    function_kind kind;
} functions[FUNCTIONS_MAX];
static size_t n_functions;
static pthread_once_t functions_read = PTHREAD_ONCE_INIT;

static int compare_functions(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void read_line(char *line)
{
    char *rest = NULL;
    const char *kind = strtok_r(line, " ", &rest);
    if (!kind || *kind == '#')
        return;
    function_kind k = *kind == 'p' ? FUNCTION_PLAIN : *kind == 'a' ? FUNCTION_AGGREGATE : FUNCTION_NEIGHBOURS;
    for (char *word; (word = strtok_r(NULL, " ", &rest)) && n_functions < FUNCTIONS_MAX; n_functions++) {
        functions[n_functions].name = word;
        functions[n_functions].kind = k;
    }
}

static void read_functions(void)
{
    static char *copy; /* names point into it for ever */
    char *rest = NULL;
    copy = memory_string(sql_functions);
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        read_line(line);
    qsort(functions, n_functions, sizeof *functions, compare_functions);
}

static function_kind find_function(const char *name)
{
    pthread_once(&functions_read, read_functions);
    size_t low = 0, high = n_functions;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, functions[middle].name);
        if (order == 0)
            return functions[middle].kind;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return FUNCTION_UNKNOWN;
}

static bool in_words(const char *const *words, const char *name)
{
    for (; *words; words++)
        if (strcmp(*words, name) == 0)
            return true;
    return false;
}

static bool type_is_allowed(const char *name)
{
    static const char *const allowed[] = {
        "bool",     "int2",      "int4",    "int8",      "float4", "float8",   "numeric",   "text",
        "varchar",  "bpchar",    "char",    "date",      "time",   "timetz",   "timestamp", "timestamptz",
        "interval", "uuid",      "json",    "jsonb",     "bytea",  "jsonpath", "int4range", "int8range",
        "numrange", "daterange", "tsrange", "tstzrange", "record", NULL};
    return in_words(allowed, name);
}

/* Kinds of node that may stand in a statement. Those with rules of their own are in `check_node`. */
static bool node_is_allowed(const char *kind)
{
    static const char *const allowed[] = {"Node",
                                          "ParseResult",
                                          "RawStmt",
                                          "List",
                                          "Integer",
                                          "Float",
                                          "Boolean",
                                          "String",
                                          "BitString",
                                          "AConst",
                                          "Alias",
                                          "BoolExpr",
                                          "SubLink",
                                          "CaseExpr",
                                          "CaseWhen",
                                          "CoalesceExpr",
                                          "MinMaxExpr",
                                          "NullTest",
                                          "BooleanTest",
                                          "RowExpr",
                                          "AStar",
                                          "AIndices",
                                          "AIndirection",
                                          "AArrayExpr",
                                          "ResTarget",
                                          "TypeCast",
                                          "WindowDef",
                                          "RangeSubselect",
                                          "RangeFunction",
                                          "GroupingSet",
                                          "GroupingFunc",
                                          "JoinExpr",
                                          "NamedArgExpr",
                                          "ColumnDef",
                                          "WithClause",
                                          "CommonTableExpr",
                                          "CTESearchClause",
                                          "CTECycleClause",
                                          "SelectStmt",
                                          "RangeVar",
                                          "FuncCall",
                                          "TypeName",
                                          "AExpr",
                                          "ColumnRef",
                                          "ParamRef",
                                          "SQLValueFunction",
                                          "CollateClause",
                                          "SortBy",
                                          NULL};
    return in_words(allowed, kind);
}

/* ---- the walk ---- */

typedef struct scope {
    const struct scope *outer;
    const char *name; /* one CTE */
} scope;

typedef struct walker {
    sql_tree *t;
    unsigned depth, selects; /* nesting of nodes and of SELECTs */
} walker;

static status_class walk(walker *w, ProtobufCMessage *m, const scope *s);

#define REFUSE(w, ...) status_set((w)->t->st, STATUS_INVALID, __VA_ARGS__)

static bool in_scope(const scope *s, const char *name)
{
    for (; s; s = s->outer)
        if (strcmp(s->name, name) == 0)
            return true;
    return false;
}

/* "datastore:key" → its parts in the arena; false when it is not of that form. */
static bool sql_reference_parse(arena *a, const char *name, sql_reference *out)
{
    const char *colon = strchr(name, ':');
    store_class class;
    if (!colon)
        return false;
    out->store_class = arena_string_n(a, name, (size_t)(colon - name));
    out->key = arena_string(a, colon + 1);
    return store_class_parse(out->store_class, &class) && name_is_key(out->key);
}

static status_class note_reference(walker *w, const sql_reference *ref)
{
    sql_tree *t = w->t;
    for (uint32_t i = 0; i < t->n_references; i++)
        if (strcmp(t->references[i].key, ref->key) == 0 &&
            strcmp(t->references[i].store_class, ref->store_class) == 0)
            return STATUS_OK;
    if (t->n_references == SQL_GUARD_REFERENCES_MAX)
        return status_set(t->st, STATUS_LIMIT, "SQL: more than %d stores", SQL_GUARD_REFERENCES_MAX);
    t->references[t->n_references++] = *ref;
    return STATUS_OK;
}

static void give_alias(arena *a, PgQuery__RangeVar *v, const char *name)
{
    if (v->alias)
        return;
    v->alias = arena_alloc(a, sizeof *v->alias);
    pg_query__alias__init(v->alias);
    v->alias->aliasname = arena_string(a, name);
}

static status_class check_relation(walker *w, PgQuery__RangeVar *v, const scope *s)
{
    sql_tree *t = w->t;
    sql_reference ref;
    sql_target target = {NULL, v->relname};
    if (v->catalogname[0] || v->schemaname[0]) {
        REFUSE(w, "SQL: \"%s.%s\": tables are not named, only stores", v->schemaname, v->relname);
        return status_hint(t->st, "write datastore:key, featurestore:key or inferencestore:key");
    }
    if (in_scope(s, v->relname))
        return STATUS_OK;
    if (!sql_reference_parse(t->memory, v->relname, &ref)) {
        REFUSE(w, "SQL: \"%s\" is neither a store nor a WITH query in scope here", v->relname);
        return status_hint(t->st, "write datastore:key, featurestore:key or inferencestore:key");
    }
    status_class ret = note_reference(w, &ref);
    if (ret == STATUS_OK && t->options->resolve)
        ret = t->options->resolve(t->options->arg, ref.store_class, ref.key, &target, t->st);
    if (ret != STATUS_OK)
        return ret;
    v->schemaname = arena_string(t->memory, target.schema ? target.schema : "");
    v->relname = arena_string(t->memory, target.relation);
    give_alias(t->memory, v, ref.key);
    return STATUS_OK;
}

static const char *string_of(const PgQuery__Node *n)
{
    return n && n->node_case == PG_QUERY__NODE__NODE_STRING ? n->string->sval : "";
}

/* "name" or "penstock.name"; pg_catalog is where plain names are looked up anyway. NULL: another schema. */
static const char *plain_name(arena *a, PgQuery__Node *const *parts, size_t n)
{
    if (n == 1)
        return string_of(parts[0]);
    if (n == 2 && strcmp(string_of(parts[0]), "pg_catalog") == 0)
        return string_of(parts[1]);
    if (n == 2 && strcmp(string_of(parts[0]), "penstock") == 0)
        return arena_printf(a, "penstock.%s", string_of(parts[1]));
    return NULL;
}

static status_class check_function(walker *w, const PgQuery__FuncCall *f)
{
    const char *name = plain_name(w->t->memory, f->funcname, f->n_funcname);
    function_kind kind = name ? find_function(name) : FUNCTION_UNKNOWN;
    if (kind == FUNCTION_UNKNOWN)
        return REFUSE(w, "SQL: function %s is not offered here",
                      name ? name : string_of(f->funcname[f->n_funcname - 1]));
    if (kind == FUNCTION_NEIGHBOURS || f->over)
        w->t->uses_neighbours = true;
    else if (kind == FUNCTION_AGGREGATE && w->selects == 1)
        w->t->is_aggregate = true;
    return STATUS_OK;
}

static status_class check_type(walker *w, const PgQuery__TypeName *type)
{
    const char *name = plain_name(w->t->memory, type->names, type->n_names);
    if (!name || type->pct_type || type->setof || !type_is_allowed(name))
        return REFUSE(w, "SQL: type %s is not offered here", name ? name : "of another schema");
    return STATUS_OK;
}

static status_class check_value_function(walker *w, const PgQuery__SQLValueFunction *f)
{
    if (f->op >= PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE &&
        f->op <= PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N)
        return STATUS_OK;
    return REFUSE(w, "SQL: %s", "who is asking is not offered here");
}

static status_class check_qualified(walker *w, size_t n_parts, const char *what)
{
    return n_parts <= 1 ? STATUS_OK : REFUSE(w, "SQL: %s of a schema is not offered here", what);
}

/* EXTRACT and some others come as OPERATOR-free A_Expr; a qualified operator is OPERATOR(schema.+). */
static status_class check_operator(walker *w, const PgQuery__AExpr *e)
{
    if (e->n_name == 2 && strcmp(string_of(e->name[0]), "pg_catalog") == 0)
        return STATUS_OK;
    return check_qualified(w, e->n_name, "an operator");
}

static status_class check_column(walker *w, const PgQuery__ColumnRef *c)
{
    if (c->n_fields > 1 && strchr(string_of(c->fields[0]), ':'))
        return REFUSE(w, "SQL: name the column by the store's key or alias, not by \"%s\"",
                      string_of(c->fields[0]));
    return c->n_fields <= 2 ? STATUS_OK
                            : REFUSE(w, "SQL: %s", "a column is named by at most its store and its name");
}

static status_class check_node(walker *w, ProtobufCMessage *m, const scope *s)
{
    const char *kind = m->descriptor->short_name;
    if (!node_is_allowed(kind))
        return REFUSE(w, "SQL: %s is not offered here: one SELECT that only reads", kind);
    if (strcmp(kind, "RangeVar") == 0)
        return check_relation(w, (PgQuery__RangeVar *)m, s);
    if (strcmp(kind, "FuncCall") == 0)
        return check_function(w, (PgQuery__FuncCall *)m);
    if (strcmp(kind, "TypeName") == 0)
        return check_type(w, (PgQuery__TypeName *)m);
    if (strcmp(kind, "SQLValueFunction") == 0)
        return check_value_function(w, (PgQuery__SQLValueFunction *)m);
    if (strcmp(kind, "AExpr") == 0)
        return check_operator(w, (PgQuery__AExpr *)m);
    if (strcmp(kind, "CollateClause") == 0)
        return check_qualified(w, ((PgQuery__CollateClause *)m)->n_collname, "a collation");
    if (strcmp(kind, "SortBy") == 0)
        return check_qualified(w, ((PgQuery__SortBy *)m)->n_use_op + 1, "an ordering operator");
    if (strcmp(kind, "ColumnRef") == 0)
        return check_column(w, (PgQuery__ColumnRef *)m);
    if (strcmp(kind, "ParamRef") == 0 && ((uint32_t)((PgQuery__ParamRef *)m)->number - 1) >= w->t->n_params)
        return REFUSE(w, "SQL: %s", "parameters are written :name");
    return STATUS_OK;
}

/* ---- visiting children ---- */

static status_class walk_field(walker *w, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                               const scope *s)
{
    char *base = (char *)m;
    if (f->type != PROTOBUF_C_TYPE_MESSAGE)
        return STATUS_OK;
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t n = *(size_t *)(void *)(base + f->quantifier_offset);
        ProtobufCMessage **list = *(ProtobufCMessage ***)(void *)(base + f->offset);
        status_class ret = STATUS_OK;
        for (size_t i = 0; i < n && ret == STATUS_OK; i++)
            ret = walk(w, list[i], s);
        return ret;
    }
    if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
        *(uint32_t *)(void *)(base + f->quantifier_offset) != f->id)
        return STATUS_OK;
    ProtobufCMessage *child = *(ProtobufCMessage **)(void *)(base + f->offset);
    return child ? walk(w, child, s) : STATUS_OK;
}

static status_class walk_children(walker *w, ProtobufCMessage *m, const char *but, const scope *s)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    status_class ret = STATUS_OK;
    for (unsigned i = 0; i < d->n_fields && ret == STATUS_OK; i++)
        if (!but || strcmp(d->fields[i].name, but) != 0)
            ret = walk_field(w, m, &d->fields[i], s);
    return ret;
}

/* Plain WITH: a query sees those before it. WITH RECURSIVE: all see all. Returns the scope of the statement
 * itself. */
static status_class walk_ctes(walker *w, const PgQuery__WithClause *with, const scope *outer,
                              const scope **out)
{
    scope *scopes = arena_zero(w->t->memory, with->n_ctes + 1, sizeof *scopes);
    const scope *s = outer;
    status_class ret = STATUS_OK;
    for (size_t i = 0; i < with->n_ctes; i++) {
        PgQuery__Node *node = with->ctes[i];
        if (node->node_case != PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR)
            return REFUSE(w, "SQL: %s", "a WITH list holds queries only");
        scopes[i] = (scope){i ? &scopes[i - 1] : outer, node->common_table_expr->ctename};
    }
    if (with->n_ctes)
        *out = &scopes[with->n_ctes - 1];
    for (size_t i = 0; i < with->n_ctes && ret == STATUS_OK; i++) {
        s = with->recursive ? *out : i ? &scopes[i - 1] : outer;
        ret = walk(w, &with->ctes[i]->base, s);
    }
    return ret;
}

static status_class walk_select(walker *w, PgQuery__SelectStmt *select, const scope *s)
{
    status_class ret = STATUS_OK;
    if (select->into_clause)
        return REFUSE(w, "SQL: %s", "INTO is not offered here: one SELECT that only reads");
    if (select->n_locking_clause)
        return REFUSE(w, "SQL: %s", "row locks are not offered here");
    if (select->n_group_clause && w->selects == 1)
        w->t->is_aggregate = true;
    if (select->with_clause)
        ret = walk_ctes(w, select->with_clause, s, &s);
    return ret == STATUS_OK ? walk_children(w, &select->base, "with_clause", s) : ret;
}

static int32_t location_of(const ProtobufCMessage *m)
{
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(m->descriptor, "location");
    if (!f || f->type != PROTOBUF_C_TYPE_INT32)
        return -1;
    return *(const int32_t *)(const void *)((const char *)m + f->offset);
}

static status_class walk(walker *w, ProtobufCMessage *m, const scope *s)
{
    int32_t before = w->t->location, here = location_of(m);
    bool select = strcmp(m->descriptor->short_name, "SelectStmt") == 0;
    if (w->depth >= DEPTH_MAX)
        return status_set(w->t->st, STATUS_LIMIT, "SQL: nested too deeply");
    if (here > 0)
        w->t->location = here;
    w->depth++;
    w->selects += select;
    status_class ret = check_node(w, m, s);
    if (ret == STATUS_OK)
        ret = select ? walk_select(w, (PgQuery__SelectStmt *)m, s) : walk_children(w, m, NULL, s);
    w->selects -= select;
    w->depth--;
    if (ret == STATUS_OK)
        w->t->location = before;
    return ret;
}

status_class sql_tree_check(sql_tree *t, PgQuery__ParseResult *parsed)
{
    walker w = {.t = t};
    t->location = -1;
    if (parsed->n_stmts != 1)
        return status_set(t->st, STATUS_INVALID,
                          parsed->n_stmts ? "SQL: one statement, not several" : "SQL: there is no statement");
    if (parsed->stmts[0]->stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return status_set(t->st, STATUS_INVALID, "SQL: only a SELECT is offered here");
    return walk(&w, &parsed->base, NULL);
}

/* ---- output columns ---- */

static const char *name_of(arena *a, const PgQuery__Node *n)
{
    if (n && n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
        return name_of(a, n->type_cast->arg);
    if (n && n->node_case == PG_QUERY__NODE__NODE_FUNC_CALL)
        return arena_string(a, string_of(n->func_call->funcname[n->func_call->n_funcname - 1]));
    if (n && n->node_case == PG_QUERY__NODE__NODE_COALESCE_EXPR)
        return "coalesce";
    if (!n || n->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return NULL;
    const PgQuery__Node *last = n->column_ref->fields[n->column_ref->n_fields - 1];
    return last->node_case == PG_QUERY__NODE__NODE_STRING ? arena_string(a, last->string->sval) : NULL;
}

const char *const *sql_tree_columns(arena *a, const PgQuery__ParseResult *parsed, uint32_t *n_out)
{
    const PgQuery__SelectStmt *select = parsed->stmts[0]->stmt->select_stmt;
    while (select->larg)
        select = select->larg; /* a UNION is named by its first arm */
    const char **names = arena_zero(a, select->n_target_list + 1, sizeof *names);
    for (size_t i = 0; i < select->n_target_list; i++) {
        const PgQuery__Node *n = select->target_list[i];
        if (n->node_case != PG_QUERY__NODE__NODE_RES_TARGET)
            continue;
        names[i] =
            n->res_target->name[0] ? arena_string(a, n->res_target->name) : name_of(a, n->res_target->val);
    }
    *n_out = (uint32_t)select->n_target_list;
    return names;
}
