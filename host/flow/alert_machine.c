#include "flow/alert_machine.h"

#include <math.h>
#include <string.h>

bool alert_condition_holds(const alert_condition *condition, double value)
{
    double limit = condition->threshold;
    if (isnan(value))
        return false;
    switch (condition->operator) {
    case ALERT_ABOVE:
        return value > limit;
    case ALERT_AT_LEAST:
        return value >= limit;
    case ALERT_BELOW:
        return value < limit;
    case ALERT_AT_MOST:
        return value <= limit;
    case ALERT_EQUAL:
        return value == limit;
    default:
        return value != limit;
    }
}

static void enter(alert_life *life, alert_phase phase, int64_t at_us)
{
    life->phase = phase;
    life->since_us = at_us;
}

static bool clears(const alert_rule *rule, double value)
{
    return rule->has_clear ? alert_condition_holds(&rule->clear, value) : !alert_condition_holds(&rule->fire, value);
}

static alert_event step_quiet(const alert_rule *rule, alert_life *life, int64_t at_us, double value)
{
    if (!alert_condition_holds(&rule->fire, value)) {
        if (life->phase == ALERT_PENDING)
            enter(life, ALERT_OK, at_us);
        life->episode_us = 0;
        return ALERT_NOTHING;
    }
    if (life->phase == ALERT_OK) {
        enter(life, ALERT_PENDING, at_us);
        life->episode_us = at_us;
    }
    if (at_us - life->episode_us < rule->for_us)
        return ALERT_NOTHING;
    enter(life, ALERT_FIRING, at_us);
    return ALERT_FIRED;
}

static alert_event step_loud(const alert_rule *rule, alert_life *life, int64_t at_us, double value)
{
    if (!clears(rule, value)) {
        if (life->phase == ALERT_RECOVERING)
            enter(life, ALERT_FIRING, at_us);
        return ALERT_NOTHING;
    }
    if (life->phase == ALERT_FIRING)
        enter(life, ALERT_RECOVERING, at_us);
    if (at_us - life->since_us < rule->keep_firing_us)
        return ALERT_NOTHING;
    enter(life, ALERT_OK, at_us);
    return ALERT_RESOLVED;
}

alert_event alert_step(const alert_rule *rule, alert_life *life, int64_t at_us, double value)
{
    if (life->last_us && at_us <= life->last_us)
        return ALERT_NOTHING;
    life->last_us = at_us;
    life->value = value;
    if (life->phase == ALERT_NO_DATA)
        enter(life, life->before_silence, at_us);
    bool quiet = life->phase == ALERT_OK || life->phase == ALERT_PENDING;
    alert_event event = quiet ? step_quiet(rule, life, at_us, value) : step_loud(rule, life, at_us, value);
    return event;
}

alert_event alert_silence(const alert_rule *rule, alert_life *life, int64_t received_us, int64_t now_us)
{
    if (rule->silent_after_us == 0 || now_us - received_us < rule->silent_after_us)
        return ALERT_NOTHING;
    bool loud = life->phase == ALERT_FIRING || life->phase == ALERT_RECOVERING;
    switch (rule->silent_then) {
    case ALERT_SILENCE_NO_DATA:
        if (life->phase == ALERT_NO_DATA)
            return ALERT_NOTHING;
        life->before_silence = loud ? life->phase : ALERT_OK; /* a pending condition starts anew */
        enter(life, ALERT_NO_DATA, now_us);
        return ALERT_NOTHING;
    case ALERT_SILENCE_OK:
        if (life->phase != ALERT_OK)
            enter(life, ALERT_OK, now_us);
        return loud ? ALERT_RESOLVED : ALERT_NOTHING;
    case ALERT_SILENCE_FIRING:
        if (loud)
            return ALERT_NOTHING;
        life->episode_us = now_us;
        enter(life, ALERT_FIRING, now_us);
        return ALERT_FIRED;
    default:
        return ALERT_NOTHING;
    }
}

static const char *const phase_names[] = {"ok", "pending", "firing", "recovering", "no_data"};

const char *alert_phase_name(alert_phase phase)
{
    return phase_names[phase];
}

bool alert_phase_parse(const char *name, alert_phase *phase_out)
{
    for (int i = 0; i < 5; i++)
        if (strcmp(name, phase_names[i]) == 0) {
            *phase_out = (alert_phase)i;
            return true;
        }
    return false;
}
