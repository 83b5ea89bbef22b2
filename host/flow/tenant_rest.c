/* The plan of a tenant, and when it has none. A plan and the definition under it weigh hundreds of KiB, which
 * a workspace that stands still does not need: once nobody has asked for the plan for a while, nobody holds
 * it and nothing is due soon, the lane lets it go, with the models in memory, the cells of models, notifiers
 * and engines, and the sessions of the workspace's login. What must not be forgotten (when things are due,
 * how they went, how far builds are) is the tenant's own. Whoever asks for the plan then makes it from the
 * seed, outside the lock: two may make it at once, and the second gives way. */
#include "base/clock.h"
#include "base/log.h"
#include "flow/tenant_private.h"

static const int64_t longest_wait_us = 10 * INT64_C(1000000); /* for what is due: it rests only after that */

/* ---- the plan ---- */

const flow_plan *tenant_plan_awake(tenant *t)
{
    pthread_mutex_lock(&t->lock);
    const flow_plan *plan = t->plan ? flow_plan_retain(t->plan) : NULL;
    t->used_us = clock_monotonic_us();
    pthread_mutex_unlock(&t->lock);
    return plan;
}

static const flow_plan *make_plan(const tenant *t, status *st)
{
    const definition *d = NULL;
    const flow_plan *plan = NULL;
    if (definition_seed_grow(t->seed, &d, st) == STATUS_OK &&
        flow_plan_create(d, t->weight, &plan, st) != STATUS_OK)
        plan = NULL;
    definition_release(d);
    return plan;
}

/* Under the lock. */
static void wake(tenant *t, const flow_plan *plan)
{
    t->plan = plan;
    for (uint32_t i = 0; i < t->n_featurestores; i++)
        t->builds[i].f = &plan->featurestores[i];
}

const flow_plan *tenant_plan(tenant *t, status *st)
{
    status failure;
    const flow_plan *plan = tenant_plan_awake(t);
    if (plan)
        return plan;
    const flow_plan *made = make_plan(t, &failure);
    if (!made) {
        status_wrap(&failure, "workspace %s", t->workspace);
        log_status(LOG_LEVEL_ERROR, "tenant", "a workspace that stood still cannot be woken", &failure);
        if (st)
            *st = failure;
        return NULL;
    }
    pthread_mutex_lock(&t->lock);
    if (!t->plan) {
        wake(t, made);
        made = NULL;
    }
    plan = flow_plan_retain(t->plan);
    pthread_mutex_unlock(&t->lock);
    flow_plan_release(made); /* somebody else was faster */
    return plan;
}

bool tenant_resting(tenant *t)
{
    pthread_mutex_lock(&t->lock);
    bool resting = !t->plan;
    pthread_mutex_unlock(&t->lock);
    return resting;
}

/* ---- letting go ---- */

/* A build that is under way has plans of its own, which lean on the tenant's. */
static bool builds_are_quiet(const tenant *t)
{
    for (uint32_t i = 0; i < t->n_featurestores; i++) {
        const build *b = &t->builds[i];
        bool building = b->arena || b->now.kind != BUILD_NONE;
        if (t->plan->featurestores[i].refresh_sql && (!b->known || building))
            return false;
    }
    return true;
}

bool tenant_may_rest(const tenant *t, int64_t now_us)
{
    int64_t rest_us = t->parts.flow->rest_us, wait_us = rest_us < longest_wait_us ? rest_us : longest_wait_us;
    return t->plan && t->n_sinks == 0 && !t->working && !t->requests && flow_plan_is_alone(t->plan) &&
           clock_monotonic_us() - t->used_us >= rest_us && (t->paused || t->next_look_us - now_us >= wait_us);
}

/* The plan, if nobody has come for it since. */
static const flow_plan *take_out(tenant *t)
{
    const flow_plan *plan = NULL;
    pthread_mutex_lock(&t->lock);
    if (!t->stopping && !t->requests && flow_plan_is_alone(t->plan) && (t->paused || builds_are_quiet(t))) {
        plan = t->plan;
        t->plan = NULL;
        for (uint32_t i = 0; i < t->n_featurestores; i++)
            t->builds[i].f = NULL;
    } else {
        t->used_us = clock_monotonic_us(); /* looked at again later */
    }
    pthread_mutex_unlock(&t->lock);
    return plan;
}

/* They are pure: the next call starts them again. Sources and hooks see to theirs. */
static void stop_cells(tenant *t, instance *const *list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        pthread_mutex_lock(&t->lock);
        instance *in = list[i]; /* stays as long as the tenant */
        pthread_mutex_unlock(&t->lock);
        if (in)
            instance_rest(in);
    }
}

void tenant_rest(void *arg)
{
    tenant *t = arg;
    const flow_plan *plan = take_out(t);
    if (plan) {
        for (uint32_t i = 0; i < t->n_models; i++)
            model_loaded_free(&t->loaded[i]);
        stop_cells(t, t->models, t->n_models);
        stop_cells(t, t->notifiers, t->n_notifiers);
        stop_cells(t, t->engines, t->n_metrics);
        pool_forget(t->parts.flow->data, t->role);
        flow_plan_release(plan);
    }
    pthread_mutex_lock(&t->lock);
    t->working = false;
    pthread_mutex_unlock(&t->lock);
}
