/* penstock.json/1: a pst_json is a jansson value. */
#include "cell/pointer.h"
#include "cell/services.h"
#include "penstock/batch.h"

static const json_t *json_of(const pst_json *document)
{
    return (const json_t *)(const void *)document;
}

static pst_json *on_json_parse(const pst_host *host, pst_bytes text, pst_error *error)
{
    (void)host;
    json_error_t wrong;
    json_t *root = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &wrong);
    if (!root)
        pst_fail(error, PST_E_DATA, NULL, "not JSON: %s at byte %d", wrong.text, wrong.position);
    return (pst_json *)(void *)root;
}

static void on_json_discard(pst_json *document)
{
    json_decref((json_t *)(void *)document);
}

static bool on_json_has(const pst_json *document, const char *path)
{
    const json_t *there = pointer_find(json_of(document), path);
    return there && !json_is_null(there);
}

static const char *on_json_text(const pst_json *document, const char *path)
{
    return pointer_text(json_of(document), path);
}

static int64_t on_json_integer(const pst_json *document, const char *path)
{
    return pointer_integer(json_of(document), path);
}

static double on_json_real(const pst_json *document, const char *path)
{
    return pointer_real(json_of(document), path);
}

static bool on_json_flag(const pst_json *document, const char *path)
{
    return json_is_true(pointer_find(json_of(document), path));
}

static size_t on_json_count(const pst_json *document, const char *path)
{
    return pointer_count(json_of(document), path);
}

static const char *on_json_key(const pst_json *document, const char *path, size_t index)
{
    return pointer_key(json_of(document), path, index);
}

const pst_json_service service_json = {.struct_size = sizeof(pst_json_service),
                                       .parse = on_json_parse,
                                       .discard = on_json_discard,
                                       .has = on_json_has,
                                       .text = on_json_text,
                                       .integer = on_json_integer,
                                       .real = on_json_real,
                                       .flag = on_json_flag,
                                       .count = on_json_count,
                                       .key = on_json_key};
