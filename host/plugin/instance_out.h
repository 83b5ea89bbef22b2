/* Calls of an instance that carry something out of the host, and the callbacks that tell what became of it:
 * rows to a sink, commands to a device, receipts of deliveries. As those of instance.h: they block up to the
 * deadline, one at a time. */
#ifndef PENSTOCK_PLUGIN_INSTANCE_OUT_H
#define PENSTOCK_PLUGIN_INSTANCE_OUT_H
#include "plugin/instance.h"

#define INSTANCE_REFUSED_MAX 1000  /* rows of one batch */
#define INSTANCE_RECEIPTS_MAX 1000 /* of one callback */

/* ---- Sink ---- */

typedef struct instance_outgoing {
    const char *store;    /* "datastore:key" */
    const char *batch_id; /* the same on every try */
    bool again;           /* it was tried before */
    uint64_t first_seq, last_seq;
    instance_input rows; /* has a column `_seq`; its name is not handed on */
} instance_outgoing;

typedef struct instance_refused { /* a row that the far side never takes */
    uint32_t row;
    char reason[252];
} instance_refused;

typedef struct instance_written { /* owns its memory: instance_written_free */
    instance_refused *refused;
    size_t n_refused;
} instance_written;
void instance_written_free(instance_written *written); /* zeroed is fine */

/* STATUS_OK: all rows are durable on the far side but those that were refused. PLUGIN_FAULT_DATA: try smaller
 * batches. */
status_class instance_write(instance *in, instance_call *call, const instance_outgoing *rows,
                            instance_written *written_out, status *st);

/* ---- Commands ---- */

typedef enum instance_command_state {
    INSTANCE_COMMAND_DONE = 1,
    INSTANCE_COMMAND_ACCEPTED, /* instance_command_fetch tells more later */
    INSTANCE_COMMAND_REFUSED,
    INSTANCE_COMMAND_UNKNOWN, /* of fetch and find: the far side does not know it */
} instance_command_state;

typedef struct instance_command_result {
    instance_command_state state;
    char external_id[128];
    json_t *reply; /* the caller's; NULL = none */
} instance_command_result;

/* What can be commanded: an array of objects, as PST_IF_COMMAND says. */
status_class instance_command_list(instance *in, instance_call *call, json_t **verbs_out, status *st);
/* call->work_id must be set. TIMEOUT, and the death of the cell, leave it open whether the device got it:
 * only instance_command_find settles that. */
status_class instance_command_send(instance *in, instance_call *call, const char *verb,
                                   const char *input_json, instance_command_result *result_out, status *st);
status_class instance_command_fetch(instance *in, instance_call *call, const char *external_id,
                                    instance_command_result *result_out, status *st);
status_class instance_command_find(instance *in, instance_call *call, const char *work_id,
                                   instance_command_result *result_out, status *st);
status_class instance_command_cancel(instance *in, instance_call *call, const char *external_id, status *st);

/* ---- Receipts ---- */

typedef enum instance_receipt_state {
    INSTANCE_RECEIPT_DELIVERED = 1,
    INSTANCE_RECEIPT_READ,
    INSTANCE_RECEIPT_FAILED,
} instance_receipt_state;

typedef struct instance_receipt {
    char external_id[256];
    instance_receipt_state state;
    int64_t at_us;
} instance_receipt;

typedef struct instance_receipts { /* owns its memory: instance_receipts_free */
    instance_reply reply;          /* for the far side; has no batches */
    instance_receipt *items;
    size_t n;
} instance_receipts;
void instance_receipts_free(instance_receipts *receipts); /* zeroed is fine */

/* Hands a callback of the far side to a notifier. */
status_class instance_receipt_take(instance *in, instance_call *call, const instance_request *request,
                                   instance_receipts *receipts_out, status *st);
#endif
