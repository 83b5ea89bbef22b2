/* Sinks: a batch may come twice, and nothing counts as delivered that the far side has not taken. */
#include "check/case.h"
#include "check/drive.h"
#include "check/verdict.h"

enum { CALL_MS = 5000, SILENT_MS = 700 };

static stand *sink_ready(const subject *s, far_mode far, inputs *in)
{
    if (!subject_offers(s, PST_IF_SINK))
        verdict_skip("it has no " PST_IF_SINK);
    stand *t = stand_open(s, far);
    drive_inputs(t, 1, 0, in);
    stand_ready(t);
    return t;
}

void case_again(const subject *s)
{
    static inputs in;
    static const uint32_t flags[] = {0, PST_OUTGOING_AGAIN, 0};
    size_t refused = 0, before = 0;
    stand *t = sink_ready(s, FAR_ANSWERS, &in);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        stand_call(t, CALL_MS);
        pst_status status = drive_write(t, &in, flags[i], &refused);
        if (status != PST_OK)
            verdict_fail("write", "try %zu: %s", i + 1, stand_said(t, status));
        if (i && refused != before)
            verdict_fail("write", "%zu rows are refused, and %zu of the same ones before", refused, before);
        before = refused;
    }
    verdict_measured("%lld rows, %zu refused", (long long)in.items[0].array->length, refused);
    verdict_pass();
}

void case_not_taken(const subject *s)
{
    static inputs in;
    static const far_mode modes[] = {FAR_REFUSES, FAR_SILENT};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        size_t refused = 0;
        stand *t = sink_ready(s, modes[i], &in);
        if (!t->far.port)
            verdict_skip("check.json names no far side");
        stand_call(t, modes[i] == FAR_SILENT ? SILENT_MS : CALL_MS);
        pst_status status = drive_write(t, &in, 0, &refused);
        if (status == PST_OK && refused < (size_t)in.items[0].array->length)
            verdict_fail("write", "PST_OK, though the far side %s",
                         modes[i] == FAR_SILENT ? "never said a word" : "refused it");
        verdict_measured("%.60s", stand_said(t, status));
        far_side_stop(&t->far);
    }
    verdict_pass();
}
