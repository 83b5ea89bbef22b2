#include "schema/metaschema.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* Embedded files. */
extern const char meta_draft7[];
extern const size_t meta_draft7_len;
extern const char meta_2020_12_schema[];
extern const size_t meta_2020_12_schema_len;
extern const char meta_2020_12_core[];
extern const size_t meta_2020_12_core_len;
extern const char meta_2020_12_applicator[];
extern const size_t meta_2020_12_applicator_len;
extern const char meta_2020_12_unevaluated[];
extern const size_t meta_2020_12_unevaluated_len;
extern const char meta_2020_12_validation[];
extern const size_t meta_2020_12_validation_len;
extern const char meta_2020_12_meta_data[];
extern const size_t meta_2020_12_meta_data_len;
extern const char meta_2020_12_format_annotation[];
extern const size_t meta_2020_12_format_annotation_len;
extern const char meta_2020_12_format_assertion[];
extern const size_t meta_2020_12_format_assertion_len;
extern const char meta_2020_12_content[];
extern const size_t meta_2020_12_content_len;

#define PREFIX "https://json-schema.org/draft/2020-12/"

static const struct metaschema {
    const char *uri, *text;
    const size_t *len;
} metaschemas[] = {
    {"http://json-schema.org/draft-07/schema", meta_draft7, &meta_draft7_len},
    {PREFIX "schema", meta_2020_12_schema, &meta_2020_12_schema_len},
    {PREFIX "meta/core", meta_2020_12_core, &meta_2020_12_core_len},
    {PREFIX "meta/applicator", meta_2020_12_applicator, &meta_2020_12_applicator_len},
    {PREFIX "meta/unevaluated", meta_2020_12_unevaluated, &meta_2020_12_unevaluated_len},
    {PREFIX "meta/validation", meta_2020_12_validation, &meta_2020_12_validation_len},
    {PREFIX "meta/meta-data", meta_2020_12_meta_data, &meta_2020_12_meta_data_len},
    {PREFIX "meta/format-annotation", meta_2020_12_format_annotation, &meta_2020_12_format_annotation_len},
    {PREFIX "meta/format-assertion", meta_2020_12_format_assertion, &meta_2020_12_format_assertion_len},
    {PREFIX "meta/content", meta_2020_12_content, &meta_2020_12_content_len},
};

json_t *metaschema_find(const char *uri)
{
    for (size_t i = 0; i < sizeof metaschemas / sizeof *metaschemas; i++) {
        if (strcmp(metaschemas[i].uri, uri) != 0)
            continue;
        json_t *document = json_loadb(metaschemas[i].text, *metaschemas[i].len, 0, NULL);
        assert(document); /* they are part of the program */
        return document;
    }
    return NULL;
}
