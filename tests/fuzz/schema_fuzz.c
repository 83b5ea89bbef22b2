/* A document {schema, data}: compiles, validates, plans rows, compares the schema with the data as another
 * schema. */
#include <stdint.h>
#include <string.h>

#include "schema/additive.h"
#include "schema/document.h"
#include "schema/infer.h"
#include "schema/row_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void plan_and_find(schema *s, const json_t *value)
{
    status st;
    const char *key;
    json_t *member;
    uint32_t hint = 0;
    row_plan *p = row_plan_make(s, &st);
    if (!p)
        return;
    json_object_foreach((json_t *)value, key, member)
    {
        int32_t at = row_plan_find(p, key, strlen(key), &hint);
        const plan_column *c = at < 0 ? NULL : &p->columns[at];
        if (c && json_is_string(member))
            row_plan_check_text(c, json_string_value(member), json_string_length(member));
        if (c && json_is_integer(member))
            row_plan_check_integer(c, json_integer_value(member));
        if (c && json_is_number(member))
            row_plan_check_number(c, json_number_value(member));
    }
    row_plan_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    status st;
    json_t *document = document_parse((const char *)data, size, &st);
    if (!document)
        return 0;
    json_t *schema_part = json_object_get(document, "schema"), *value = json_object_get(document, "data");
    schema_part = schema_part ? schema_part : document;
    value = value ? value : document;
    arena *a = arena_create(0);
    const schema_options options = {.limits = {.steps = 100000}};
    schema *s = schema_compile(schema_part, &options, &st);
    if (s) {
        schema_errors errors = {.arena = a, .max = 5};
        schema_validate(s, value, &errors, &st);
        plan_and_find(s, value);
    }
    schema_compare(schema_part, value, a);
    text yaml = {0};
    schema_infer_rows("fuzz", value, &yaml, &st);
    text_free(&yaml);
    arena_free(a);
    json_decref(document);
    return 0;
}
