#include "control/definition_seed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/keep.h"
#include "base/shared.h"

typedef struct shared_text {
    shared shared; /* first */
    size_t len;
    char bytes[];
} shared_text;

static const char *const parts[] = {"template", "local", "parameters", "columns"};
enum { TEMPLATE, LOCAL, PARAMETERS, COLUMNS, PARTS };

struct definition_seed {
    int32_t wid;
    int64_t generation;
    char *workspace, *workspace_id; /* NULL as in the definition */
    shared_text *texts[PARTS];      /* NULL: the definition has none */
};

static void text_gone(shared *s)
{
    keep_free(s);
}

static shared_table texts = SHARED_TABLE(text_gone);

static shared_text *keep_text(const json_t *document)
{
    char digest[DIGEST_TEXT_SIZE];
    if (!document || json_is_null(document))
        return NULL;
    char *form = json_dumps(document, JSON_COMPACT | JSON_ENCODE_ANY);
    size_t len = strlen(form);
    digest_text(digest, form, len);
    shared *kept = shared_find(&texts, digest);
    if (!kept) {
        shared_text *made = keep_zero(1, sizeof *made + len);
        made->len = len;
        memcpy(made->bytes, form, len);
        kept = shared_put(&texts, digest, &made->shared);
    }
    free(form);
    return (shared_text *)kept;
}

definition_seed *definition_seed_take(const definition *d)
{
    definition_seed *s = keep_zero(1, sizeof *s);
    json_t *document = definition_to_json(d);
    s->wid = d->wid;
    s->generation = d->generation;
    s->workspace = d->workspace ? keep_string(d->workspace) : NULL;
    s->workspace_id = d->workspace_id ? keep_string(d->workspace_id) : NULL;
    for (unsigned i = 0; i < PARTS; i++)
        s->texts[i] = keep_text(json_object_get(document, parts[i]));
    json_decref(document);
    return s;
}

void definition_seed_free(definition_seed *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < PARTS; i++)
        if (s->texts[i])
            shared_release(&texts, &s->texts[i]->shared);
    keep_free(s->workspace);
    keep_free(s->workspace_id);
    keep_free(s);
}

status_class definition_seed_grow(const definition_seed *s, const definition **ret, status *st)
{
    json_t *documents[PARTS] = {NULL};
    for (unsigned i = 0; i < PARTS; i++)
        if (s->texts[i])
            documents[i] = json_loadb(s->texts[i]->bytes, s->texts[i]->len, JSON_DECODE_ANY, NULL);
    assert(documents[TEMPLATE]); /* we wrote it */
    const definition_source source = {.template_body = documents[TEMPLATE],
                                      .local_body = documents[LOCAL],
                                      .parameters = documents[PARAMETERS],
                                      .columns = documents[COLUMNS],
                                      .wid = s->wid,
                                      .workspace = s->workspace,
                                      .workspace_id = s->workspace_id,
                                      .generation = s->generation};
    status_class class = definition_make(&source, ret, st);
    for (unsigned i = 0; i < PARTS; i++)
        json_decref(documents[i]);
    return class;
}
