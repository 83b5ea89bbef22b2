/* The command tables, one a noun; commands.c puts them in the order of the help. Each ends with an empty
 * command. */
#ifndef PENSTOCK_CLI_TABLES_H
#define PENSTOCK_CLI_TABLES_H
#include "command.h"

extern const command up_commands[], down_commands[], status_commands[], why_slow_commands[],
    doctor_commands[], help_commands[];
extern const command login_commands[], context_commands[];
extern const command template_commands[], workspace_commands[], secret_commands[], key_commands[];
extern const command plugin_commands[], plugin_load_commands[], plugin_kit_commands[], connector_commands[],
    sink_commands[], notifier_commands[], dashboard_commands[], report_commands[];
extern const command ingest_commands[], query_commands[], store_commands[], metric_commands[];
extern const command featurestore_commands[], retention_commands[];
extern const command alert_commands[], model_commands[], job_commands[], ledger_commands[],
    deadletter_commands[], journal_commands[];
extern const command schema_commands[], completion_commands[];
#endif
