/* Reading a batch: finds the column's buffers and checks that it is inside the profile. The host has checked
 * bounds and offsets of what it hands to a plugin; here only the shape is looked at. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "penstock/batch.h"

/* Bytes of the field at `offset` that the host's struct has. */
static size_t room(const pst_error *error, size_t offset, size_t size)
{
    size_t there = error->struct_size > offset ? error->struct_size - offset : 0;
    return there < size ? there : size;
}

pst_status pst_fail(pst_error *error, pst_status code, const char *where, const char *format, ...)
{
    if (!error)
        return code;
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, room(error, offsetof(pst_error, message), sizeof error->message), format, args);
    va_end(args);
    snprintf(error->where, room(error, offsetof(pst_error, where), sizeof error->where), "%s",
             where ? where : "");
    return code;
}

static int32_t metadata_int(const char *at)
{
    int32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* The value of `pst.type` in a field's metadata; length 0 if there is none. */
static pst_bytes metadata_type(const char *metadata)
{
    pst_bytes none = {"", 0};
    if (!metadata)
        return none;
    int32_t pairs = metadata_int(metadata);
    const char *at = metadata + 4;
    for (int32_t i = 0; i < pairs; i++) {
        int32_t key_len = metadata_int(at);
        const char *key = at + 4;
        int32_t value_len = metadata_int(key + key_len);
        const char *value = key + key_len + 4;
        if (key_len < 0 || value_len < 0)
            return none;
        if (key_len == 8 && !memcmp(key, "pst.type", 8))
            return (pst_bytes){value, (size_t)value_len};
        at = value + value_len;
    }
    return none;
}

static pst_type text_type(const char *metadata)
{
    static const struct {
        const char *name;
        pst_type type;
    } kin[] = {{"json", PST_JSON}, {"date", PST_DATE}, {"uuid", PST_UUID}, {"decimal", PST_DECIMAL}};
    pst_bytes name = metadata_type(metadata);
    for (size_t i = 0; i < sizeof kin / sizeof kin[0]; i++)
        if (name.len == strlen(kin[i].name) && !memcmp(name.data, kin[i].name, name.len))
            return kin[i].type;
    return PST_TEXT; /* a kin that is not known here is valid text all the same */
}

/* 0 if the format is outside the profile. */
static pst_type field_type(const struct ArrowSchema *field)
{
    static const struct {
        const char *format;
        pst_type type;
    } formats[] = {{"b", PST_BOOLEAN}, {"i", PST_INT32},      {"l", PST_INTEGER},
                   {"g", PST_NUMBER},  {"tsu:UTC", PST_TIME}, {"z", PST_BINARY}};
    if (!field->format || field->dictionary || field->n_children)
        return 0;
    if (!strcmp(field->format, "u"))
        return text_type(field->metadata);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (!strcmp(field->format, formats[i].format))
            return formats[i].type;
    return 0;
}

pst_status pst_column_at(const struct ArrowSchema *schema, const struct ArrowArray *array, size_t index,
                         pst_column *out, pst_error *error)
{
    if (index >= (size_t)schema->n_children || schema->n_children != array->n_children)
        return pst_fail(error, PST_E_DATA, NULL, "the batch has no column %zu", index);
    const struct ArrowSchema *field = schema->children[index];
    const struct ArrowArray *child = array->children[index];
    const char *name = field->name ? field->name : "";
    pst_type type = field_type(field);
    if (!type)
        return pst_fail(error, PST_E_DATA, name, "column %s: format %s is outside the profile", name,
                        field->format ? field->format : "(none)");
    bool text = type >= PST_TEXT;
    if (child->offset || child->n_buffers != (text ? 3 : 2) || child->length != array->length ||
        child->length < 0 || child->length > INT32_MAX || !child->buffers ||
        (child->length && !child->buffers[1]))
        return pst_fail(error, PST_E_DATA, name, "column %s: wrong length, offset or number of buffers",
                        name);
    *out = (pst_column){.name = name,
                        .type = type,
                        .rows = (uint32_t)child->length,
                        .valid = child->null_count ? child->buffers[0] : NULL};
    if (text) {
        out->offsets = child->buffers[1];
        out->data = child->buffers[2];
    } else {
        out->values = child->buffers[1];
    }
    return PST_OK;
}

pst_status pst_column_find(const struct ArrowSchema *schema, const struct ArrowArray *array, const char *name,
                           pst_column *out, pst_error *error)
{
    for (int64_t i = 0; i < schema->n_children; i++)
        if (schema->children[i]->name && !strcmp(schema->children[i]->name, name))
            return pst_column_at(schema, array, (size_t)i, out, error);
    return pst_fail(error, PST_E_UNSUPPORTED, name, "there is no column %s", name);
}
