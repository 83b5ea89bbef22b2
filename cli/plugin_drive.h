/* Puts a plugin on the workbench to work by its kind. What comes out is printed as one JSON object a line. */
#ifndef PENSTOCK_CLI_PLUGIN_DRIVE_H
#define PENSTOCK_CLI_PLUGIN_DRIVE_H
#include <jansson.h>

#include "plugin/workbench.h"

typedef struct drive_order {
    const char *input, *train;           /* files of rows; NULL = none given */
    const char *definition, *parameters; /* JSON of a metric engine */
    const json_t *message;               /* of a notifier; NULL = a sample */
    long rows;                           /* of a source; 0 = until its end, or Ctrl-C */
} drive_order;

status_class plugin_drive(workbench *b, const drive_order *order, status *st);
#endif
