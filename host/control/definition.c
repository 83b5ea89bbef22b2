/* Life of a definition: parameters are put in, the two layers become one list of objects, each object is read
 * into its struct, featurestores are put behind what they read, and an index makes lookups one hash. The
 * documents it was made of are kept, so that it can be stored and made again.
 *
 * All of that is the same for workspaces of one template version, parameters and local layer, so they share
 * one body; a definition itself is a body's head with the workspace's names in it. */
#include "control/definition.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/name.h"
#include "base/shared.h"
#include "control/definition_read.h"
#include "control/parameter.h"
#include "schema/row_plan.h"

#define DEFINITION_MAGIC 0x44464E31

/* What does not depend on the workspace. */
typedef struct body {
    shared shared;     /* first */
    definition public; /* the workspace's names are 0 */
    arena *arena;
    json_t *document; /* {"template", "local", "parameters", "columns"} as given */
    json_t *bodies;   /* parameters put in: {"template": …, "local": …} */
    json_t *empty;
    row_plan **plans;
    unsigned n_plans;
    const defined_object **slots; /* open addressing by class and key */
    uint32_t slot_mask;
} body;

typedef struct held {
    definition public; /* first: the pointer that everybody holds */
    uint32_t magic;
    atomic_uint references;
    body *body;
    char names[]; /* of the workspace */
} held;

static void body_free(shared *s);
static shared_table bodies = SHARED_TABLE(body_free);

static held *held_of(const definition *d)
{
    held *h = (held *)d;
    assert(h->magic == DEFINITION_MAGIC);
    return h;
}

/* ---- references ---- */

const definition *definition_retain(const definition *d)
{
    atomic_fetch_add(&held_of(d)->references, 1);
    return d;
}

static void body_free(shared *s)
{
    body *b = (body *)s;
    for (unsigned i = 0; i < b->n_plans; i++)
        row_plan_free(b->plans[i]);
    free(b->plans);
    json_decref(b->public.parameters);
    json_decref(b->document);
    json_decref(b->bodies);
    json_decref(b->empty);
    arena_free(b->arena);
    free(b);
}

static void held_free(held *h)
{
    shared_release(&bodies, &h->body->shared);
    h->magic = 0;
    free(h);
}

void definition_release(const definition *d)
{
    if (d && atomic_fetch_sub(&held_of(d)->references, 1) == 1)
        held_free(held_of(d));
}

/* ---- index ---- */

static const defined_object **slot_of(const body *b, object_class class, const char *key)
{
    uint32_t slot = ((uint32_t)name_hash(key, strlen(key)) + class * 0x9E3779B9u) & b->slot_mask;
    while (b->slots[slot] && (b->slots[slot]->class != class || strcmp(b->slots[slot]->key, key) != 0))
        slot = (slot + 1) & b->slot_mask;
    return &b->slots[slot];
}

static bool index_object(void *arg, const defined_object *o)
{
    *slot_of(arg, o->class, o->key) = o;
    return true;
}

static void index_all(body *b, size_t n_objects)
{
    uint32_t size = 16;
    while (size < 2 * n_objects)
        size *= 2;
    b->slots = arena_zero(b->arena, size, sizeof(const defined_object *));
    b->slot_mask = size - 1;
    definition_each(&b->public, index_object, b);
}

const defined_object *definition_object(const definition *d, object_class class, const char *key)
{
    return key ? *slot_of(held_of(d)->body, class, key) : NULL;
}

const defined_datastore *definition_datastore(const definition *d, const char *key)
{
    return (const defined_datastore *)definition_object(d, CLASS_DATASTORE, key);
}

const defined_featurestore *definition_featurestore(const definition *d, const char *key)
{
    return (const defined_featurestore *)definition_object(d, CLASS_FEATURESTORE, key);
}

const defined_inferencestore *definition_inferencestore(const definition *d, const char *key)
{
    return (const defined_inferencestore *)definition_object(d, CLASS_INFERENCESTORE, key);
}

const defined_model *definition_model(const definition *d, const char *key)
{
    return (const defined_model *)definition_object(d, CLASS_MODEL, key);
}

const defined_metric *definition_metric(const definition *d, const char *key)
{
    return (const defined_metric *)definition_object(d, CLASS_METRIC, key);
}

const defined_connector *definition_connector(const definition *d, const char *key)
{
    return (const defined_connector *)definition_object(d, CLASS_CONNECTOR, key);
}

const defined_notifier *definition_notifier(const definition *d, const char *key)
{
    return (const defined_notifier *)definition_object(d, CLASS_NOTIFIER, key);
}

const defined_alert *definition_alert(const definition *d, const char *key)
{
    return (const defined_alert *)definition_object(d, CLASS_ALERT, key);
}

const defined_sink *definition_sink(const definition *d, const char *key)
{
    return (const defined_sink *)definition_object(d, CLASS_SINK, key);
}

/* ---- lists of objects ---- */

/* Where the objects of each class lie in a definition, and how large one is. */
static const struct {
    size_t items, n, size;
} lists[CLASS_COUNT] = {
#define LIST(field, type)                                                          \
    {                                                                              \
        offsetof(definition, field), offsetof(definition, n_##field), sizeof(type) \
    }
    [CLASS_DATASTORE] = LIST(datastores, defined_datastore),
    [CLASS_FEATURESTORE] = LIST(featurestores, defined_featurestore),
    [CLASS_INFERENCESTORE] = LIST(inferencestores, defined_inferencestore),
    [CLASS_MODEL] = LIST(models, defined_model),
    [CLASS_METRIC] = LIST(metrics, defined_metric),
    [CLASS_CONNECTOR] = LIST(connectors, defined_connector),
    [CLASS_NOTIFIER] = LIST(notifiers, defined_notifier),
    [CLASS_ALERT] = LIST(alerts, defined_alert),
    [CLASS_DASHBOARD] = LIST(dashboards, defined_object),
    [CLASS_REPORT] = LIST(reports, defined_object),
    [CLASS_TEST] = LIST(tests, defined_object),
    [CLASS_SINK] = LIST(sinks, defined_sink),
#undef LIST
};

static char *list_items(const definition *d, object_class class)
{
    char *items;
    memcpy(&items, (const char *)d + lists[class].items, sizeof items);
    return items;
}

static uint32_t *list_count(const definition *d, object_class class)
{
    return (uint32_t *)((char *)d + lists[class].n);
}

void definition_each(const definition *d, definition_visit visit, void *arg)
{
    for (object_class c = CLASS_DATASTORE; c < CLASS_COUNT; c++)
        for (uint32_t i = 0; i < *list_count(d, c); i++)
            if (!visit(arg, (const defined_object *)(list_items(d, c) + i * lists[c].size)))
                return;
}

static void hash_body(json_t *written, char out[33])
{
    unsigned char digest[16];
    char *canonical = json_dumps(written, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    crypto_generichash(digest, sizeof digest, (unsigned char *)canonical, strlen(canonical), NULL, 0);
    sodium_bin2hex(out, 33, digest, sizeof digest);
    free(canonical);
}

/* Appends the objects of one section of one layer; the template's keys win over nothing: a second one is
 * refused. */
static status_class add_section(body *b, object_class class, json_t *section, object_origin origin,
                                status *st)
{
    const char *key;
    json_t *written;
    uint32_t *n = list_count(&b->public, class);
    char *items = list_items(&b->public, class);
    json_object_foreach(section, key, written)
    {
        char where[sizeof st->where];
        if (strncmp(key, "x-", 2) == 0)
            continue;
        snprintf(where, sizeof where, "/%s/%s", class_section(class), key);
        for (uint32_t i = 0; i < *n; i++)
            if (strcmp(((defined_object *)(items + i * lists[class].size))->key, key) == 0)
                return status_at(st, STATUS_INVALID, where,
                                 "the %s %s belongs to the template: a local layer only adds",
                                 class_name(class), key);
        if (!json_is_object(written))
            return status_at(st, STATUS_INVALID, where, "the %s %s must be a mapping", class_name(class),
                             key);
        const char *title = json_string_value(json_object_get(written, "title"));
        defined_object *o = (defined_object *)(items + (*n)++ * lists[class].size);
        *o = (defined_object){
            .class = class, .origin = origin, .key = arena_string(b->arena, key), .body = written};
        o->title = title ? arena_string(b->arena, title) : o->key;
        hash_body(written, o->hash);
    }
    return STATUS_OK;
}

static status_class add_objects(body *b, json_t *template_body, json_t *local_body, size_t *ret_n, status *st)
{
    *ret_n = 0;
    for (object_class c = CLASS_DATASTORE; c < CLASS_COUNT; c++) {
        json_t *own = json_object_get(template_body, class_section(c)),
               *local = json_object_get(local_body, class_section(c));
        size_t most = json_object_size(own) + json_object_size(local);
        char *items = arena_zero(b->arena, most + 1, lists[c].size);
        memcpy((char *)&b->public + lists[c].items, &items, sizeof items);
        status_class class = add_section(b, c, own, ORIGIN_TEMPLATE, st);
        if (class == STATUS_OK)
            class = add_section(b, c, local, ORIGIN_LOCAL, st);
        if (class != STATUS_OK)
            return class;
        *ret_n += *list_count(&b->public, c);
    }
    if (*ret_n > DEFINITION_OBJECTS_MAX)
        return status_set(st, STATUS_LIMIT, "the definition is too large: more than %d objects",
                          DEFINITION_OBJECTS_MAX);
    return STATUS_OK;
}

/* ---- reading ---- */

static void read_one(definition_reader *r, const defined_object *o, const json_t *columns)
{
    r->at = o;
    switch (o->class) {
    case CLASS_DATASTORE:
        read_datastore(r, (defined_datastore *)o);
        break;
    case CLASS_FEATURESTORE:
        read_featurestore(r, (defined_featurestore *)o, json_object_get(columns, o->key));
        break;
    case CLASS_INFERENCESTORE:
        read_inferencestore(r, (defined_inferencestore *)o);
        break;
    case CLASS_MODEL:
        read_model(r, (defined_model *)o);
        break;
    case CLASS_METRIC:
        read_metric(r, (defined_metric *)o);
        break;
    case CLASS_CONNECTOR:
        read_connector(r, (defined_connector *)o);
        break;
    case CLASS_NOTIFIER:
        read_notifier(r, (defined_notifier *)o);
        break;
    case CLASS_ALERT:
        read_alert(r, (defined_alert *)o);
        break;
    case CLASS_SINK:
        read_sink(r, (defined_sink *)o);
        break;
    default:
        break;
    }
}

static status_class read_objects(body *b, const json_t *columns, status *st)
{
    definition_reader r = {.arena = b->arena, .st = st, .empty = b->empty};
    for (object_class c = CLASS_DATASTORE; c < CLASS_COUNT && r.class == STATUS_OK; c++)
        for (uint32_t i = 0; i < *list_count(&b->public, c) && r.class == STATUS_OK; i++)
            read_one(&r, (const defined_object *)(list_items(&b->public, c) + i * lists[c].size), columns);
    b->plans = r.plans;
    b->n_plans = r.n_plans;
    return r.class;
}

/* Stores that sinks read have an index for it. */
static void mark_read_stores(body *b)
{
    for (uint32_t i = 0; i < b->public.n_sinks; i++) {
        const object_reference *from = &b->public.sinks[i].from;
        defined_datastore *d = (defined_datastore *)*slot_of(b, from->class, from->key);
        if (d && from->class == CLASS_DATASTORE)
            d->read_by_seq = true;
    }
}

/* ---- order of the featurestores ---- */

typedef struct sorter {
    const body *b;
    const definition *d;
    defined_featurestore *to;
    uint32_t n;
    char *state; /* of each: 0 not seen, 1 being visited, 2 done */
} sorter;

static bool sort_store(sorter *s, object_class class, const char *key);

static bool sort_sources(sorter *s, const defined_featurestore *f)
{
    for (uint32_t i = 0; i < f->n_from; i++)
        if (!sort_store(s, f->from[i].class, f->from[i].key))
            return false;
    return true;
}

/* What an inferencestore depends on is what the models that write it read. */
static bool sort_models(sorter *s, const char *key)
{
    for (uint32_t i = 0; i < s->d->n_models; i++) {
        const defined_model *m = &s->d->models[i];
        if (strcmp(m->infer.into.key, key) == 0 && !sort_store(s, m->infer.from.class, m->infer.from.key))
            return false;
    }
    return true;
}

/* Depth first; false on a cycle. */
static bool sort_store(sorter *s, object_class class, const char *key)
{
    if (class == CLASS_INFERENCESTORE)
        return sort_models(s, key);
    const defined_featurestore *f =
        class == CLASS_FEATURESTORE && key ? (const defined_featurestore *)*slot_of(s->b, class, key) : NULL;
    if (!f)
        return true;
    char *state = &s->state[f - s->d->featurestores];
    if (*state)
        return *state == 2;
    *state = 1;
    if (!sort_sources(s, f))
        return false;
    *state = 2;
    s->to[s->n++] = *f;
    return true;
}

static status_class sort_featurestores(body *b, status *st)
{
    definition *d = &b->public;
    sorter s = {.b = b,
                .d = d,
                .to = arena_zero(b->arena, d->n_featurestores + 1, sizeof *s.to),
                .state = arena_zero(b->arena, d->n_featurestores + 1, 1)};
    for (uint32_t i = 0; i < d->n_featurestores; i++) {
        const char *key = d->featurestores[i].object.key;
        char where[sizeof st->where];
        snprintf(where, sizeof where, "/featurestores/%s/from", key);
        if (!sort_store(&s, CLASS_FEATURESTORE, key))
            return status_at(st, STATUS_INVALID, where,
                             "the featurestore %s reads what is computed from itself", key);
    }
    d->featurestores = s.to;
    return STATUS_OK;
}

/* ---- making ---- */

static json_t *document_of(const definition_source *s)
{
    json_t *d = json_pack("{s:O?, s:O?, s:O?, s:O?}", "template", s->template_body, "local", s->local_body,
                          "parameters", s->parameters, "columns", s->columns);
    assert(d);
    return d;
}

static void read_head(body *b, const definition_source *s)
{
    definition *d = &b->public;
    const json_t *metadata = json_object_get(s->template_body, "metadata");
    d->template_key = arena_string(b->arena, json_string_value(json_object_get(metadata, "key")));
    d->template_version = arena_string(b->arena, json_string_value(json_object_get(metadata, "version")));
    const char *title = json_string_value(json_object_get(metadata, "title"));
    d->title = title ? arena_string(b->arena, title) : d->template_key;
}

static status_class fill(body *b, const definition_source *s, status *st)
{
    definition *d = &b->public;
    size_t n;
    status_class class = parameters_resolve(json_object_get(s->template_body, "parameters"), s->parameters,
                                            false, &d->parameters, st);
    if (class != STATUS_OK)
        return class;
    json_t *own = parameters_fill(s->template_body, d->parameters, NULL, NULL);
    json_t *local = s->local_body ? parameters_fill(s->local_body, d->parameters, NULL, NULL) : json_null();
    b->bodies = json_pack("{s:o, s:o}", "template", own, "local", local);
    class = add_objects(b, own, local, &n, st);
    if (class != STATUS_OK)
        return class;
    index_all(b, n);
    class = read_objects(b, s->columns, st);
    if (class != STATUS_OK || (class = sort_featurestores(b, st)) != STATUS_OK)
        return class;
    mark_read_stores(b);
    index_all(b, n);
    return STATUS_OK;
}

static status_class body_make(const definition_source *source, const json_t *document, body **ret, status *st)
{
    body *b = memory_zero(1, sizeof *b);
    b->arena = arena_create(16384);
    b->empty = json_object();
    b->document = json_deep_copy(document);
    read_head(b, source);
    status_class class = fill(b, source, st);
    if (class == STATUS_OK)
        *ret = b;
    else
        body_free(&b->shared);
    return class;
}

/* The body that others of the same documents have, or a new one. */
static status_class body_take(const definition_source *source, body **ret, status *st)
{
    char digest[DIGEST_TEXT_SIZE];
    json_t *document = document_of(source);
    char *form = json_dumps(document, JSON_COMPACT);
    digest_text(digest, form, strlen(form));
    free(form);
    status_class class = STATUS_OK;
    *ret = (body *)shared_find(&bodies, digest);
    if (!*ret && (class = body_make(source, document, ret, st)) == STATUS_OK)
        *ret = (body *)shared_put(&bodies, digest, &(*ret)->shared);
    json_decref(document);
    return class;
}

/* A copy behind the names that are there already; NULL stays NULL. */
static const char *add_name(char **at, const char *name)
{
    size_t size = name ? strlen(name) + 1 : 0;
    char *copy = size ? memcpy(*at, name, size) : NULL;
    *at += size;
    return copy;
}

static held *head_of(const definition_source *s, body *b)
{
    size_t names =
        (s->workspace ? strlen(s->workspace) + 1 : 0) + (s->workspace_id ? strlen(s->workspace_id) + 1 : 0);
    held *h = memory_zero(1, sizeof *h + names);
    char *at = h->names;
    h->magic = DEFINITION_MAGIC;
    atomic_init(&h->references, 1);
    h->body = b;
    h->public = b->public;
    h->public.wid = s->wid;
    h->public.generation = s->generation;
    h->public.workspace = add_name(&at, s->workspace);
    h->public.workspace_id = add_name(&at, s->workspace_id);
    return h;
}

status_class definition_make(const definition_source *source, const definition **ret, status *st)
{
    body *b = NULL;
    status_class class = body_take(source, &b, st);
    if (class == STATUS_OK)
        *ret = &head_of(source, b)->public;
    return class;
}

json_t *definition_to_json(const definition *d)
{
    json_t *document = json_pack("{s:i, s:s?, s:s?, s:I}", "wid", (int)d->wid, "workspace", d->workspace,
                                 "workspace_id", d->workspace_id, "generation", (json_int_t)d->generation);
    assert(document);
    json_object_update(document, held_of(d)->body->document);
    return document;
}

static json_t *unless_null(json_t *v)
{
    return json_is_null(v) ? NULL : v;
}

status_class definition_from_json(json_t *document, const definition **ret, status *st)
{
    json_t *template = json_object_get(document, "template");
    if (!json_is_object(template))
        return status_at(st, STATUS_INVALID, "/template",
                         "the definition cannot be read: it has no template");
    const definition_source source = {
        .template_body = template,
        .local_body = unless_null(json_object_get(document, "local")),
        .parameters = unless_null(json_object_get(document, "parameters")),
        .columns = unless_null(json_object_get(document, "columns")),
        .wid = (int32_t)json_integer_value(json_object_get(document, "wid")),
        .workspace = json_string_value(json_object_get(document, "workspace")),
        .workspace_id = json_string_value(json_object_get(document, "workspace_id")),
        .generation = json_integer_value(json_object_get(document, "generation")),
    };
    return definition_make(&source, ret, st);
}

status_class definition_with_columns(const definition *d, json_t *columns, const definition **ret, status *st)
{
    json_t *document = definition_to_json(d);
    json_object_set(document, "columns", columns);
    status_class class = definition_from_json(document, ret, st);
    json_decref(document);
    return class;
}
