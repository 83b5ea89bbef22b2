/* A workspace's plan speaks of actions, the API of `+ ~ - !`. */
#include "serve/plan_form.h"

#include <string.h>

#include "serve/problem.h"
#include "serve/resource.h"

static const char *op_of(const char *action)
{
    static const char *const words[][2] = {{"add", "+"}, {"change", "~"}, {"remove", "-"}, {"refuse", "!"}};
    for (size_t i = 0; action && i < sizeof words / sizeof *words; i++)
        if (strcmp(action, words[i][0]) == 0)
            return words[i][1];
    return "~";
}

static json_t *change_form(const json_t *x)
{
    const char *class = json_string_value(json_object_get(x, "class")),
               *key = json_string_value(json_object_get(x, "key")),
               *reason = json_string_value(json_object_get(x, "reason"));
    return json_pack("{s:s,s:s+++,s:s,s:b}", "op", op_of(json_string_value(json_object_get(x, "action"))),
                     "object", class ? class : "", ":", key ? key : "", "", "detail", reason ? reason : "",
                     "destructive", json_is_true(json_object_get(x, "destructive")));
}

static json_t *form(const char *id, json_t *changes, int64_t expires_us, bool applied)
{
    return json_pack("{s:s,s:o,s:o,s:b}", "id", id, "changes", changes, "expires",
                     resource_time_json(expires_us), "applied", applied);
}

json_t *plan_form(const stored_plan *p)
{
    size_t i;
    json_t *x, *changes = json_array();
    json_array_foreach(json_object_get(p->changes, "changes"), i, x)
    {
        json_array_append_new(changes, change_form(x));
    }
    return form(p->id, changes, p->expires_us, p->applied);
}

json_t *plan_form_publication(const publication *p)
{
    return form(p->id, json_incref(p->changes), p->expires_us, p->applied);
}

void plan_form_refuse(http_request *r, const char *prefix, const template_report *report, const status *st)
{
    problem_error errors[TEMPLATE_PROBLEMS_MAX];
    unsigned n = report ? report->n_problems : 0;
    if (n == 0) {
        resource_failed(r, prefix, st);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        const template_problem *p = &report->problems[i];
        errors[i] = (problem_error){.pointer = arena_printf(r->arena, "%s%s", prefix, p->pointer),
                                    .code = "invalid",
                                    .detail = p->hint ? arena_printf(r->arena, "%s (%s)", p->text, p->hint)
                                                      : p->text};
    }
    problem_answer_errors(r, 422, st, errors, n);
}
