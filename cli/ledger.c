/* `penstock ledger …`: where every row went. */
#include "resource.h"
#include "tables.h"

static const flag show_flags[] = {
    {"from", 0, "TIME", "received from then on: RFC 3339, now-24h, now/d"},
    {"to", 0, "TIME", "received before then"},
    {"limit", 0, "N", "at most so many"},
    {"filter", 0, "FIELD=VALUE", "only those; may be given more than once"},
    {0},
};
static const resource_query queries[] = {{"from", "from"}, {"to", "to"}, {0}};
static const resource ledger = {
    .path = "/workspaces/{ws}/ledger",
    .columns = "store,received,stored,duplicate,rejected,dropped,in_flight,balanced,too_late,expired",
    .queries = queries};

const command ledger_commands[] = {
    {"ledger", "show", "", 0, 0, show_flags,
     "rows received, stored, duplicate, rejected, dropped, under way, per store",
     "ledger show -w demo\nledger show -w demo --from now-24h", resource_list, &ledger},
    {0},
};
