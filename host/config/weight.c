#include "config/weight.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/turns.h"

/* Between 0.01 and 100, in hundredths; 0 = it is no weight. */
static uint32_t hundredths(const char *text)
{
    char *end;
    double weight = strtod(text, &end);
    if (end == text || *end || !(weight * TURNS_WEIGHT_ONE >= TURNS_WEIGHT_MIN) ||
        weight * TURNS_WEIGHT_ONE > TURNS_WEIGHT_MAX)
        return 0;
    return (uint32_t)lround(weight * TURNS_WEIGHT_ONE);
}

static bool names_workspace(const char *item, size_t len)
{
    char key[NAME_KEY_MAX + 1];
    if (len == 0 || len > NAME_KEY_MAX)
        return false;
    memcpy(key, item, len);
    key[len] = '\0';
    return name_is_slug(key);
}

status_class weights_check(const settings *s, status *st)
{
    const char *const *items;
    size_t n = settings_list(s, "weights", &items);
    for (size_t i = 0; i < n; i++) {
        const char *equals = strchr(items[i], '=');
        if (equals && names_workspace(items[i], (size_t)(equals - items[i])) && hundredths(equals + 1))
            continue;
        status_at(st, STATUS_INVALID, settings_origin(s, "weights"),
                  "weights: \"%.80s\" is not workspace=weight", items[i]);
        return status_hint(st, "a weight is a number from 0.01 to 100, as in acme=3");
    }
    return STATUS_OK;
}

uint32_t weight_of(const settings *s, const char *workspace)
{
    const char *const *items;
    size_t n = settings_list(s, "weights", &items), len = strlen(workspace);
    for (size_t i = 0; i < n; i++)
        if (strncmp(items[i], workspace, len) == 0 && items[i][len] == '=')
            return hundredths(items[i] + len + 1);
    return TURNS_WEIGHT_ONE;
}
