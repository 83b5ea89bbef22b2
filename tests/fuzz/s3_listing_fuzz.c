/* What an S3 server answers: a listing, or an error. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "listing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_object(void *arg, const listing_object *o)
{
    (void)arg;
    if (!o->key[0] || strlen(o->key) >= LISTING_KEY_MAX || strlen(o->etag) >= LISTING_ETAG_MAX)
        abort();
}

static void on_prefix(void *arg, const char *prefix)
{
    (void)arg;
    if (strlen(prefix) >= LISTING_KEY_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static listing_page page;
    listing_fault fault;
    pst_error error = {.struct_size = sizeof error};
    page = (listing_page){.on_object = on_object, .on_prefix = on_prefix};
    if (listing_read((pst_bytes){data, size}, &page, &error) && page.more)
        abort();
    listing_fault_read((pst_bytes){data, size}, &fault);
    return 0;
}
