/* JSON: {"file", "id", "kind", "seed", "cases": [{"name", "outcome", "ms", "why"?, "where"?, "hint"?,
 * "quirk"?, "measured"?}], "passed", "failed", "skipped", "quirks", "ok"}; keys are only ever added. */
#include "check/report.h"

static const char *const words[] = {"ok", "not ok", "skip", "quirk", "not ok"};
static const char *const names[] = {"passed", "failed", "skipped", "quirk", "unneeded-quirk"};

void report_begin(report *r, const subject *s, bool json)
{
    *r = (report){.subject = s, .json = json, .cases = json_array()};
    if (json)
        return;
    if (s->entry)
        printf("%s: %s %s\n", s->file, s->entry->id, s->entry->version);
    else
        printf("%s: cannot be described: %s\n", s->file, s->why);
}

static const char *hint_of(const result *one)
{
    return one->verdict.hint[0] ? one->verdict.hint : one->which->hint;
}

static void failure_print(const result *one)
{
    printf("    what: %s\n", one->which->says);
    if (one->outcome == OUTCOME_UNNEEDED) {
        printf("    why: it holds, but quirks.json says that it does not: %s\n    try: take the quirk out\n",
               one->quirk);
        return;
    }
    printf("    why: %s\n", one->verdict.why);
    if (one->verdict.where[0])
        printf("    where: %s\n", one->verdict.where);
    printf("    try: %s\n", hint_of(one));
}

static void line_print(const report *r, const result *one)
{
    printf("%-6s %2u %-16s", words[one->outcome], r->n, one->which->name);
    if (one->outcome == OUTCOME_SKIPPED)
        printf(" %s", one->verdict.why);
    else if (one->outcome == OUTCOME_QUIRK)
        printf(" declared: %s", one->quirk);
    else
        printf(" %s%s%s%s", one->which->says, one->verdict.measured[0] ? " (" : "", one->verdict.measured,
               one->verdict.measured[0] ? ")" : "");
    printf(" [%d ms]\n", (int)(one->took_us / 1000));
    if (one->outcome == OUTCOME_FAILED || one->outcome == OUTCOME_UNNEEDED)
        failure_print(one);
    fflush(stdout);
}

static void set(json_t *to, const char *key, const char *value)
{
    if (value && *value)
        json_object_set_new(to, key, json_string(value));
}

void report_add(report *r, const result *one)
{
    r->n++;
    r->counts[one->outcome]++;
    if (!r->json) {
        line_print(r, one);
        return;
    }
    json_t *c = json_pack("{s:s, s:s, s:i}", "name", one->which->name, "outcome", names[one->outcome], "ms",
                          (int)(one->took_us / 1000));
    set(c, "why", one->verdict.why);
    set(c, "where", one->verdict.where);
    if (one->outcome == OUTCOME_FAILED)
        set(c, "hint", hint_of(one));
    set(c, "quirk", one->quirk);
    set(c, "measured", one->verdict.measured);
    json_array_append_new(r->cases, c);
}

bool report_end(report *r)
{
    const subject *s = r->subject;
    unsigned failed = r->counts[OUTCOME_FAILED] + r->counts[OUTCOME_UNNEEDED];
    unsigned passed = r->counts[OUTCOME_PASSED], skipped = r->counts[OUTCOME_SKIPPED],
             quirks = r->counts[OUTCOME_QUIRK];
    bool ok = failed == 0 && s->entry;
    if (!r->json) {
        printf("%u passed, %u failed, %u skipped", passed, failed, skipped);
        if (quirks)
            printf(", %u declared", quirks);
        putchar('\n');
        json_decref(r->cases);
        return ok;
    }
    json_t *all =
        json_pack("{s:s, s:s?, s:s?, s:i, s:o, s:i, s:i, s:i, s:i, s:b}", "file", s->file, "id",
                  s->entry ? s->entry->id : NULL, "kind", s->entry ? plugin_kind_name(s->entry->kind) : NULL,
                  "seed", (int)s->seed, "cases", r->cases, "passed", passed, "failed", failed, "skipped",
                  skipped, "quirks", quirks, "ok", ok);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
    return ok;
}
