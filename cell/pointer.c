/* One step a time: a token is copied with ~0 and ~1 resolved, then looked up as a key or an index. */
#include "cell/pointer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_MAX = 256 };

/* Copies the token after the slash at `path`; the rest of the path, or NULL if the token is malformed or too
 * long. */
static const char *token_next(const char *path, char out[TOKEN_MAX])
{
    size_t n = 0;
    const char *at = path + 1;
    for (; *at && *at != '/'; at++) {
        char c = *at;
        if (c == '~') {
            at++;
            if (*at != '0' && *at != '1')
                return NULL;
            c = *at == '0' ? '~' : '/';
        }
        if (n + 1 >= TOKEN_MAX)
            return NULL;
        out[n++] = c;
    }
    out[n] = '\0';
    return at;
}

static json_t *item_at(const json_t *list, const char *token)
{
    if (!*token || strspn(token, "0123456789") != strlen(token) || strlen(token) > 9)
        return NULL;
    return json_array_get(list, strtoul(token, NULL, 10));
}

json_t *pointer_find(const json_t *root, const char *path)
{
    json_t *at = (json_t *)root;
    char token[TOKEN_MAX];
    while (at && *path) {
        if (*path != '/' || !(path = token_next(path, token)))
            return NULL;
        at = json_is_array(at) ? item_at(at, token) : json_object_get(at, token);
    }
    return at;
}

const char *pointer_key(const json_t *root, const char *path, size_t index)
{
    json_t *object = pointer_find(root, path);
    void *at = json_object_iter(object);
    for (; at && index; index--)
        at = json_object_iter_next(object, at);
    return at ? json_object_iter_key(at) : NULL;
}

size_t pointer_count(const json_t *root, const char *path)
{
    json_t *there = pointer_find(root, path);
    return json_is_array(there) ? json_array_size(there) : json_object_size(there);
}

const char *pointer_text(const json_t *root, const char *path)
{
    return json_string_value(pointer_find(root, path));
}

int64_t pointer_integer(const json_t *root, const char *path)
{
    const json_t *there = pointer_find(root, path);
    return json_is_integer(there) ? json_integer_value(there) : 0;
}

double pointer_real(const json_t *root, const char *path)
{
    const json_t *there = pointer_find(root, path);
    return json_is_number(there) ? json_number_value(there) : 0.0;
}
