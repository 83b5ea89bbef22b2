/* A workspace enters the directory after the flow has it, so that nobody finds one that does not run. */
#include "serve/services.h"

#include "base/log.h"
#include "control/workspace.h"

void services_changed(services *s)
{
    if (s->changed)
        s->changed(s->changed_arg);
}

static status_class put(services *s, const workspace *w, status *st)
{
    const flow_workspace running = {w->definition, w->role, w->password, w->paused};
    status_class class = flow_put(s->flow, &running, st);
    if (class == STATUS_OK)
        directory_put(s->directory, &(directory_entry){w->wid, w->key, w->id, w->paused});
    services_changed(s);
    return class;
}

/* Without it hooks answer 503, or go on as they were. */
static void load_hooks(services *s, int32_t wid)
{
    connection *c;
    status st;
    status_class class = pool_borrow(s->control->control, NULL, CONTROL_WAIT_MS, &c, &st);
    if (class == STATUS_OK) {
        class = hook_book_load(s->hooks, c, wid, &st);
        pool_return(s->control->control, c);
    }
    if (class != STATUS_OK)
        log_status(LOG_LEVEL_ERROR, "workspace", "the tokens of hooks cannot be read", &st);
}

status_class services_load(services *s, int32_t wid, status *st)
{
    workspace *w = NULL;
    status_class class = workspace_load(s->control, wid, NULL, &w, st);
    if (class == STATUS_OK)
        class = put(s, w, st);
    if (class == STATUS_OK)
        load_hooks(s, wid);
    workspace_free(w);
    return class;
}

static void on_workspace(void *arg, workspace *w, const status *problem)
{
    status st;
    if (!problem && put(arg, w, &st) != STATUS_OK)
        problem = &st;
    if (problem)
        log_status(LOG_LEVEL_ERROR, "workspace", "a workspace cannot run", problem);
}

status_class services_load_all(services *s, status *st)
{
    status_class class = workspace_load_all(s->control, on_workspace, s, st);
    if (class == STATUS_OK)
        load_hooks(s, 0); /* before, a hook would be known whose workspace is not */
    return class;
}

void services_unload(services *s, int32_t wid)
{
    directory_remove(s->directory, wid);
    hook_book_forget(s->hooks, wid);
    flow_remove(s->flow, wid);
    services_changed(s);
}
