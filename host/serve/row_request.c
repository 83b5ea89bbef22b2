/* The Idempotency-Key of rows goes into the journal with them, not into the control plane. */
#include "serve/row_request.h"

#include <sodium.h>
#include <string.h>

#include "flow/inflate.h"
#include "serve/auth.h"
#include "serve/problem.h"

enum { PLAIN_MAX = 64 << 20, KEY_TEXT_MAX = 100 };

bool row_request_wait(http_request *r, bool *waits_out)
{
    const char *wait = http_request_query(r, "wait");
    *waits_out = wait && strcmp(wait, "stored") == 0;
    if (!wait || *waits_out || strcmp(wait, "journal") == 0)
        return true;
    problem_answer_text(r, 400, "wait is journal or stored");
    return false;
}

bool row_request_body(http_request *r, text *plain, const char **body_out, size_t *len_out)
{
    const char *word = http_request_header(r, "Content-Encoding");
    inflate_coding coding;
    status st;
    *body_out = r->body;
    *len_out = r->body_len;
    if (!inflate_coding_parse(word, &coding)) {
        problem_answer_text(r, 415, "Content-Encoding is gzip, zstd or identity");
        return false;
    }
    if (coding == INFLATE_IDENTITY)
        return true;
    status_class class = inflate_body(coding, r->body, r->body_len, PLAIN_MAX, plain, &st);
    *body_out = text_or_empty(plain);
    *len_out = plain->len;
    if (class != STATUS_OK)
        problem_answer_as(r, class == STATUS_LIMIT ? 413 : problem_status(class), &st);
    return class == STATUS_OK;
}

bool row_request_key(http_request *r, const char *store, const char *body, size_t len, const char **out)
{
    const char *key = http_request_header(r, "Idempotency-Key");
    uint8_t hash[16];
    char hex[33];
    *out = NULL;
    if (!key)
        return true;
    if (!*key || strlen(key) > KEY_TEXT_MAX) {
        problem_answer_text(r, 400, "Idempotency-Key is 1 to %d characters", KEY_TEXT_MAX);
        return false;
    }
    crypto_generichash(hash, sizeof hash, (const unsigned char *)body, len, NULL, 0);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    *out = arena_printf(r->arena, "%s %s %s %s", r->who ? r->who->id : "", store, hex, key);
    return true;
}

bool row_request_precision(http_request *r, line_precision *out)
{
    const char *word = http_request_query(r, "precision");
    *out = LINE_NS;
    if (!word || line_precision_parse(word, out))
        return true;
    problem_answer_text(r, 400, "precision is ns, us, ms or s");
    return false;
}
