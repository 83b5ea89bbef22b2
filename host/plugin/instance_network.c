/* What an instance's cells may reach: their admission at the broker, made from the config and the platform's
 * grants, and what comes back from there, the denials. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "config/grant.h"
#include "plugin/instance_private.h"
#include "plugin/reach.h"

/* On the broker's thread. The list is locked throughout, so that the instance stays. */
static void on_denied(void *arg, uint64_t tag, const char *what, uint64_t count)
{
    instance_set *set = arg;
    pthread_mutex_lock(&set->lock);
    for (instance *in = set->first; in; in = in->next) {
        if (in->tag != tag)
            continue;
        if (*what)
            instance_denied(in, "sandbox", what);
        pthread_mutex_lock(&in->facts_lock);
        in->facts.denials += count - (*what != '\0' && count);
        pthread_mutex_unlock(&in->facts_lock);
    }
    pthread_mutex_unlock(&set->lock);
}

void network_begin(instance_set *set)
{
    status st;
    if (set->settings.no_sandbox)
        return;
    status_class class = broker_start(set->settings.spawner, on_denied, set, &set->broker, &st);
    if (class != STATUS_OK && class != STATUS_UNSUPPORTED)
        log_status(LOG_LEVEL_ERROR, "plugin", "no broker: plugins have no network", &st);
}

void network_end(instance_set *set)
{
    broker_stop(set->broker);
    set->broker = NULL;
}

static size_t ranges_of(const instance *in, broker_range out[BROKER_RANGES_MAX])
{
    grant_network granted[GRANTS_MAX];
    const struct settings *s = in->set->settings.settings;
    size_t n = s ? grant_networks(s, in->workspace_key, granted) : 0, made = 0;
    for (size_t i = 0; i < n && made < BROKER_RANGES_MAX; i++)
        made += broker_range_make(granted[i].family, granted[i].address, granted[i].bits, &out[made]);
    return made;
}

status_class network_start(instance *in, const plugin_entry *plugin, const char *config,
                           cell_settings *settings, cell **cell_out, status *st)
{
    broker *b = in->set->broker;
    int door;
    if (!b || settings->patient)
        return cell_start(settings, cell_out, st);
    broker_reach *reach = memory_zero(BROKER_REACH_MAX, sizeof *reach);
    broker_range ranges[BROKER_RANGES_MAX];
    broker_admission a = {.tag = in->tag,
                          .network = plugin->kind == PLUGIN_CONNECTOR || plugin->kind == PLUGIN_NOTIFIER,
                          .reach = reach,
                          .ranges = ranges};
    json_t *values = a.network ? json_loads(config, JSON_DECODE_ANY, NULL) : NULL;
    a.n_reach = values ? reach_of_config(plugin->config_schema, values, reach) : 0;
    a.n_ranges = a.network ? ranges_of(in, ranges) : 0;
    json_decref(values);
    status_class class = broker_admit(b, &a, &door, st);
    free(reach);
    if (class != STATUS_OK)
        return class;
    settings->door_fd = door;
    settings->broker_pid = broker_pid(b);
    settings->broker_generation = broker_generation(b);
    class = cell_start(settings, cell_out, st);
    close(door);
    return class;
}

bool network_lost(const instance *in)
{
    broker *b = in->set->broker;
    return b && in->cell && cell_broker_generation(in->cell) != broker_generation(b);
}

void network_secret(instance *in, const text *value)
{
    broker_reach r;
    if (in->set->broker && value->data && reach_of_url(value->data, &r))
        broker_reach_add(in->set->broker, in->tag, &r);
}
