/* penstock.json/1: a pst_json is a jansson value, borrowed from its document. */
#include <stdlib.h>
#include <string.h>

#include "cell/pointer.h"
#include "cell/services.h"
#include "penstock/batch.h"

static const json_t *json_of(const pst_json *document)
{
    return (const json_t *)(const void *)document;
}

static const json_t *at(const pst_json *value, const char *path)
{
    return pointer_find(json_of(value), path);
}

static pst_json *on_json_parse(const pst_host *host, pst_bytes text, pst_error *error)
{
    (void)host;
    json_error_t wrong;
    if (text.len > PST_JSON_TEXT_MAX) {
        pst_fail(error, PST_E_RESOURCE, NULL, "the document has more than %d bytes", PST_JSON_TEXT_MAX);
        return NULL;
    }
    const int flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;
    json_t *root = json_loadb(text.len ? text.data : "", text.len, flags, &wrong);
    if (!root)
        pst_fail(error, PST_E_DATA, NULL, "not JSON: %s at byte %d", wrong.text, wrong.position);
    return (pst_json *)(void *)root;
}

static void on_json_discard(pst_json *document)
{
    json_decref((json_t *)(void *)document);
}

static const pst_json *on_json_find(const pst_json *value, const char *path)
{
    return (const pst_json *)(const void *)at(value, path);
}

static const pst_json *on_json_item(const pst_json *value, size_t index)
{
    json_t *here = (json_t *)json_of(value);
    if (!json_is_object(here))
        return (const pst_json *)(const void *)json_array_get(here, index);
    void *entry = json_object_iter(here);
    for (; entry && index; index--)
        entry = json_object_iter_next(here, entry);
    return (const pst_json *)(const void *)json_object_iter_value(entry);
}

static int32_t on_json_kind(const pst_json *value, const char *path)
{
    static const int32_t kinds[] = {
        [JSON_OBJECT] = PST_JSON_OBJECT,   [JSON_ARRAY] = PST_JSON_ARRAY, [JSON_STRING] = PST_JSON_TEXT,
        [JSON_INTEGER] = PST_JSON_INTEGER, [JSON_REAL] = PST_JSON_REAL,   [JSON_TRUE] = PST_JSON_BOOLEAN,
        [JSON_FALSE] = PST_JSON_BOOLEAN,   [JSON_NULL] = PST_JSON_NULL};
    const json_t *there = at(value, path);
    return there ? kinds[json_typeof(there)] : PST_JSON_ABSENT;
}

static bool on_json_has(const pst_json *value, const char *path)
{
    const json_t *there = at(value, path);
    return there && !json_is_null(there);
}

static const char *on_json_text(const pst_json *value, const char *path)
{
    return pointer_text(json_of(value), path);
}

static int64_t on_json_integer(const pst_json *value, const char *path)
{
    return pointer_integer(json_of(value), path);
}

static double on_json_real(const pst_json *value, const char *path)
{
    return pointer_real(json_of(value), path);
}

static bool on_json_flag(const pst_json *value, const char *path)
{
    return json_is_true(at(value, path));
}

static size_t on_json_count(const pst_json *value, const char *path)
{
    return pointer_count(json_of(value), path);
}

static const char *on_json_key(const pst_json *value, const char *path, size_t index)
{
    return pointer_key(json_of(value), path, index);
}

static void on_printed_release(pst_blob *blob)
{
    free(blob->data);
    blob->data = NULL;
}

static pst_status on_json_print(const pst_json *value, const char *path, pst_blob *out, pst_error *error)
{
    const json_t *there = at(value, path);
    char *text = there ? json_dumps(there, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (!there)
        return pst_fail(error, PST_E_DATA, NULL, "the document has nothing at \"%s\"", path);
    if (!text)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for the text of \"%s\"", path);
    out->data = text;
    out->len = strlen(text);
    out->release = on_printed_release;
    return PST_OK;
}

const pst_json_service service_json = {.struct_size = sizeof(pst_json_service),
                                       .parse = on_json_parse,
                                       .discard = on_json_discard,
                                       .find = on_json_find,
                                       .item = on_json_item,
                                       .kind = on_json_kind,
                                       .has = on_json_has,
                                       .text = on_json_text,
                                       .integer = on_json_integer,
                                       .real = on_json_real,
                                       .flag = on_json_flag,
                                       .count = on_json_count,
                                       .key = on_json_key,
                                       .print = on_json_print};
