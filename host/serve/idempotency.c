/* Idempotency-Key: the first request of a key runs, its answer is stored before it is given, and the same
 * request again gets the stored answer. Routes with ROUTE_IDEMPOTENT run and answer on a lane, since both
 * steps may block. */
#include <sodium.h>
#include <string.h>

#include "base/log.h"
#include "serve/problem.h"
#include "serve/router_private.h"

static void request_hash(const http_request *r, uint8_t out[32])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, 32);
    crypto_generichash_update(&state, (const unsigned char *)r->method_text, strlen(r->method_text) + 1);
    crypto_generichash_update(&state, (const unsigned char *)r->target, strlen(r->target) + 1);
    crypto_generichash_update(&state, (const unsigned char *)r->body, r->body_len);
    crypto_generichash_final(&state, out, 32);
}

static void on_answer(http_request *r, int http_status, const char *body, size_t len)
{
    const idempotency_store *store = &router_of(r)->config.idempotency;
    const char *key = http_request_header(r, "Idempotency-Key");
    status st;
    if (store->finish(store->self, r->who ? r->who->id : "", key, http_status < 500 ? http_status : 0, body,
                      len, &st))
        log_status(LOG_LEVEL_ERROR, "http", "the answer of an idempotent request was not stored", &st);
}

static void replay(http_request *r, int http_status, text *body)
{
    http_header(r, "Idempotency-Replayed", "true");
    http_answer(r, http_status, http_status < 400 ? "application/json" : "application/problem+json", body);
}

bool idempotency_begin(router *rt, http_request *r)
{
    const idempotency_store *store = &rt->config.idempotency;
    const char *key = http_request_header(r, "Idempotency-Key");
    if (!store->begin || !key)
        return true;
    uint8_t hash[32];
    request_hash(r, hash);
    idempotency_verdict verdict;
    int http_status = 0;
    text body = {0};
    status st;
    if (store->begin(store->self, r->who ? r->who->id : "", key, hash, &verdict, &http_status, &body, &st)) {
        problem_answer(r, &st);
        return false;
    }
    if (verdict == IDEMPOTENCY_NEW)
        r->on_answer = on_answer;
    else if (verdict == IDEMPOTENCY_REPLAY)
        replay(r, http_status, &body);
    else if (verdict == IDEMPOTENCY_RUNNING)
        problem_answer_text(r, 409, "a request with this Idempotency-Key is still running");
    else
        problem_answer_text(r, 422, "this Idempotency-Key was used for another request");
    text_free(&body);
    return verdict == IDEMPOTENCY_NEW;
}
