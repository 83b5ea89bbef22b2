/* clang-format off */
/* The two structs of the Arrow C Data Interface (https://arrow.apache.org/docs/format/CDataInterface.html), as that
 * page defines them, so that they may stand beside another copy of the same definition.
 * Penstock uses a narrow profile of it, described in penstock/batch.h. */
#ifndef PENSTOCK_ARROW_ABI_H
#define PENSTOCK_ARROW_ABI_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif
#ifdef __cplusplus
}
#endif
#endif
