/* One row a journal in penstock.journal; `retired` ends the question. */
#include "flow/lost_journal.h"

#include <stdio.h>

#include "base/fault.h"

enum { BORROW_WAIT_MS = 5000, UUID_OID = 2950 };

static const statement add_own = {
    "register the journal",
    "INSERT INTO penstock.journal (incarnation, stack, host) VALUES ($1, $2::uuid, $3)"
    " ON CONFLICT DO NOTHING"};
static const statement find_others = {
    "look for lost journals",
    "SELECT incarnation, to_char(made AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM "
    "penstock.journal"
    " WHERE stack = $2::uuid AND host = $3 AND incarnation <> $1 AND retired IS NULL ORDER BY made DESC"};
static const statement give_up = {
    "accept the loss of a journal",
    "UPDATE penstock.journal SET retired = now() WHERE stack = $2::uuid AND host = $3 AND incarnation <> $1"
    " AND retired IS NULL"};

enum { OWNER_PARAMS = 3 };

static void owner_params(const journal_owner *o, value out[OWNER_PARAMS])
{
    out[0] = value_binary(UUID_OID, o->incarnation, 16);
    out[1] = value_text(o->stack);
    out[2] = value_text(o->host);
}

status_class lost_journal_look(const journal_owner *owner, lost_journal *out, status *st)
{
    connection *c;
    rows *others = NULL;
    value params[OWNER_PARAMS];
    *out = (lost_journal){0};
    owner_params(owner, params);
    status_class class = pool_borrow(owner->data, NULL, BORROW_WAIT_MS, &c, st);
    if (class != STATUS_OK)
        return class;
    class = connection_run(c, &add_own, params, OWNER_PARAMS, NULL, st);
    if (class == STATUS_OK)
        class = connection_run(c, &find_others, params, OWNER_PARAMS, &others, st);
    out->n = class == STATUS_OK && !fault_active("incarnation") ? (unsigned)rows_count(others) : 0;
    if (out->n) {
        snprintf(out->newest, sizeof out->newest, "%s", rows_text(others, 0, 0));
        snprintf(out->made, sizeof out->made, "%s", rows_text(others, 0, 1));
    }
    rows_free(others);
    pool_return(owner->data, c);
    return class;
}

status_class lost_journal_accept(const journal_owner *owner, status *st)
{
    connection *c;
    value params[OWNER_PARAMS];
    owner_params(owner, params);
    status_class class = pool_borrow(owner->data, NULL, BORROW_WAIT_MS, &c, st);
    if (class != STATUS_OK)
        return class;
    class = connection_run(c, &give_up, params, OWNER_PARAMS, NULL, st);
    pool_return(owner->data, c);
    return class;
}
