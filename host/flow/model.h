/* Models: training a new version, and loading the one that scores. Artifacts are files named by their hash in
 * one folder; the record of a version is control/model_version. */
#ifndef PENSTOCK_FLOW_MODEL_H
#define PENSTOCK_FLOW_MODEL_H
#include "flow/inferencestore.h"
#include "flow/plan.h"
#include "plugin/instance.h"
#include "store/connection.h"

#define MODEL_ARTIFACT_MAX (64U << 20)

typedef struct model_parts {
    const model_plan *model;
    instance *plugin;
    connection *data; /* the workspace's login */
    connection *control;
    const char *folder; /* of artifacts */
    int64_t now_us;
} model_parts;

typedef struct model_training {
    int64_t version;
    uint64_t rows;
    char run[40];
} model_training;

/* Reads the window, trains, stores the artifact, makes the version the champion. STATUS_CONFLICT when there
 * are no rows yet; what the plugin says otherwise. */
status_class model_train(const model_parts *parts, const char *actor, model_training *out, status *st);

/* The champion in memory; `loaded` is kept between calls and renewed when another version was promoted. */
typedef struct model_loaded {
    champion best;
    text artifact;
    bool ready; /* there is a champion */
} model_loaded;
status_class model_load(const model_parts *parts, model_loaded *loaded, status *st);
void model_loaded_free(model_loaded *loaded);
#endif
