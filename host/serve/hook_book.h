/* Which connector a hook's token leads to, in memory, so that a request needs no database. Read from the
 * control plane when the host starts, when a workspace is taken in and when a token is rotated. Thread-safe.
 */
#ifndef PENSTOCK_SERVE_HOOK_BOOK_H
#define PENSTOCK_SERVE_HOOK_BOOK_H
#include "control/hook_token.h"

typedef struct hook_book hook_book;

hook_book *hook_book_create(void);
void hook_book_free(hook_book *b); /* NULL is fine */
/* Replaces what is known of one workspace, or (wid 0) of all. [lane] */
status_class hook_book_load(hook_book *b, connection *c, int32_t wid, status *st);
/* The workspace is gone. */
void hook_book_forget(hook_book *b, int32_t wid);
/* STATUS_NOT_FOUND: the token leads nowhere, or no more. STATUS_UNAVAILABLE: nothing was read yet. */
status_class hook_book_find(hook_book *b, const char *token, int64_t now_us, hook_token *out, status *st);
#endif
