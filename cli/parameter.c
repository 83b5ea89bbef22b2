/* Splits at the first `=`. */
#include "parameter.h"

#include <string.h>

json_t *parameters_of(const invocation *inv, const char *flag_name, status *st)
{
    json_t *all = json_object();
    const char *pair;
    for (unsigned i = 0; (pair = flag_nth(inv, flag_name, i)); i++) {
        const char *equals = strchr(pair, '=');
        if (!equals || equals == pair) {
            status_set(st, STATUS_INVALID, "--%s takes name=value, not `%s`", flag_name, pair);
            json_decref(all);
            return NULL;
        }
        json_t *value = json_string(equals + 1);
        if (!value) {
            status_set(st, STATUS_INVALID, "--%s %.*s is not UTF-8", flag_name, (int)(equals - pair), pair);
            json_decref(all);
            return NULL;
        }
        char name[256];
        size_t len = (size_t)(equals - pair) < sizeof name ? (size_t)(equals - pair) : sizeof name - 1;
        memcpy(name, pair, len);
        name[len] = '\0';
        json_object_set_new(all, name, value);
    }
    return all;
}
