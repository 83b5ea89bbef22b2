#include "flow/model.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/disk.h"
#include "base/random.h"
#include "base/utc.h"
#include "control/model_version.h"
#include "flow/feature_rows.h"

static void artifact_path(char out[PATH_MAX], const model_parts *p, const char *hash)
{
    snprintf(out, PATH_MAX, "%s/%s", p->folder, hash);
}

/* ---- training ---- */

/* The window ends at the newest row, so that a history is trained on as it was, whenever it is imported. */
static status_class read_window(const model_parts *p, arena *a, feature_rows *out, status *st)
{
    const store_table *t = &p->model->source->table;
    char label[TABLE_LABEL_SIZE];
    text where = {0};
    value params[1] = {value_integer(p->model->defined->train.window_us)};
    bool all = p->model->defined->train.window_us == DEFINITION_ANY;
    table_label(label, t);
    if (!all) {
        sql_identifier(&where, t->columns[t->time_column].name);
        text_add(&where, " > (SELECT max(");
        sql_identifier(&where, t->columns[t->time_column].name);
        text_printf(&where, ") FROM %s) - $1::bigint * interval '1 microsecond'", label);
    }
    status_class class =
        feature_rows_read(p->data, t, all ? NULL : where.data, params, all ? 0 : 1, a, out, st);
    text_free(&where);
    return class;
}

static void time_range(const batch *rows, int64_t *from_out, int64_t *to_out)
{
    const int64_t *times = rows->columns[1].values;
    *from_out = INT64_MAX;
    *to_out = INT64_MIN;
    for (uint32_t i = 0; i < rows->n_rows; i++) {
        *from_out = times[i] < *from_out ? times[i] : *from_out;
        *to_out = times[i] > *to_out ? times[i] : *to_out;
    }
}

static char *training_record(const model_parts *p, const model_training *t, const batch *rows, json_t *info)
{
    int64_t from_us, to_us;
    char from[UTC_TEXT_SIZE], to[UTC_TEXT_SIZE];
    time_range(rows, &from_us, &to_us);
    utc_format(from_us, from);
    utc_format(to_us, to);
    json_t *record = json_pack("{s:s, s:s, s:O, s:I, s:s, s:s, s:O?}", "run", t->run, "plugin",
                               p->model->defined->plugin, "config", p->model->defined->config, "rows",
                               (json_int_t)rows->n_rows, "from", from, "to", to, "info", info);
    char *dumped = json_dumps(record, JSON_COMPACT);
    json_decref(record);
    return dumped;
}

static status_class keep_artifact(const model_parts *p, const text *artifact, char hash[DIGEST_TEXT_SIZE],
                                  status *st)
{
    char path[PATH_MAX];
    digest_text(hash, text_or_empty(artifact), artifact->len);
    artifact_path(path, p, hash);
    status_class class = disk_make_folder(p->folder, 0700, st);
    return class == STATUS_OK ? disk_write(path, text_or_empty(artifact), artifact->len, 0600, st) : class;
}

static status_class record_version(const model_parts *p, const text *artifact, json_t *info,
                                   const batch *rows, const char *actor, model_training *out, status *st)
{
    char hash[DIGEST_TEXT_SIZE];
    status_class class = keep_artifact(p, artifact, hash, st);
    if (class != STATUS_OK)
        return class;
    char *training = training_record(p, out, rows, info);
    const char *model = p->model->defined->object.key;
    model_version v = {
        .model = model, .artifact = hash, .bytes = (int64_t)artifact->len, .training = training};
    class = model_version_add(p->control, p->model->plan->wid, &v, &out->version, st);
    if (class == STATUS_OK)
        class =
            model_version_promote(p->control, p->model->plan->wid, model, out->version, actor, "trained", st);
    free(training);
    return class;
}

static status_class train_rows(const model_parts *p, const feature_rows *features, const char *actor,
                               model_training *out, status *st)
{
    instance_input input = {"rows", features->names, &features->rows};
    text artifact = {0};
    json_t *info = NULL;
    instance_call call = {.trace = out->run};
    status_class class = instance_train(p->plugin, &call, &input, 1, &artifact, &info, st);
    if (class != STATUS_OK &&
        instance_call_suspicious(&call)) { /* once more, alone; there is nothing to halve */
        call.suspect = true;
        class = instance_train(p->plugin, &call, &input, 1, &artifact, &info, st);
    }
    if (class == STATUS_OK && artifact.len > MODEL_ARTIFACT_MAX)
        class = status_set(st, STATUS_LIMIT, "the artifact is larger than %u bytes", MODEL_ARTIFACT_MAX);
    if (class == STATUS_OK)
        class = record_version(p, &artifact, info, &features->rows, actor, out, st);
    json_decref(info);
    text_free(&artifact);
    return class;
}

status_class model_train(const model_parts *parts, const char *actor, model_training *out, status *st)
{
    char id[27];
    arena *a = arena_create(0);
    feature_rows features = {0};
    ulid_make(id);
    *out = (model_training){0};
    snprintf(out->run, sizeof out->run, "run_%s", id);
    if (!parts->model->source || parts->model->source->problem) {
        arena_free(a);
        return status_set(st, STATUS_CONFLICT, "model %s has nothing to be trained on",
                          parts->model->defined->object.key);
    }
    status_class class = read_window(parts, a, &features, st);
    out->rows = features.rows.n_rows;
    if (class == STATUS_OK && features.rows.n_rows == 0)
        class = status_set(st, STATUS_CONFLICT, "featurestore %s has no rows yet",
                           parts->model->source->table.key);
    if (class == STATUS_OK)
        class = train_rows(parts, &features, actor, out, st);
    feature_rows_free(&features);
    arena_free(a);
    return class == STATUS_OK ? class
                              : status_wrap(st, "training model %s", parts->model->defined->object.key);
}

/* ---- the champion ---- */

static status_class read_artifact(const model_parts *p, const model_version *v, model_loaded *out, status *st)
{
    char path[PATH_MAX], hash[DIGEST_TEXT_SIZE];
    artifact_path(path, p, v->artifact);
    text_clear(&out->artifact);
    status_class class = disk_read(path, MODEL_ARTIFACT_MAX, &out->artifact, st);
    if (class != STATUS_OK)
        return class;
    digest_text(hash, text_or_empty(&out->artifact), out->artifact.len);
    if (strcmp(hash, v->artifact) != 0)
        return status_at(st, STATUS_CONFLICT, path, "the artifact of %s version %lld was changed on disk",
                         v->model, (long long)v->version);
    return STATUS_OK;
}

static status_class find_context(const model_parts *p, uint32_t *out, status *st)
{
    uint32_t asked = 0;
    status_class class = instance_context(p->plugin, NULL, &asked, st);
    *out = asked > p->model->defined->infer.context ? asked : p->model->defined->infer.context;
    return class;
}

status_class model_load(const model_parts *parts, model_loaded *loaded, status *st)
{
    arena *a = arena_create(0);
    model_version v;
    bool found;
    const char *model = parts->model->defined->object.key;
    status_class class =
        model_version_champion(parts->control, parts->model->plan->wid, model, a, &v, &found, st);
    if (class == STATUS_OK && found && (!loaded->ready || loaded->best.version != v.version)) {
        loaded->ready = false;
        class = read_artifact(parts, &v, loaded, st);
        if (class == STATUS_OK)
            class = find_context(parts, &loaded->best.context, st);
        loaded->best.version = v.version;
        loaded->best.artifact = loaded->artifact.data;
        loaded->best.artifact_len = loaded->artifact.len;
        loaded->ready = class == STATUS_OK;
    }
    arena_free(a);
    return class;
}

void model_loaded_free(model_loaded *loaded)
{
    text_free(&loaded->artifact);
    *loaded = (model_loaded){0};
}
