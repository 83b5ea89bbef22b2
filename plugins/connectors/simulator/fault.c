/* Random faults live in slots of six hours: one slot in twelve has one, of 20 to 60 minutes, so looking at
 * the slot of a time is enough to know it. */
#include "fault.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNEL_CHANCE = 200, CHANNEL_KIND, CHANNEL_START, CHANNEL_LENGTH };
static const int64_t SLOT_US = 6 * HOUR_US, GROWTH_US = 2 * MINUTE_US, DURATION_MAX_US = 3660 * DAY_US;
static const double SLOT_CHANCE = 1.0 / 12;

static int64_t unit_of(char letter)
{
    switch (letter) {
    case 's':
        return 1000000;
    case 'm':
        return MINUTE_US;
    case 'h':
        return HOUR_US;
    case 'd':
        return DAY_US;
    case 'w':
        return 7 * DAY_US;
    default:
        return 0;
    }
}

bool fault_duration(const char *text, size_t len, int64_t *us_out)
{
    int64_t sum = 0;
    size_t i = 0;
    while (i < len) {
        int64_t number = 0;
        size_t digits = i;
        for (; i < len && text[i] >= '0' && text[i] <= '9' && i - digits < 9; i++)
            number = number * 10 + (text[i] - '0');
        int64_t unit = i > digits && i < len ? unit_of(text[i]) : 0;
        i++;
        if (!unit || number > DURATION_MAX_US / unit)
            return false;
        sum += number * unit;
    }
    *us_out = sum;
    return len && sum <= DURATION_MAX_US;
}

static size_t part_length(const char *text)
{
    return strcspn(text, ":,");
}

static bool parse_kind(const char *text, size_t len, const fault_scene *scene, uint32_t *out)
{
    for (uint32_t i = 0; i < scene->n_kinds; i++)
        if (strlen(scene->kinds[i]) == len && !memcmp(scene->kinds[i], text, len)) {
            *out = i;
            return true;
        }
    return false;
}

static bool parse_device(const char *text, size_t len, const fault_scene *scene, uint32_t *out)
{
    size_t prefix = strlen(scene->device_prefix);
    if (len <= prefix || len > prefix + 9 || memcmp(text, scene->device_prefix, prefix) != 0)
        return false;
    char *end;
    unsigned long number = strtoul(text + prefix, &end, 10);
    *out = (uint32_t)number - 1;
    return end == text + len && number >= 1 && number <= scene->devices;
}

/* One entry; moves *text behind it. */
static pst_status parse_one(const char **text, const fault_scene *scene, fault_planted *out, pst_error *error)
{
    const char *part[4] = {0};
    size_t len[4] = {0}, n = 0;
    const char *at = *text;
    for (; n < 4; at++) {
        part[n] = at;
        len[n++] = part_length(at);
        at += len[n - 1];
        if (*at != ':')
            break;
    }
    *out = (fault_planted){0};
    if (n < 3 || (*at && *at != ','))
        return pst_fail(error, PST_E_CONFIG, "/plant",
                        "a planted fault reads kind:device:before[:duration], e.g. %s:%s1:40m",
                        scene->kinds[0], scene->device_prefix);
    if (!parse_kind(part[0], len[0], scene, &out->kind))
        return pst_fail(error, PST_E_CONFIG, "/plant", "this scene has no fault \"%.*s\" (it has %s, %s …)",
                        (int)len[0], part[0], scene->kinds[0], scene->kinds[1]);
    if (!parse_device(part[1], len[1], scene, &out->device))
        return pst_fail(error, PST_E_CONFIG, "/plant", "there is no device \"%.*s\": they are %s1 to %s%u",
                        (int)len[1], part[1], scene->device_prefix, scene->device_prefix, scene->devices);
    if (!fault_duration(part[2], len[2], &out->before_us) ||
        (n > 3 && !fault_duration(part[3], len[3], &out->duration_us)))
        return pst_fail(error, PST_E_CONFIG, "/plant", "a time reads like 40m or 1h30m");
    *text = *at ? at + 1 : at;
    return PST_OK;
}

pst_status fault_parse(const char *text, const fault_scene *scene, fault_plan *plan, pst_error *error)
{
    plan->n_kinds = scene->n_kinds;
    plan->n_planted = 0;
    pst_status st = PST_OK;
    while (!st && strcmp(text, "none") != 0 && *text) {
        if (plan->n_planted == FAULTS_PLANTED_MAX)
            return pst_fail(error, PST_E_CONFIG, "/plant", "at most %u planted faults", FAULTS_PLANTED_MAX);
        st = parse_one(&text, scene, &plan->planted[plan->n_planted++], error);
    }
    return st;
}

static fault_effect effect_of(int kind, int64_t since_us)
{
    return (fault_effect){kind, fmin(1, (double)since_us / (double)GROWTH_US)};
}

fault_effect fault_at(const fault_plan *plan, noise n, int64_t time_us, int64_t backfill_end_us)
{
    for (uint32_t i = 0; i < plan->n_planted; i++) {
        const fault_planted *f = &plan->planted[i];
        int64_t since = time_us - (backfill_end_us - f->before_us);
        if (f->device == n.device && since >= 0 && (!f->duration_us || since < f->duration_us))
            return effect_of((int)f->kind, since);
    }
    int64_t slot = noise_floor(time_us, SLOT_US) / SLOT_US;
    if (!plan->random || noise_uniform(n, CHANNEL_CHANCE, slot) > SLOT_CHANCE)
        return (fault_effect){-1, 0};
    int64_t length = (int64_t)((20 + 40 * noise_uniform(n, CHANNEL_LENGTH, slot)) * (double)MINUTE_US);
    int64_t start =
        slot * SLOT_US + (int64_t)((double)(SLOT_US - length) * noise_uniform(n, CHANNEL_START, slot));
    if (time_us < start || time_us >= start + length)
        return (fault_effect){-1, 0};
    return effect_of((int)(noise_uniform(n, CHANNEL_KIND, slot) * plan->n_kinds), time_us - start);
}
