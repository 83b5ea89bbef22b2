/* The demo: a workspace made from templates/pump-station, fed by the simulator, with a trained model, and a
 * mail sink for what its alert sends. What is there already is left alone. */
#ifndef PENSTOCK_CLI_DEMO_H
#define PENSTOCK_CLI_DEMO_H
#include "command.h"
#include "stack.h"

#define DEMO_WORKSPACE "demo"
#define DEMO_TEMPLATE "pump-station"
#define DEMO_MODEL "pump_anomaly"
#define DEMO_CONNECTOR "rig"

status_class demo_setup(invocation *inv, const stack *s, status *st);
#endif
