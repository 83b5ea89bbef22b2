/* Documents by URI, kept in a JSON object. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "schema/compile.h"

struct schema_registry {
    json_t *documents;
};

schema_registry *schema_registry_create(void)
{
    schema_registry *r = memory_alloc(sizeof *r);
    r->documents = json_object();
    if (!r->documents)
        abort();
    return r;
}

void schema_registry_free(schema_registry *r)
{
    if (!r)
        return;
    json_decref(r->documents);
    free(r);
}

void schema_registry_add(schema_registry *r, const char *uri, json_t *document)
{
    size_t len = strcspn(uri, "#");
    char *bare = memory_string(uri);
    bare[len] = '\0';
    (void)json_object_set(r->documents, bare,
                          document); /* fails only for a URI that is not UTF-8: nothing refers to it */
    free(bare);
}

json_t *schema_registry_find(const schema_registry *r, const char *uri)
{
    return r ? json_object_get(r->documents, uri) : NULL;
}
