/* What the plugin sees of the host: clocks, config by JSON Pointer, secrets, and services by name. */
#ifndef PENSTOCK_CELL_SERVICES_H
#define PENSTOCK_CELL_SERVICES_H
#include "penstock/plugin.h"

/* All of pst_host but host_data, names, log and observe, which are the session's. */
pst_host services_host(void);
/* What get_service gives; the table is in services.c. */
extern const pst_files service_files;
extern const pst_health_service service_health;
extern const pst_json_service service_json;
extern const pst_limit_service service_limit;
extern const pst_material_service service_material;
extern const pst_program_service service_program;
extern const pst_state_service service_state;
#endif
