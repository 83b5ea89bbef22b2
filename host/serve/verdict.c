/* stored, duplicate and dead stand there only when the writer has settled the rows. */
#include "serve/verdict.h"

#include <inttypes.h>
#include <string.h>

#include "serve/problem.h"

int verdict_status(const intake_verdict *v, bool waits)
{
    bool settled = v->stored || (waits && v->accepted == 0 && !v->repeated);
    return settled ? 200 : 202;
}

int verdict_refusal_status(const intake_verdict *v)
{
    /* Before any row was counted it is the body that is beyond a limit, and sending it again cannot help. */
    if (v->st.class == STATUS_LIMIT && v->received == 0)
        return 413;
    return problem_status(v->st.class);
}

static void add_string(text *out, const char *name, const char *s)
{
    text_printf(out, ",\"%s\":", name);
    text_add_json_string(out, s ? s : "", s ? strlen(s) : 0);
}

static void add_reject(text *out, const intake_reject *e)
{
    text_printf(out, "{\"row\":%" PRIu64, e->row - (e->row > 0)); /* decode counts from 1, the API from 0 */
    if (e->line)
        text_printf(out, ",\"line\":%" PRIu64, e->line);
    if (e->column)
        text_printf(out, ",\"column\":%" PRIu32, e->column);
    add_string(out, "pointer", e->pointer);
    add_string(out, "code", e->code);
    add_string(out, "detail", e->detail);
    text_add_char(out, '}');
}

/* Once or more each request: printf costs more than the rest of the answer. */
static void add_count(text *out, const char *name, uint64_t n)
{
    char digits[20], *at = digits + sizeof digits;
    do
        *--at = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    text_add(out, name);
    text_add_n(out, at, (size_t)(digits + sizeof digits - at));
}

void verdict_body(const intake_verdict *v, text *out)
{
    text_reserve(out, 128);
    add_count(out, "{\"received\":", v->received);
    add_count(out, ",\"accepted\":", v->accepted);
    add_count(out, ",\"rejected\":", v->rejected);
    if (v->stored) {
        add_count(out, ",\"stored\":", v->new_rows);
        add_count(out, ",\"duplicate\":", v->duplicates);
    }
    if (v->stored && v->dead)
        add_count(out, ",\"dead\":", v->dead);
    if (v->repeated)
        text_add(out, ",\"repeated\":true");
    text_add(out, ",\"errors\":[");
    for (uint32_t i = 0; i < v->n_rejects; i++) {
        if (i)
            text_add_char(out, ',');
        add_reject(out, &v->rejects[i]);
    }
    text_add(out, "]}\n");
}
