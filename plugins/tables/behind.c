/* A column that is said to grow and does not: the table was restored from a dump, or counts anew. Its rows
 * lie behind the mark and would never be read, and nothing would say so. It shows in that the row that was
 * read last is gone; one look then tells such a table from one whose rows are only taken away when they are
 * old. */
#include <stdio.h>

#include "tables_private.h"

static void tell(tables *t, const pst_call *call)
{
    char words[200];
    int len = t->at.value_len < 40 ? (int)t->at.value_len : 40;
    snprintf(
        words, sizeof words,
        "it was read up to %.60s = %.*s, which is gone, and only rows before it are there: was it restored, "
        "or does it count anew?",
        t->set.cursor, len, t->at.value);
    tables_tell(t, call, words);
    t->is_behind = true;
}

pst_status behind_begin(tables *t, const pst_call *call, pst_error *error)
{
    statement_behind(t->d, &t->set, &t->columns, &t->at, &t->statement);
    if (t->statement.text.failed)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    pst_status st = t->d->functions->begin(t->d, call, wording_text(&t->statement.text),
                                           t->statement.parameters, t->statement.n, error);
    t->looking = !st;
    t->asked_us = t->host->now_us(t->host);
    return st ? st : behind_look(t, call, error);
}

pst_status behind_look(tables *t, const pst_call *call, pst_error *error)
{
    driver_value values[DRIVER_COLUMNS_MAX];
    pst_status st = t->d->functions->next(t->d, call, 1, values, error);
    if (st < 0 || st == PST_IDLE)
        return st;
    bool found = st == PST_OK;
    st = t->d->functions->end(t->d, call, error);
    t->looking = false;
    if (found && !st)
        tell(t, call);
    else if (t->is_behind)
        tables_tell(t, call, "");
    t->is_behind = found;
    return st;
}
