#include "mapping_flag.h"

#include <stdio.h>
#include <string.h>

status_class mapping_flag_read(const invocation *inv, const char *flag_name, yaml_tree **out, status *st)
{
    const char *given = flag_text(inv, flag_name, NULL);
    char name[32];
    if (!given)
        return STATUS_OK;
    snprintf(name, sizeof name, "--%s", flag_name);
    bool is_file = *given != '{' && *given != '[';
    status_class class =
        is_file ? yaml_tree_read(given, out, st) : yaml_tree_parse(name, given, strlen(given), out, st);
    if (class == STATUS_OK && !json_is_object(yaml_tree_root(*out)))
        class = status_at(st, STATUS_INVALID, name, "a mapping is expected");
    return class;
}
