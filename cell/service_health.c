/* penstock.health/1: told to the host; nothing comes back. */
#include <string.h>

#include "cell/question.h"
#include "cell/services.h"
#include "penstock/batch.h"

static void on_tell(const pst_host *host, const pst_call *call, const char *text)
{
    question *q;
    pst_error ignored = {.struct_size = sizeof ignored};
    if (question_begin(host->host_data, call, SERVICE_HEALTH, SERVICE_HEALTH_TELL, &q, &ignored))
        return;
    frame_put(&q->arguments, FRAME_TEXT, 0, text ? text : "",
              (text ? strnlen(text, PST_HEALTH_TEXT_MAX) : 0) + 1);
    question_ask(q, &ignored);
    question_end(q);
}

const pst_health_service service_health = {.struct_size = sizeof(pst_health_service), .tell = on_tell};
