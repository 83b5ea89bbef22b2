/* What the host answers to a cell during a request. One file a service (services_<name>.c), one table of them
 * (services.c); docs/abi/wire.md has the protocol. Private to host/plugin.
 *
 * Functions run in the thread of the call, under the instance's lock, and must not block for long: neither
 * the cell's death nor its deadline is watched meanwhile. */
#ifndef PENSTOCK_PLUGIN_SERVICES_H
#define PENSTOCK_PLUGIN_SERVICES_H
#include "plugin/cell.h"
#include "plugin/instance.h"
#include "wire/service.h"

typedef struct service_call {
    instance *in;
    const char *workspace, *workspace_key, *instance_name;
    const char *subject; /* or NULL */
    frame_reader arguments;
    cell_reply *reply;   /* results are written to reply->body; status PST_OK unless it is set */
    int32_t vendor_code; /* with a failure */
    uint32_t retry_after_ms;
} service_call;

/* A failure's class becomes the plugin's status: INVALID, DENIED, NOT_FOUND → CONFIG, LIMIT → RESOURCE, … */
typedef status_class (*service_function)(service_call *call, status *st);

typedef struct service {
    const char *name;
    bool for_pure; /* also for metric engines and models, which get the same answer from the same input */
    const service_function *functions;
    size_t n_functions;
} service;

extern const service service_secrets, service_files, service_health, service_limit, service_program,
    service_state;

/* Text that must stand next; NULL: the question cannot be read. */
const char *service_take_text(service_call *call, frame_tag tag);
status_class service_unreadable(status *st);

/* Answers a question of the instance's cell. False: it cannot be read, so the cell is not to be trusted. */
bool services_answer(instance *in, frame_reader question, cell_reply *reply);
#endif
