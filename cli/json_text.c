/* A JSON writer of a screenful. */
#include "json_text.h"

#include <string.h>

static void value_add(text *out, const json_t *value, int depth, bool pretty);

static void line_break(text *out, int depth, bool pretty)
{
    if (pretty)
        text_printf(out, "\n%*s", 2 * depth, "");
}

static void object_add(text *out, const json_t *object, int depth, bool pretty)
{
    const char *key;
    json_t *value;
    bool first = true;
    text_add_char(out, '{');
    json_object_foreach((json_t *)object, key, value)
    {
        text_add(out, first ? "" : ",");
        line_break(out, depth + 1, pretty);
        text_add_json_string(out, key, strlen(key));
        text_add(out, pretty ? ": " : ":");
        value_add(out, value, depth + 1, pretty);
        first = false;
    }
    if (!first)
        line_break(out, depth, pretty);
    text_add_char(out, '}');
}

static void array_add(text *out, const json_t *array, int depth, bool pretty)
{
    size_t i;
    json_t *value;
    text_add_char(out, '[');
    json_array_foreach((json_t *)array, i, value)
    {
        text_add(out, i ? "," : "");
        line_break(out, depth + 1, pretty);
        value_add(out, value, depth + 1, pretty);
    }
    if (json_array_size(array))
        line_break(out, depth, pretty);
    text_add_char(out, ']');
}

static void value_add(text *out, const json_t *value, int depth, bool pretty)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT:
        object_add(out, value, depth, pretty);
        break;
    case JSON_ARRAY:
        array_add(out, value, depth, pretty);
        break;
    case JSON_STRING:
        text_add_json_string(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        text_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        text_add_json_number(out, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        text_add(out, json_is_true(value) ? "true" : "false");
        break;
    case JSON_NULL:
        text_add(out, "null");
        break;
    }
}

void json_text_add(text *out, const json_t *value, bool pretty)
{
    value_add(out, value, 0, pretty);
}
