/* A flag that takes a mapping: a file of YAML or JSON, or the mapping itself, which begins with a brace. */
#ifndef PENSTOCK_CLI_MAPPING_FLAG_H
#define PENSTOCK_CLI_MAPPING_FLAG_H
#include "command.h"
#include "config/yaml_tree.h"

/* *out stays as it is when the flag was not given; else the caller frees it. STATUS_INVALID for what is no
 * mapping. */
status_class mapping_flag_read(const invocation *inv, const char *flag_name, yaml_tree **out, status *st);
#endif
