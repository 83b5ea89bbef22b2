/* YAML as templates and settings are written: a tree with places, or an error with a place; never a crash. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "config/yaml_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    status st = {0};
    yaml_tree *tree = NULL;
    if (yaml_tree_parse("fuzz.yaml", (const char *)data, size, &tree, &st) == STATUS_OK) {
        char *dumped = json_dumps(yaml_tree_root(tree), JSON_ENCODE_ANY);
        free(dumped);
        yaml_tree_free(tree);
    } else if (!st.text[0]) {
        abort();
    }
    return 0;
}
