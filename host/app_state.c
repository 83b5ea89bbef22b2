/* What plugins keep (penstock.state) goes to the control plane: one connection for one question. */
#include "app_private.h"
#include "control/plugin_state.h"

/* Borrows a connection and says whose state it is. */
static status_class begin(app *a, const char *workspace, const char *instance, plugin_state_owner *owner,
                          connection **db, status *st)
{
    *db = NULL;
    *owner = (plugin_state_owner){directory_find(a->services.directory, workspace), instance};
    if (!owner->wid)
        return status_set(st, STATUS_NOT_FOUND, "there is no workspace %s", workspace);
    return pool_borrow(a->control.control, NULL, CONTROL_WAIT_MS, db, st);
}

static status_class get(void *self, const char *workspace, const char *instance, const char *key,
                        text *value_out, uint64_t *version_out, status *st)
{
    app *a = self;
    connection *db;
    plugin_state_owner owner;
    status_class class = begin(a, workspace, instance, &owner, &db, st);
    if (class != STATUS_OK)
        return class;
    class = plugin_state_get(db, a->secret_key, &owner, key, value_out, version_out, st);
    pool_return(a->control.control, db);
    return class;
}

static status_class put(void *self, const char *workspace, const char *instance, const char *key,
                        const void *value, size_t len, uint64_t expected, int64_t expires_us,
                        uint64_t *version_out, status *st)
{
    app *a = self;
    connection *db;
    plugin_state_owner owner;
    status_class class = begin(a, workspace, instance, &owner, &db, st);
    if (class != STATUS_OK)
        return class;
    class =
        plugin_state_put(db, a->secret_key, &owner, key, value, len, expected, expires_us, version_out, st);
    pool_return(a->control.control, db);
    return class;
}

static status_class remove_key(void *self, const char *workspace, const char *instance, const char *key,
                               uint64_t expected, status *st)
{
    app *a = self;
    connection *db;
    plugin_state_owner owner;
    status_class class = begin(a, workspace, instance, &owner, &db, st);
    if (class != STATUS_OK)
        return class;
    class = plugin_state_remove(db, &owner, key, expected, st);
    pool_return(a->control.control, db);
    return class;
}

static status_class list(void *self, const char *workspace, const char *instance, const char *prefix,
                         const char *after, uint32_t most,
                         void (*on_key)(void *arg, const char *key, uint64_t version), void *arg, status *st)
{
    app *a = self;
    connection *db;
    plugin_state_owner owner;
    status_class class = begin(a, workspace, instance, &owner, &db, st);
    if (class != STATUS_OK)
        return class;
    class = plugin_state_list(db, &owner, prefix, after, most, on_key, arg, st);
    pool_return(a->control.control, db);
    return class;
}

state_keeper app_state_keeper(app *a)
{
    return (state_keeper){.get = get, .put = put, .remove = remove_key, .list = list, .self = a};
}
