/* The rules are the host's own (control/template.h); plugins are taken on trust, because there is no catalog
 * here. */
#include "template_check.h"

#include <stdio.h>

#include "complaint.h"
#include "control/template.h"
#include "exit_code.h"
#include "output.h"

static void paths_print(const output *out, const template_report *r)
{
    for (unsigned i = 0; i < r->n_paths; i++) {
        const template_path *p = &r->paths[i];
        fprintf(out->to, "%s\t%s%s%s\n", p->store, p->fast ? "fast path" : "general path",
                p->reason ? ": " : "", p->reason ? p->reason : "");
    }
}

static int report_print(const output *out, const template_report *r)
{
    text problems = {0};
    if (out->format != OUTPUT_TABLE) {
        json_t *document = template_report_json(r);
        output_object(&(output){.to = out->to, .format = OUTPUT_JSON}, document);
        json_decref(document);
    } else if (r->n_problems == 0) {
        paths_print(out, r);
        say("valid");
    } else {
        template_report_text(r, &problems);
        fputs(text_or_empty(&problems), stderr);
        say("%u problems", r->n_problems + r->left_off);
    }
    text_free(&problems);
    return r->n_problems ? EXIT_INVALID : EXIT_DONE;
}

int template_validate_run(invocation *inv)
{
    status st;
    output out;
    yaml_tree *tree = NULL;
    if (output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    if (yaml_tree_read(argument(inv, 0), &tree, &st) != STATUS_OK)
        return complain("the template cannot be read", &st);
    template_report *report = template_check(tree, yaml_tree_root(tree), &(template_options){0});
    int code = report_print(&out, report);
    template_report_free(report);
    yaml_tree_free(tree);
    return code;
}

int template_schema_run(invocation *inv)
{
    size_t len;
    (void)inv;
    const char *schema = template_schema_text(&len);
    fwrite(schema, 1, len, stdout);
    return EXIT_DONE;
}
