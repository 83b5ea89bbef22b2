/* `penstock alert …`: what fires and what has fired. */
#include "resource.h"
#include "tables.h"

static const resource alerts = {.path = "/workspaces/{ws}/alerts",
                                .columns = "id,rule,labels,state,severity,value,since"};
static const resource one_alert = {.path = "/workspaces/{ws}/alerts/{0}"};

const command alert_commands[] = {
    {"alert", "list", "", 0, 0, resource_list_flags, "alerts with their state; the newest first",
     "alert list\nalert list --filter state=firing", resource_list, &alerts},
    {"alert", "show", "ID", 1, 1, NULL, "one alert with what it said and to whom", "alert show al_01JZ…",
     resource_show, &one_alert},
    {0},
};
