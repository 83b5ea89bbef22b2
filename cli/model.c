/* `penstock model …`: trained versions on the server, and a model plugin run on a file without one. */
#include <stdio.h>

#include "complaint.h"
#include "exit_code.h"
#include "job.h"
#include "model_run.h"
#include "resource.h"
#include "tables.h"

static const resource models = {.path = "/workspaces/{ws}/models",
                                .columns = "key,plugin,version,trained,state"};
static const resource one_model = {.path = "/workspaces/{ws}/models/{0}"};
static const resource train_model = {.path = "/workspaces/{ws}/models/{0}:train", .done = "is trained"};
static const flag train_flags[] = {{"detach", 0, NULL, "print the job's id and do not wait"}, {0}};

const command model_commands[] = {
    {"model", "list", "", 0, 0, resource_list_flags, "the models of a workspace and their version in force",
     "model list -w demo", resource_list, &models},
    {"model", "show", "KEY", 1, 1, NULL, "one model with its versions", "model show pump_anomaly -w demo",
     resource_show, &one_model},
    {"model", "train", "KEY", 1, 1, train_flags, "trains a new version now",
     "model train pump_anomaly -w demo", resource_post, &train_model},
    {"model", "run", "PLUGIN", 1, 1, model_run_flags,
     "trains a model plugin on the first rows of a CSV file, then scores the others one by one",
     "model run org.penstock.model.anomaly --csv rig.csv --sep ';' --time datetime --columns "
     "Current,Pressure",
     model_run, NULL},
    {0},
};
