#include "flow/alert_machine.h"

#include <math.h>
#include <string.h>

/* false for NaN */
static bool alert_condition_holds(const alert_condition *condition, double value)
{
    double limit = condition->number;
    if (isnan(value))
        return false;
    switch (condition->op) {
    case COMPARE_GT:
        return value > limit;
    case COMPARE_GE:
        return value >= limit;
    case COMPARE_LT:
        return value < limit;
    case COMPARE_LE:
        return value <= limit;
    case COMPARE_EQ:
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

static alert_event step_quiet(const defined_alert *rule, alert_life *life, int64_t at_us, double value)
{
    if (!alert_condition_holds(&rule->fire_at, value)) {
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

static alert_event step_loud(const defined_alert *rule, alert_life *life, int64_t at_us, double value)
{
    if (!alert_condition_holds(&rule->clear_at, value)) {
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

alert_event alert_step(const defined_alert *rule, alert_life *life, int64_t at_us, double value)
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

alert_event alert_silence(const defined_alert *rule, alert_life *life, int64_t received_us, int64_t now_us)
{
    if (rule->no_data_after_us == DEFINITION_ANY || now_us - received_us < rule->no_data_after_us)
        return ALERT_NOTHING;
    bool loud = life->phase == ALERT_FIRING || life->phase == ALERT_RECOVERING;
    switch (rule->no_data_then) {
    case NO_DATA_STATE:
        if (life->phase == ALERT_NO_DATA)
            return ALERT_NOTHING;
        life->before_silence = loud ? life->phase : ALERT_OK; /* a pending condition starts anew */
        enter(life, ALERT_NO_DATA, now_us);
        return ALERT_NOTHING;
    case NO_DATA_OK:
        if (life->phase != ALERT_OK)
            enter(life, ALERT_OK, now_us);
        return loud ? ALERT_RESOLVED : ALERT_NOTHING;
    case NO_DATA_FIRE:
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
