/* Requests → calls of the plugin: one function a request, in a table. */
#ifndef PENSTOCK_CELL_CALLS_H
#define PENSTOCK_CELL_CALLS_H
#include "cell/session.h"

/* Runs the request that was taken last and answers it. */
void calls_run(session *s);
/* Unloads the model and destroys the plugin's object. */
void calls_end(session *s);
#endif
