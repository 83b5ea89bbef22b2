/* The resources of the API, one file each. routes_resources adds them all; they need router_config.services.
 */
#ifndef PENSTOCK_SERVE_RESOURCES_H
#define PENSTOCK_SERVE_RESOURCES_H
#include "serve/route.h"

void routes_resources(route_table *t);

void routes_rows(route_table *t);
void routes_influx(route_table *t);
void routes_live(route_table *t);
void routes_stores(route_table *t);
void routes_builds(route_table *t);
void routes_query(route_table *t); /* …/metrics of a workspace; routes_metrics is Prometheus' */
void routes_workspaces(route_table *t);
void routes_templates(route_table *t);
void routes_keys(route_table *t);
void routes_alerts(route_table *t);
void routes_models(route_table *t);
void routes_jobs(route_table *t);
void routes_sources(route_table *t);
void routes_sinks(route_table *t);
void routes_hooks(route_table *t);
void routes_trials(route_table *t);
void routes_records(route_table *t);
void routes_letters(route_table *t);
void routes_plugins(route_table *t);
void routes_system(route_table *t);
#endif
