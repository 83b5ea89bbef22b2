#include "flow/build_recipe.h"

#include <string.h>

#include "flow/refresh_sql.h"

static json_t *recipe_of(const defined_featurestore *d)
{
    json_t *from = json_array(), *columns = json_array(), *key = json_array();
    for (uint32_t i = 0; i < d->n_from; i++)
        json_array_append_new(from, json_pack("s++", class_name(d->from[i].class), ":", d->from[i].key));
    for (uint32_t i = 0; i < d->n_columns; i++)
        json_array_append_new(columns, json_string(d->columns[i].name));
    for (uint32_t i = 0; i < d->key.n; i++)
        json_array_append_new(key, json_string(d->key.items[i]));
    return json_pack("{s:s, s:s?, s:s, s:I, s:I, s:o, s:o, s:o}", "sql", d->sql, "bucket", d->bucket,
                     "timezone", d->timezone, "before", (json_int_t)d->reach_before_us, "after",
                     (json_int_t)d->reach_after_us, "from", from, "columns", columns, "key", key);
}

char *build_recipe(const featurestore_plan *f, char hash[DIGEST_TEXT_SIZE])
{
    json_t *recipe = recipe_of(f->defined);
    char *body = json_dumps(recipe, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(recipe);
    digest_text(hash, body, strlen(body));
    return body;
}

static bool same_field(const json_t *a, const json_t *b, const char *name)
{
    return json_equal(json_object_get(a, name), json_object_get(b, name)) ||
           (!json_object_get(a, name) && !json_object_get(b, name));
}

/* Marks are made by the new definition; they say enough for the old one when it cuts time alike, reaches as
 * far and reads the same stores. */
static bool marks_fit(const json_t *was, const json_t *is)
{
    return same_field(was, is, "bucket") && same_field(was, is, "timezone") &&
           same_field(was, is, "before") && same_field(was, is, "after") && same_field(was, is, "from") &&
           same_field(was, is, "key");
}

static void keep_columns(arena *a, featurestore_plan *f, const json_t *names)
{
    table_column *columns = arena_zero(a, f->table.n_columns, sizeof *columns);
    uint32_t n = 0, *entity = arena_zero(a, f->table.n_entity, sizeof *entity);
    const store_table was = f->table;
    for (uint32_t i = 0; i < was.n_columns; i++)
        for (size_t k = 0; k < json_array_size(names); k++)
            if (strcmp(json_string_value(json_array_get(names, k)), was.columns[i].name) == 0) {
                f->table.time_column = (int32_t)i == was.time_column ? (int32_t)n : f->table.time_column;
                for (uint32_t e = 0; e < was.n_entity; e++)
                    entity[e] = was.entity[e] == i ? n : entity[e];
                columns[n++] = was.columns[i];
                break;
            }
    f->table.columns = columns;
    f->table.n_columns = n;
    f->table.entity = entity;
}

featurestore_plan *build_recipe_old(arena *a, const featurestore_plan *f, const char *body)
{
    status st;
    json_t *was = json_loads(body, 0, NULL), *is = recipe_of(f->defined);
    featurestore_plan *old = NULL;
    if (was && json_object_get(was, "sql") && marks_fit(was, is)) {
        defined_featurestore *d = arena_zero(a, 1, sizeof *d);
        *d = *f->defined;
        d->sql = arena_string(a, json_string_value(json_object_get(was, "sql")));
        old = arena_zero(a, 1, sizeof *old);
        *old = *f;
        old->defined = d;
        keep_columns(a, old, json_object_get(was, "columns"));
        if (refresh_sql_make(a, f->plan, old, &st) != STATUS_OK)
            old = NULL; /* it read what is not there any more: the old rows stand still */
    }
    json_decref(was);
    json_decref(is);
    return old;
}
