/* Recursion is bounded by the depth that jansson lets a document have, or by our own code that made it. */
#include "serve/document.h"

#include <string.h>

static void write_object(text *out, const json_t *v)
{
    const char *name;
    json_t *member;
    bool first = true;
    text_add_char(out, '{');
    json_object_foreach((json_t *)v, name, member)
    {
        if (!first)
            text_add_char(out, ',');
        first = false;
        text_add_json_string(out, name, strlen(name));
        text_add_char(out, ':');
        document_write(out, member);
    }
    text_add_char(out, '}');
}

static void write_array(text *out, const json_t *v)
{
    text_add_char(out, '[');
    for (size_t i = 0; i < json_array_size(v); i++) {
        if (i)
            text_add_char(out, ',');
        document_write(out, json_array_get(v, i));
    }
    text_add_char(out, ']');
}

void document_write(text *out, const json_t *v)
{
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_OBJECT:
        write_object(out, v);
        break;
    case JSON_ARRAY:
        write_array(out, v);
        break;
    case JSON_STRING:
        text_add_json_string(out, json_string_value(v), json_string_length(v));
        break;
    case JSON_INTEGER:
        text_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        break;
    case JSON_REAL:
        text_add_json_number(out, json_real_value(v));
        break;
    case JSON_TRUE:
        text_add(out, "true");
        break;
    case JSON_FALSE:
        text_add(out, "false");
        break;
    case JSON_NULL:
        text_add(out, "null");
        break;
    }
}
