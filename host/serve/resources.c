/* The list of them. */
#include "serve/resources.h"

void routes_resources(route_table *t)
{
    routes_rows(t);
    routes_stores(t);
    routes_query(t);
}
