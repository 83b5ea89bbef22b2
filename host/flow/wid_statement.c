#include "flow/wid_statement.h"

status_class wid_statement_run(connection *c, const statement *s, int32_t wid, const value *params,
                               unsigned n, rows **out, status *st)
{
    text sql = {0};
    for (const char *at = s->sql; *at; at++) {
        if (*at == '#')
            text_printf(&sql, "%d", (int)wid);
        else
            text_add_char(&sql, *at);
    }
    statement made = {s->name, sql.data};
    status_class class = connection_run(c, &made, params, n, out, st);
    text_free(&sql);
    return class;
}
