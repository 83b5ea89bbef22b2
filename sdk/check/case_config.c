/* The config schema, tried with configs made from it: its own examples, and check.json's config broken in one
 * place at a time. Whether the schema or the plugin refuses a wrong config is the author's choice; that
 * somebody does is the case. */
#include <stdio.h>
#include <string.h>

#include "check/case.h"
#include "check/stand.h"
#include "check/verdict.h"

static const json_t *schema_of(const subject *s)
{
    return s->entry->config_schema;
}

void case_schema(const subject *s)
{
    const char *type = json_string_value(json_object_get(schema_of(s), "type")), *key;
    json_t *properties = json_object_get(schema_of(s), "properties"), *property;
    if (!type || strcmp(type, "object") != 0)
        verdict_fail("config.schema.json: /type", "a config is an object; the schema does not say so");
    json_object_foreach(properties, key, property)
    {
        char where[200];
        snprintf(where, sizeof where, "config.schema.json: /properties/%s", key);
        if (json_is_object(property) && !json_object_get(property, "title") &&
            !json_object_get(property, "$ref"))
            verdict_fail(where,
                         "it has no title: forms, help and the manual page would show only the bare key");
    }
    verdict_measured("%zu settings", json_object_size(properties));
    verdict_pass();
}

void case_examples(const subject *s)
{
    const json_t *examples = json_object_get(schema_of(s), "examples");
    json_t *example;
    size_t i;
    stand *t = stand_open(s, FAR_ANSWERS);
    json_array_foreach((json_t *)examples, i, example)
    {
        status st;
        char where[200];
        snprintf(where, sizeof where, "config.schema.json: /examples/%zu", i);
        if (!stand_configure(t, json_deep_copy(example), &st))
            verdict_fail(where, "the schema refuses it: %s%s%s", st.where, st.where[0] ? ": " : "", st.text);
        pst_status status = stand_create(t);
        if (status == PST_E_CONFIG)
            verdict_fail(where, "create refuses it: %s", stand_said(t, status));
        stand_destroy(t);
    }
    if (!json_array_size(examples) && json_object_size(json_object_get(s->project.check, "config")) == 0 &&
        json_array_size(json_object_get(schema_of(s), "required")))
        verdict_fail("config.schema.json: /examples",
                     "there are none, and no check.json: nobody can see a config that works");
    stand_ready(t);
    verdict_measured("%zu, and check.json's config", json_array_size(examples));
    verdict_pass();
}

/* ---- Wrong ---- */

typedef struct breaking {
    stand *t;
    unsigned tried, in_schema;
} breaking;

/* Sets `value` (NULL: removes it) at a top-level key of the good config and looks who refuses that. */
static void must_refuse(breaking *b, const char *key, json_t *value, const char *what)
{
    status st;
    char where[200];
    snprintf(where, sizeof where, "/%s", key);
    json_t *config = stand_config(b->t);
    if (value)
        json_object_set_new(config, key, value);
    else
        json_object_del(config, key);
    b->tried++;
    if (!stand_configure(b->t, config, &st)) {
        b->in_schema++;
        if (!st.text[0])
            verdict_fail(where, "%s is refused without a reason", what);
        return;
    }
    pst_status status = stand_create(b->t);
    if (status == PST_OK)
        verdict_fail(where, "%s is accepted", what);
    if (status != PST_E_CONFIG)
        verdict_fail(where, "%s is refused with %s instead of CONFIG: it would be tried again for ever", what,
                     stand_said(b->t, status));
    if (!b->t->error->where[0] || !b->t->error->message[0])
        verdict_fail(where, "%s is refused, but where or message is empty", what);
    stand_destroy(b->t);
}

static bool takes(const json_t *property, const char *type)
{
    const json_t *t = json_object_get(property, "type");
    const char *one = json_string_value(t);
    if (one)
        return !strcmp(one, type) || (!strcmp(one, "number") && !strcmp(type, "integer"));
    for (size_t i = 0; i < json_array_size(t); i++)
        if (!strcmp(json_string_value(json_array_get(t, i)), type))
            return true;
    return false;
}

static void break_type(breaking *b, const char *key, const json_t *property)
{
    if (!json_object_get(property, "type") &&
        (json_object_get(property, "$ref") || json_object_get(property, "anyOf") ||
         json_object_get(property, "oneOf")))
        return;
    if (!takes(property, "object"))
        must_refuse(b, key, json_pack("{s:i}", "penstock_check", 1), "an object");
    else
        must_refuse(b, key, json_string("penstock-check"), "a text");
    if (!takes(property, "boolean"))
        must_refuse(b, key, json_true(), "true");
}

static json_t *long_text(size_t len)
{
    text t = {0};
    for (size_t i = 0; i < len; i++)
        text_add_char(&t, 'x');
    json_t *value = json_string(text_or_empty(&t));
    text_free(&t);
    return value;
}

static void break_bounds(breaking *b, const char *key, const json_t *property)
{
    const json_t *least = json_object_get(property, "minimum"), *most = json_object_get(property, "maximum");
    const json_t *shortest = json_object_get(property, "minLength"),
                 *longest = json_object_get(property, "maxLength");
    if (least)
        must_refuse(b, key,
                    takes(property, "number") ? json_real(json_number_value(least) - 1)
                                              : json_integer(json_integer_value(least) - 1),
                    "a number below the minimum");
    if (most)
        must_refuse(b, key,
                    takes(property, "number") ? json_real(json_number_value(most) + 1)
                                              : json_integer(json_integer_value(most) + 1),
                    "a number above the maximum");
    if (json_integer_value(shortest) > 0)
        must_refuse(b, key, json_string(""), "an empty text");
    if (longest && json_integer_value(longest) < 1000000)
        must_refuse(b, key, long_text((size_t)json_integer_value(longest) + 1), "a text that is too long");
    if (json_object_get(property, "enum"))
        must_refuse(b, key, json_string("no-such-choice"), "a choice that there is not");
}

void case_wrong_config(const subject *s)
{
    stand *t = stand_open(s, FAR_ANSWERS);
    breaking b = {.t = t};
    json_t *properties = json_object_get(schema_of(s), "properties"), *property, *name;
    const char *key;
    size_t i;
    must_refuse(&b, "penstock_check_no_such_setting", json_true(),
                "a setting that nobody knows (a mistyped one)");
    json_object_foreach(properties, key, property)
    {
        break_type(&b, key, property);
        break_bounds(&b, key, property);
    }
    json_array_foreach(json_object_get(schema_of(s), "required"), i, name)
    {
        key = json_string_value(name);
        if (!json_object_get(json_object_get(properties, key), "default"))
            must_refuse(&b, key, NULL, "its absence");
    }
    verdict_measured("%u wrong ones, %u by the schema", b.tried, b.in_schema);
    verdict_pass();
}
