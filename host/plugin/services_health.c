/* penstock.health: kept beside the instance's other facts, for those who show its state. */
#include "plugin/instance_private.h"
#include "plugin/services.h"

static status_class on_tell(service_call *call, status *st)
{
    const char *words = service_take_text(call, FRAME_TEXT);
    if (!words)
        return service_unreadable(st);
    facts_trouble(call->in, words);
    return STATUS_OK;
}

static const service_function functions[] = {[SERVICE_HEALTH_TELL] = on_tell};
const service service_health = {SERVICE_HEALTH, false, functions, sizeof functions / sizeof *functions};
