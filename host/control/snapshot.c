#include "control/snapshot.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/disk.h"

#define HEAD "penstock-snapshot 1 "
enum { MAC_HEX = 2 * SECRET_MAC_BYTES, HEAD_SIZE = sizeof HEAD - 1 + MAC_HEX + 1 };
static const char purpose[] = "penstock snapshot";
static const int64_t ahead_us = 60000000; /* what a clock may have been set back */

struct snapshot {
    json_t *document;
    int64_t written_us;
};

/* A row for each: an answer of one row would have to lie in memory twice, and libpq keeps the buffer that it
 * needed once as long as the session. */
static const statement read_all = {
    "read what a snapshot holds",
    "SELECT true, json_build_object('id', id, 'name', name, 'hash', encode(hash, 'hex'), 'scopes', scopes, "
    "'expires_us', (extract(epoch FROM expires) * 1000000)::bigint)::text FROM control.api_key "
    "WHERE revoked IS NULL AND (expires IS NULL OR expires > now()) UNION ALL "
    "SELECT false, json_build_object('wid', wid, 'id', id, 'key', key, 'paused', paused, 'document', "
    "document)::text FROM control.workspace WHERE state = 'live'"};

/* ---- writing ---- */

static void sign(const secret_key *k, const char *body, size_t len, char hex[MAC_HEX + 1])
{
    uint8_t mac[SECRET_MAC_BYTES];
    secret_sign(k, purpose, body, len, mac);
    sodium_bin2hex(hex, MAC_HEX + 1, mac, sizeof mac);
}

/* `file` has room for the head. */
static status_class put_file(const secret_key *k, const char *path, text *file, status *st)
{
    char hex[MAC_HEX + 1];
    sign(k, file->data + HEAD_SIZE, file->len - HEAD_SIZE, hex);
    memcpy(file->data, HEAD, sizeof HEAD - 1);
    memcpy(file->data + sizeof HEAD - 1, hex, MAC_HEX);
    return disk_write(path, file->data, file->len, 0600, st);
}

static void add_list(text *body, const char *name, const rows *r, bool keys)
{
    const char *between = "";
    text_printf(body, ",\"%s\":[", name);
    for (uint32_t i = 0; i < rows_count(r); i++) {
        if (rows_boolean(r, i, 0) != keys)
            continue;
        text_add(body, between);
        text_add(body, rows_text(r, i, 1));
        between = ",";
    }
    text_add(body, "]");
}

status_class snapshot_write(control *c, const char *path, status *st)
{
    connection *db = NULL;
    rows *r = NULL;
    text file = {0};
    int64_t now_us = clock_wall_us(); /* what it says held then */
    status_class class = pool_borrow(c->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class != STATUS_OK)
        return class;
    class = connection_run(db, &read_all, NULL, 0, &r, st);
    pool_return(c->control, db);
    if (class != STATUS_OK)
        return class;
    text_printf(&file, "%*s\n{\"stack\":\"%s\",\"written_us\":%" PRId64, HEAD_SIZE - 1, "", c->stack_id,
                now_us);
    add_list(&file, "keys", r, true);
    add_list(&file, "workspaces", r, false);
    text_add(&file, "}");
    rows_free(r);
    class = put_file(c->key, path, &file, st);
    text_free(&file);
    return class;
}

/* ---- reading ---- */

static status_class check_age(int64_t written_us, int64_t now_us, status *st)
{
    int64_t age_us = now_us - written_us;
    if (age_us < SNAPSHOT_LIFE_US && age_us > -ahead_us)
        return STATUS_OK;
    return status_set(st, STATUS_TIMEOUT,
                      "snapshot_too_old: it was written %lld s ago, it is good for %lld s",
                      (long long)(age_us / 1000000), (long long)(SNAPSHOT_LIFE_US / 1000000));
}

static status_class check_signature(const secret_key *k, const text *file, const char *path, status *st)
{
    char hex[MAC_HEX + 1];
    if (file->len < HEAD_SIZE || memcmp(file->data, HEAD, sizeof HEAD - 1) != 0 ||
        file->data[HEAD_SIZE - 1] != '\n')
        return status_at(st, STATUS_DENIED, path, "snapshot_tampered: it is no snapshot of this version");
    sign(k, file->data + HEAD_SIZE, file->len - HEAD_SIZE, hex);
    if (sodium_memcmp(hex, file->data + sizeof HEAD - 1, MAC_HEX) == 0)
        return STATUS_OK;
    return status_at(st, STATUS_DENIED, path,
                     "snapshot_tampered: it was changed, or signed with another key than this stack's");
}

static status_class parse(const text *file, const char *path, int64_t now_us, snapshot **out, status *st)
{
    json_t *document = json_loadb(file->data + HEAD_SIZE, file->len - HEAD_SIZE, 0, NULL);
    const json_t *written = json_object_get(document, "written_us");
    if (!json_is_integer(written) || !json_is_string(json_object_get(document, "stack"))) {
        json_decref(document);
        return status_at(st, STATUS_DENIED, path, "snapshot_tampered: it cannot be read");
    }
    status_class class = check_age(json_integer_value(written), now_us, st);
    if (class != STATUS_OK) {
        json_decref(document);
        return class;
    }
    *out = memory_zero(1, sizeof **out);
    **out = (snapshot){document, json_integer_value(written)};
    return STATUS_OK;
}

status_class snapshot_read(const secret_key *k, const char *path, int64_t now_us, snapshot **out, status *st)
{
    text file = {0};
    if (!disk_exists(path))
        return status_at(st, STATUS_NOT_FOUND, path, "snapshot_missing: this host has not run before");
    status_class class = disk_read(path, SNAPSHOT_BYTES_MAX, &file, st);
    if (class == STATUS_OK)
        class = check_signature(k, &file, path, st);
    if (class == STATUS_OK)
        class = parse(&file, path, now_us, out, st);
    text_free(&file);
    return class;
}

void snapshot_free(snapshot *s)
{
    if (!s)
        return;
    json_decref(s->document);
    free(s);
}

const char *snapshot_stack(const snapshot *s)
{
    return json_string_value(json_object_get(s->document, "stack"));
}

int64_t snapshot_written_us(const snapshot *s)
{
    return s->written_us;
}

status_class snapshot_verify(const snapshot *s, const char *key, int64_t now_us, key_record *out, status *st)
{
    char hash[KEY_HASH_TEXT_SIZE];
    size_t i;
    json_t *one;
    status_class class = check_age(s->written_us, now_us, st);
    if (class != STATUS_OK)
        return class;
    key_hash_text(key, hash);
    json_array_foreach(json_object_get(s->document, "keys"), i, one)
    {
        const char *known = json_string_value(json_object_get(one, "hash"));
        json_int_t expires_us = json_integer_value(json_object_get(one, "expires_us"));
        if (!known || strlen(known) != sizeof hash - 1 || sodium_memcmp(known, hash, sizeof hash - 1) != 0 ||
            (expires_us && expires_us <= now_us))
            continue;
        snprintf(out->id, sizeof out->id, "%s", json_string_value(json_object_get(one, "id")));
        snprintf(out->name, sizeof out->name, "%s", json_string_value(json_object_get(one, "name")));
        out->scopes = json_deep_copy(json_object_get(one, "scopes"));
        return STATUS_OK;
    }
    return status_set(st, STATUS_DENIED, "the API key is not known, expired or revoked");
}

static char *text_of(const json_t *from, const char *name)
{
    const char *s = json_string_value(json_object_get(from, name));
    return memory_string(s ? s : "");
}

void snapshot_each(const snapshot *s, void (*visit)(void *arg, workspace *w, const status *problem),
                   void *arg)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(s->document, "workspaces"), i, one)
    {
        status problem;
        workspace *w = memory_zero(1, sizeof *w);
        w->wid = (int32_t)json_integer_value(json_object_get(one, "wid"));
        w->id = text_of(one, "id");
        w->key = text_of(one, "key");
        w->paused = json_is_true(json_object_get(one, "paused"));
        w->role = memory_string("");
        w->password = memory_string("");
        bool fine =
            definition_from_json(json_object_get(one, "document"), &w->definition, &problem) == STATUS_OK;
        visit(arg, w, fine ? NULL : &problem);
        workspace_free(w);
    }
}
