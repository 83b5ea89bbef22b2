/* The list of them. */
#include "serve/resources.h"

void routes_resources(route_table *t)
{
    routes_rows(t);
    routes_influx(t);
    routes_live(t);
    routes_stores(t);
    routes_builds(t);
    routes_query(t);
    routes_workspaces(t);
    routes_templates(t);
    routes_keys(t);
    routes_alerts(t);
    routes_models(t);
    routes_jobs(t);
    routes_sources(t);
    routes_sinks(t);
    routes_hooks(t);
    routes_trials(t);
    routes_records(t);
    routes_letters(t);
    routes_system(t);
    routes_plugins(t);
}
