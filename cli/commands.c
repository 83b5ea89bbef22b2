/* Every command, in the order of the help. */
#include <assert.h>

#include "command.h"
#include "tables.h"

#define COMMANDS_MAX 160

const command *const *commands_all(size_t *n_out)
{
    static const command *all[COMMANDS_MAX];
    static size_t n;
    static bool filled;
    const command *const tables[] = {
        up_commands,           down_commands,        status_commands,     why_slow_commands,  doctor_commands,
        template_commands,     workspace_commands,   ingest_commands,     query_commands,     store_commands,
        featurestore_commands, retention_commands,   metric_commands,     alert_commands,     model_commands,
        connector_commands,    sink_commands,        notifier_commands,   dashboard_commands, report_commands,
        plugin_commands,       plugin_load_commands, plugin_kit_commands, secret_commands,    key_commands,
        job_commands,          ledger_commands,      deadletter_commands, journal_commands,   schema_commands,
        login_commands,        context_commands,     completion_commands, help_commands,      NULL,
    };
    for (size_t t = 0; !filled && tables[t]; t++) {
        for (const command *c = tables[t]; c->verb; c++) {
            assert(n < COMMANDS_MAX);
            all[n++] = c;
        }
    }
    filled = true;
    *n_out = n;
    return all;
}
