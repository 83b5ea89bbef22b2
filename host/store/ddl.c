#include "store/ddl.h"

#include <time.h>

enum { LOCK_TIMEOUT_MS = 2000, TRIES = 5, PAUSE_MS = 50 };

status_class ddl_run(connection *c, const char *name, const text *body, status *st)
{
    text sql = {0};
    status_class ret = STATUS_OK;
    text_printf(&sql, "BEGIN; SET LOCAL lock_timeout = %d; SET LOCAL client_min_messages = error; ",
                LOCK_TIMEOUT_MS);
    text_add_n(&sql, text_or_empty(body), body->len);
    text_add(&sql, "; COMMIT");
    for (int attempt = 0; attempt < TRIES; attempt++) {
        ret = connection_script(c, name, sql.data, st);
        if (ret != STATUS_OK)
            connection_rollback(c);
        if (ret != STATUS_UNAVAILABLE || connection_broken(c))
            break;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L * (attempt + 1)}, NULL);
    }
    text_free(&sql);
    return ret;
}
