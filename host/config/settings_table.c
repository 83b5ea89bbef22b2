/* Every key of the host's configuration. */
#include "config/settings.h"

#define MIB (1024LL * 1024)
#define GIB (1024 * MIB)
#define SECOND 1000000LL

const setting_key settings_table[] = {
    {"state", SETTING_TEXT, "/var/lib/penstock", "folder of everything the host keeps", false, 0, 0, NULL},
    {"listen", SETTING_TEXT, "127.0.0.1:8080", "address and port of the API", false, 0, 0, NULL},
    {"admin_listen", SETTING_TEXT, "127.0.0.1:8081",
     "address and port of /metrics and health; empty = on `listen`", false, 0, 0, NULL},
    {"public_url", SETTING_TEXT, NULL, "how people reach the API, for openapi.json", false, 0, 0, NULL},
    {"log.format", SETTING_TEXT, "logfmt", "form of the log lines", true, 0, 0, "logfmt json"},
    {"log.level", SETTING_TEXT, "info", "least level that is written", true, 0, 0, "debug info warn error"},
    {"database.control.dsn_file", SETTING_TEXT, NULL,
     "file with the connection string of the control plane; unset = the private cluster", false, 0, 0, NULL},
    {"database.data.dsn_file", SETTING_TEXT, NULL,
     "file with the connection string of the data plane; unset = the private cluster", false, 0, 0, NULL},
    {"database.user", SETTING_TEXT, "penstock",
     "system user of the private cluster when the host runs as root", false, 0, 0, NULL},
    {"plugins.folders", SETTING_LIST, "/usr/lib/penstock/plugins,/var/lib/penstock/plugins",
     "folders with connectors/, notifiers/, metrics/, models/", false, 0, 0, NULL},
    {"plugins.user", SETTING_TEXT, NULL,
     "system user that plugins run as when the host is root; unset = root without capabilities", false, 0, 0,
     NULL},
    {"plugins.cell", SETTING_TEXT, NULL, "path of penstock-cell; unset = beside penstockd", false, 0, 0,
     NULL},
    {"plugins.deadline.open", SETTING_INTEGER, "10000",
     "ms that a plugin may take to be created, to open its source, to take an ack; killed when they are over",
     false, 100, 3600000, NULL},
    {"plugins.deadline.read", SETTING_INTEGER, "30000", "ms for one read of a source", false, 100, 3600000,
     NULL},
    {"plugins.deadline.send", SETTING_INTEGER, "30000", "ms for one notification", false, 100, 3600000, NULL},
    {"plugins.deadline.receive", SETTING_INTEGER, "5000", "ms for one request that comes in for a connector",
     false, 100, 3600000, NULL},
    {"plugins.deadline.infer", SETTING_INTEGER, "10000", "ms for scoring one batch", false, 100, 3600000,
     NULL},
    {"plugins.deadline.evaluate", SETTING_INTEGER, "10000", "ms for one evaluation of a metric engine", false,
     100, 3600000, NULL},
    {"plugins.deadline.train", SETTING_INTEGER, "1800000", "ms for one training of a model", false, 100,
     86400000, NULL},
    {"plugins.deadline.check", SETTING_INTEGER, "30000", "ms for a connection test or for listing streams",
     false, 100, 3600000, NULL},
    {"plugins.memory", SETTING_BYTES, "256MiB",
     "most memory of one plugin's process: killed beyond it, replaced between two calls at 70 %", false,
     16 * MIB, 64 * GIB, NULL},
    {"limits.cells", SETTING_INTEGER, "0",
     "most plugin processes; the longest idle one makes room for another. 0 = no limit", false, 0, 100000,
     NULL},
    {"files.allow", SETTING_FOLDERS, NULL,
     "folders that plugins may read, as /srv/data or /srv/data@workspace+workspace; unset = none", false, 0,
     0, NULL},
    {"networks.allow", SETTING_NETWORKS, NULL,
     "private networks that plugins may reach, as 10.0.0.0/8 or 10.0.0.0/8@workspace; unset = none", false, 0,
     0, NULL},
    {"journal.size", SETTING_BYTES, "4GiB", "most bytes the journal takes", false, 64 * MIB, 1024 * GIB,
     NULL},
    {"limits.store_bytes", SETTING_BYTES, "0",
     "journal bytes that rows of one store may wait in; 0 = a quarter of journal.size", false, 0, 1024 * GIB,
     NULL},
    {"snapshot.every", SETTING_DURATION, "5m",
     "how often the signed snapshot is written by which rows are taken when PostgreSQL is away at the start; "
     "it "
     "is good for 15m",
     false, SECOND / 10, 600 * SECOND, NULL},
    {"ledger.every", SETTING_DURATION, "60s",
     "how often the ledgers are looked at: an alarm when one does not balance", false, SECOND / 10,
     3600 * SECOND, NULL},
    {"limits.dead_letters", SETTING_INTEGER, "1000000",
     "most dead letters of a workspace; beyond, rejected rows are counted and one in 1,000 is kept", false, 1,
     100000000, NULL},
    {"limits.dead_letter_bytes", SETTING_BYTES, "1GiB", "most bytes of a workspace's dead letters; likewise",
     false, 1024, 1024 * GIB, NULL},
    {"limits.body_bytes", SETTING_BYTES, "16MiB",
     "largest body of rows as it is sent; unpacked at most 64MiB", false, 1024, 64 * MIB, NULL},
    {"limits.rows_per_request", SETTING_INTEGER, "100000", "most rows in one request", false, 1, 1000000,
     NULL},
    {"http.chunked", SETTING_TEXT, "accept", "whether `listen` takes chunked bodies; refuse: they get 400",
     false, 0, 0, "accept refuse"},
    {"http.receive_timeout", SETTING_DURATION, "60s",
     "longest time from a request's first line to the end of its body", false, SECOND, 600 * SECOND, NULL},
    {"limits.connections", SETTING_INTEGER, "1000", "most client connections", false, 1, 100000, NULL},
    {"limits.query_rows", SETTING_INTEGER, "100000", "most rows a metric may give", false, 1, 10000000, NULL},
    {"limits.query_timeout", SETTING_DURATION, "5s", "longest time a metric's statement may run", false,
     SECOND / 10, 600 * SECOND, NULL},
    {"lanes.threads", SETTING_INTEGER, "0", "worker threads; 0 = by the number of cores", false, 0, 256,
     NULL},
    {"build_share", SETTING_INTEGER, "50", "percent of its time that the build of a featurestore computes",
     false, 1, 100, NULL},
    {"weights", SETTING_LIST, NULL,
     "weights of workspaces in turns, as acme=3,trial=0.5; 1 for one that is not named", false, 0, 0, NULL},
    {"writers", SETTING_INTEGER, "2", "datastore writers", false, 1, 64, NULL},
};
const size_t settings_table_n = sizeof settings_table / sizeof *settings_table;

void settings_help(text *out)
{
    for (size_t i = 0; i < settings_table_n; i++) {
        const setting_key *k = &settings_table[i];
        text_printf(out, "  --%s\n      %s%s%s%s\n", k->name, k->doc, k->value ? " [" : "",
                    k->value ? k->value : "", k->value ? "]" : "");
    }
}
