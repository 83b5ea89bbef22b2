/* Bytes that a plugin hands over: a copy on the heap with its release. */
#include <stdlib.h>
#include <string.h>

#include "penstock/batch.h"

static void on_release(pst_blob *blob)
{
    free(blob->data);
    blob->data = NULL;
    blob->len = 0;
    blob->release = NULL;
}

pst_status pst_blob_set(pst_blob *blob, const void *data, size_t len, pst_error *error)
{
    char *copy = malloc(len + 1); /* one more: text may be read as such */
    if (!copy)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for %zu bytes", len);
    if (len)
        memcpy(copy, data, len);
    copy[len] = '\0';
    blob->data = copy;
    blob->len = len;
    blob->release = on_release;
    return PST_OK;
}
