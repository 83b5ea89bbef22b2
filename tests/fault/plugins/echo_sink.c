/* A sink and a device: what it was given comes back as the reply of the command `told`. `misbehave` makes its
 * answers wrong in one way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trouble.h"

extern const char config_schema[];

typedef struct sink {
    const pst_host *host;
    char told[512];
    char sent[128]; /* work id of the last command */
    trouble trouble;
} sink;

static bool misbehaves(const sink *s, const char *how)
{
    const char *set = s->host->config_text(s->host, "/misbehave");
    return set && !strcmp(set, how);
}

/* Refuses rows whose value is below 0; all of them if one is below -99. */
static pst_status on_write(void *self, const pst_call *call, const pst_outgoing *rows, pst_refused *refused,
                           size_t cap, size_t *n_refused, pst_error *error)
{
    sink *s = self;
    pst_column value, seq;
    pst_status status = pst_column_find(rows->schema, rows->array, "value", &value, error);
    if (status == PST_OK)
        status = pst_column_find(rows->schema, rows->array, "_seq", &seq, error);
    if (status == PST_OK)
        status = trouble_call(&s->trouble, call, error);
    if (status == PST_OK)
        status = trouble_inputs(&s->trouble, call, &(pst_input){"rows", rows->schema, rows->array}, 1, error);
    if (status != PST_OK)
        return status;
    double sum = 0;
    for (uint32_t i = 0; i < value.rows; i++) {
        double v = pst_column_real(&value, i);
        if (v < -99)
            return pst_fail(error, PST_E_DATA, NULL, "row %u is a catastrophe", i);
        if (v >= 0 || *n_refused == cap) {
            sum += v;
            continue;
        }
        refused[*n_refused] = (pst_refused){.row = misbehaves(s, "row") ? value.rows : i};
        snprintf(refused[*n_refused].reason, sizeof refused[0].reason, "%s",
                 misbehaves(s, "utf8") ? "\xff\xfe" : "below zero");
        ++*n_refused;
    }
    if (misbehaves(s, "many"))
        *n_refused = cap + 1;
    if (misbehaves(s, "die"))
        abort();
    snprintf(s->told, sizeof s->told, "%s %s%s %llu..%llu work %s sum %.1f first seq %lld", rows->store,
             rows->batch_id, rows->flags & PST_OUTGOING_AGAIN ? " again" : "",
             (unsigned long long)rows->first_seq, (unsigned long long)rows->last_seq,
             call->work_id ? call->work_id : "-", sum, (long long)(seq.rows ? pst_column_int(&seq, 0) : -1));
    return PST_OK;
}

/* ---- Commands ---- */

static pst_status on_list(void *self, const pst_call *call, pst_blob *json_out, pst_error *error)
{
    (void)call;
    const char *json = misbehaves(self, "list") ? "{}" : "[{\"verb\": \"open\", \"answer\": \"polled\"}]";
    return pst_blob_set(json_out, json, strlen(json), error);
}

static pst_status on_send(void *self, const pst_call *call, const char *verb, const char *input_json,
                          pst_command_result *out, pst_error *error)
{
    sink *s = self;
    char reply[800];
    if (!strcmp(verb, "break"))
        return pst_fail(error, PST_E_UNAVAILABLE, NULL, "the line is cut");
    snprintf(s->sent, sizeof s->sent, "%s", call->work_id);
    out->state = !strcmp(verb, "open") ? PST_COMMAND_ACCEPTED : PST_COMMAND_DONE;
    if (out->state == PST_COMMAND_ACCEPTED && !misbehaves(s, "nameless"))
        snprintf(out->external_id, sizeof out->external_id, "x-%s", call->work_id);
    if (misbehaves(s, "endless"))
        memset(out->external_id, 'x', sizeof out->external_id);
    if (misbehaves(s, "state"))
        out->state = 77;
    snprintf(reply, sizeof reply, "{\"told\": \"%s\", \"input\": %s}", s->told, input_json);
    if (misbehaves(s, "json"))
        reply[1] = '\0';
    return misbehaves(s, "silent") ? PST_OK : pst_blob_set(&out->reply, reply, strlen(reply), error);
}

static pst_status on_fetch(void *self, const pst_call *call, const char *external_id, pst_command_result *out,
                           pst_error *error)
{
    (void)self, (void)call, (void)error;
    out->state = strncmp(external_id, "x-", 2) != 0 ? PST_COMMAND_UNKNOWN : PST_COMMAND_DONE;
    return PST_OK;
}

static pst_status on_find(void *self, const pst_call *call, const char *work_id, pst_command_result *out,
                          pst_error *error)
{
    (void)call, (void)error;
    sink *s = self;
    out->state = strcmp(work_id, s->sent) != 0 ? PST_COMMAND_UNKNOWN : PST_COMMAND_DONE;
    return PST_OK;
}

static const pst_sink sink_interface = {.struct_size = sizeof sink_interface, .write = on_write};
/* `cancel` is left out. */
static const pst_command command_interface = {.struct_size = sizeof command_interface,
                                              .list = on_list,
                                              .send = on_send,
                                              .fetch = on_fetch,
                                              .find = on_find};

static const void *get_interface(const char *id)
{
    return !strcmp(id, PST_IF_SINK)      ? (const void *)&sink_interface
           : !strcmp(id, PST_IF_COMMAND) ? (const void *)&command_interface
                                         : NULL;
}

static pst_status create(const pst_host *host, void **self, pst_error *error)
{
    sink *s = calloc(1, sizeof *s);
    if (!s)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    s->host = host;
    trouble_read(&s->trouble, host);
    *self = s;
    return PST_OK;
}

PST_EXPORT const pst_plugin penstock_plugin_v1 = {.struct_size = sizeof(pst_plugin),
                                                  .abi_minor = PST_ABI_MINOR,
                                                  .id = "org.penstock.test.echo-sink",
                                                  .kind = PST_KIND_CONNECTOR,
                                                  .version = "1.0.0",
                                                  .title = "Echo sink",
                                                  .licence = "Apache-2.0",
                                                  .config_schema = config_schema,
                                                  .get_interface = get_interface,
                                                  .create = create,
                                                  .destroy = free};
