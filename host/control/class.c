/* The classes of objects, their words and their sections in a template. */
#include <string.h>

#include "base/name.h"
#include "control/definition.h"

static const struct {
    const char *name, *section;
} classes[CLASS_COUNT] = {
    [CLASS_DATASTORE] = {"datastore", "datastores"},
    [CLASS_FEATURESTORE] = {"featurestore", "featurestores"},
    [CLASS_INFERENCESTORE] = {"inferencestore", "inferencestores"},
    [CLASS_MODEL] = {"model", "models"},
    [CLASS_METRIC] = {"metric", "metrics"},
    [CLASS_CONNECTOR] = {"connector", "connectors"},
    [CLASS_SINK] = {"sink", "sinks"},
    [CLASS_NOTIFIER] = {"notifier", "notifiers"},
    [CLASS_ALERT] = {"alert", "alerts"},
    [CLASS_DASHBOARD] = {"dashboard", "dashboards"},
    [CLASS_REPORT] = {"report", "reports"},
    [CLASS_TEST] = {"test", "tests"},
};

const char *class_name(object_class class)
{
    return class > 0 && class < CLASS_COUNT ? classes[class].name : "";
}

const char *class_section(object_class class)
{
    return class > 0 && class < CLASS_COUNT ? classes[class].section : "";
}

object_class class_parse(const char *word, size_t len)
{
    for (object_class c = CLASS_DATASTORE; c < CLASS_COUNT; c++)
        if (strlen(classes[c].name) == len && memcmp(classes[c].name, word, len) == 0)
            return c;
    return 0;
}

bool reference_parse(const char *word, char *buffer, size_t size, object_reference *ret)
{
    size_t len = strlen(word);
    const char *colon = strchr(word, ':');
    if (!colon || len >= size)
        return false;
    memcpy(buffer, word, len + 1);
    char *key = buffer + (colon - word) + 1;
    char *dot = strchr(key, '.');
    if (dot)
        *dot++ = '\0';
    *ret = (object_reference){class_parse(word, (size_t)(colon - word)), key, dot};
    return ret->class != 0 && name_is_key(key) && (!dot || *dot);
}
