/* Over TCP an answer has the number of its request. RTU frames have none: there an answer of another unit is
 * one that came too late, and the caller leaves a device that was silent alone for longer than an answer can
 * be late. */
#include "line.h"

#include <stdio.h>
#include <string.h>

enum { GATEWAY_NO_PATH = 10, GATEWAY_NO_ANSWER = 11 };

pst_status line_open(line *l, const pst_call *call, pst_error *error)
{
    line_close(l);
    return tcp_open(&l->tcp, l->host, call, &l->place, error);
}

void line_close(line *l)
{
    tcp_close(&l->tcp);
}

/* What an earlier request left behind is of no use to this one. */
static pst_status drain(line *l, pst_error *error)
{
    size_t n;
    pst_status st;
    do
        st = tcp_receive(&l->tcp, l->in, sizeof l->in, &n, error);
    while (!st);
    return st == PST_IDLE ? PST_OK : st;
}

static pst_status out_of_step(const line *l, const char *why, pst_error *error)
{
    return pst_fail(error, PST_E_UNAVAILABLE, l->place.where, "%s:%s does not keep to Modbus: %s",
                    l->place.host, l->place.port, why);
}

/* Bytes that come before `end_us`; PST_IDLE: none did. */
static pst_status more(line *l, const pst_call *call, int64_t end_us, size_t *have, pst_error *error)
{
    size_t n = 0;
    for (;;) {
        int64_t left = end_us - l->host->now_us(l->host);
        if (left <= 0)
            return PST_IDLE;
        pst_status st = tcp_wait(&l->tcp, call, left, error);
        if (!st)
            st = tcp_receive(&l->tcp, l->in + *have, sizeof l->in - *have, &n, error);
        if (st == PST_IDLE)
            continue;
        *have += st ? 0 : n;
        return st;
    }
}

static void take_exception(uint8_t code, line_result *out)
{
    bool silent = code == GATEWAY_NO_PATH || code == GATEWAY_NO_ANSWER;
    out->end = silent ? LINE_SILENT : LINE_REFUSED;
    out->exception = code;
    out->why = frame_exception_name(code);
}

static pst_status await(line *l, const pst_call *call, const frame_ask *ask, line_result *out,
                        pst_error *error)
{
    int64_t end_us = l->host->now_us(l->host) + l->timeout_us;
    size_t have = 0;
    for (;;) {
        frame_answer answer;
        switch (frame_read(ask, l->in, have, &answer)) {
        case FRAME_WHOLE:
            out->data = answer.data;
            return PST_OK;
        case FRAME_EXCEPTION:
            take_exception(answer.exception, out);
            return PST_OK;
        case FRAME_BAD:
            out->end = LINE_REFUSED;
            out->why = answer.why;
            return PST_OK;
        case FRAME_LOST:
            return out_of_step(l, answer.why, error);
        case FRAME_OTHER:
            have -= answer.taken;
            memmove(l->in, l->in + answer.taken, have);
            continue;
        case FRAME_MORE:
            break;
        }
        pst_status st = more(l, call, end_us, &have, error);
        if (st == PST_IDLE) {
            out->end = LINE_SILENT;
            out->why = have ? "the answer is not whole" : "no answer";
        }
        if (st)
            return st < 0 ? st : PST_OK;
    }
}

pst_status line_ask(line *l, const pst_call *call, frame_ask ask, line_result *out, pst_error *error)
{
    uint8_t bytes[FRAME_MAX];
    *out = (line_result){.why = ""};
    ask.rtu = l->rtu;
    ask.transaction = ++l->transaction;
    pst_status st = drain(l, error);
    if (!st)
        st = tcp_send(&l->tcp, call, bytes, frame_write(&ask, bytes), error);
    return st ? st : await(l, call, &ask, out, error);
}

void line_words(const line_result *r, char out[LINE_WHY_MAX])
{
    if (r->exception)
        snprintf(out, LINE_WHY_MAX, "exception %u: %s", r->exception, r->why);
    else
        snprintf(out, LINE_WHY_MAX, "%s", r->why);
}
