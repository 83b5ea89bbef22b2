/* `penstock ledger …`, `penstock deadletter …`: where every row went. */
#include "resource.h"
#include "tables.h"

static const resource ledger = {.path = "/workspaces/{ws}/ledger",
                                .columns =
                                    "store,received,stored,duplicate,rejected,dropped,too_late,expired"};
static const resource letters = {.path = "/workspaces/{ws}/dead-letters",
                                 .columns = "id,store,code,pointer,detail,received"};
static const resource one_letter = {.path = "/workspaces/{ws}/dead-letters/{0}"};

const command ledger_commands[] = {
    {"ledger", "show", "", 0, 0, resource_list_flags,
     "rows received, stored, duplicate, rejected, dropped, per store", "ledger show -w demo", resource_list,
     &ledger},
    {0},
};

const command deadletter_commands[] = {
    {"deadletter", "list", "", 0, 0, resource_list_flags, "rows that were rejected, and why",
     "deadletter list -w demo --limit 20", resource_list, &letters},
    {"deadletter", "show", "ID", 1, 1, NULL, "one rejected row with its bytes",
     "deadletter show 4711 -w demo", resource_show, &one_letter},
    {0},
};
