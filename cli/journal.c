/* `penstock journal adopt`: after a journal was lost, or the database restored from an older dump, nothing is
 * written until somebody accepts what that costs. */
#include "complaint.h"
#include "exit_code.h"
#include "resource.h"
#include "tables.h"

static int run_adopt(invocation *inv)
{
    status st;
    output out;
    answer a = {0};
    if (output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    if (!flag_given(inv, "accept-loss") || !flag_given(inv, "confirm")) {
        status_set(&st, STATUS_INVALID, "this gives up rows that were acknowledged: say so");
        status_hint(&st, "--accept-loss --confirm STACK; `penstock doctor` and `GET /system` name the stack");
        return complain_usage(&st);
    }
    json_t *body = json_pack("{s:b,s:s}", "accept_loss", 1, "confirm", flag_text(inv, "confirm", ""));
    request r = {.method = "POST", .json = body, .once = true};
    status_class class = resource_call(inv, &r, "/system/journal:adopt", &a, &st);
    json_decref(body);
    if (class == STATUS_OK)
        output_object(&out, a.json);
    answer_release(&a);
    return class == STATUS_OK ? EXIT_DONE : complain("the journal was not adopted", &st);
}

static const flag adopt_flags[] = {
    {"accept-loss", 0, NULL, "rows that were acknowledged and are not in the database are given up"},
    {"confirm", 0, "STACK", "the id of the stack, as `GET /system` says"},
    {0},
};

const command journal_commands[] = {
    {"journal", "adopt", "", 0, 0, adopt_flags,
     "go on after a journal was lost or the database restored: what is missing stays missing",
     "journal adopt --accept-loss --confirm 6f1c0e9a-…", run_adopt, NULL},
    {0},
};
