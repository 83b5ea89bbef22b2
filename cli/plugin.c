/* `penstock plugin|notifier …`: what moves data in and out; `dashboard|report list`: what shows
 * them. */
#include "resource.h"
#include "tables.h"

static const resource plugins = {
    .path = "/plugins", .columns = "id,kind,version,state,use.running,use.quarantined,use.deaths,file"};
static const resource one_plugin = {.path = "/plugins/{0}"};
static const resource notifiers = {.path = "/workspaces/{ws}/notifiers",
                                   .columns = "key,plugin,state,waiting,error"};

const command plugin_commands[] = {
    {"plugin", "list", "", 0, 0, resource_list_flags, "the plugins that the host has found, broken ones too",
     "plugin list", resource_list, &plugins},
    {"plugin", "show", "ID", 1, 1, NULL,
     "one plugin: its versions, who runs which, and the schema of its configuration",
     "plugin show org.penstock.connector.csv", resource_show, &one_plugin},
    {0},
};

static const resource dashboards = {.path = "/workspaces/{ws}/dashboards",
                                    .columns = "key,title,origin,note"};
static const resource reports = {.path = "/workspaces/{ws}/reports", .columns = "key,title,origin,note"};

const command dashboard_commands[] = {
    {"dashboard", "list", "", 0, 0, resource_list_flags,
     "the dashboards of a workspace; kept, not served yet", "dashboard list -w demo", resource_list,
     &dashboards},
    {0},
};

const command report_commands[] = {
    {"report", "list", "", 0, 0, resource_list_flags, "the reports of a workspace; kept, not served yet",
     "report list -w demo", resource_list, &reports},
    {0},
};

const command notifier_commands[] = {
    {"notifier", "list", "", 0, 0, resource_list_flags, "the notifiers of a workspace and what waits in them",
     "notifier list -w demo", resource_list, &notifiers},
    {0},
};
