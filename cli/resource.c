/* Generic commands over the REST resources. */
#include "resource.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "complaint.h"
#include "exit_code.h"
#include "job.h"

#define LIST_PAGE 200
#define LIST_MAX 100000

const flag resource_list_flags[] = {
    {"limit", 0, "N", "at most so many"},
    {"filter", 0, "FIELD=VALUE", "only those; may be given more than once"},
    {0},
};

status_class resource_call(invocation *inv, request *r, const char *path, answer *ret, status *st)
{
    text made = {0};
    memset(ret, 0, sizeof *ret);
    client *c = client_of(inv, st);
    status_class class = c ? path_make(inv, path, &made, st) : st->class;
    if (class == STATUS_OK) {
        r->path = made.data;
        class = client_call(c, r, ret, st);
        r->path = NULL;
    }
    text_free(&made);
    return class;
}

static void query_add(const invocation *inv, const char *cursor, long limit, text *path)
{
    text_printf(path, "%climit=%ld", strchr(path->data, '?') ? '&' : '?',
                limit < LIST_PAGE ? limit : LIST_PAGE);
    const char *filter;
    for (unsigned i = 0; (filter = flag_nth(inv, "filter", i)); i++) {
        const char *equals = strchr(filter, '=');
        if (!equals)
            continue;
        text_printf(path, "&filter%%5B%.*s%%5D=", (int)(equals - filter), filter);
        path_escape(path, equals + 1);
    }
    if (cursor) {
        text_add(path, "&cursor=");
        path_escape(path, cursor);
    }
}

/* One page; *cursor_io is freed and becomes the next one's, or NULL. */
static status_class page_add(invocation *inv, const char *base, long limit, char **cursor_io, json_t *items,
                             status *st)
{
    text path = {0};
    answer a;
    text_add(&path, base);
    query_add(inv, *cursor_io, limit, &path);
    free(*cursor_io);
    *cursor_io = NULL;
    request r = {.method = "GET", .path = path.data};
    status_class class = client_call(inv->client, &r, &a, st);
    if (class == STATUS_OK) {
        const json_t *page = json_object_get(a.json, "items");
        if (json_is_array(page))
            json_array_extend(items, (json_t *)page);
        else
            class = status_set(st, STATUS_INTERNAL, "the server's list has no items");
        const char *next = json_string_value(json_object_get(a.json, "next"));
        *cursor_io = next ? memory_string(next) : NULL;
    }
    answer_release(&a);
    text_free(&path);
    return class;
}

json_t *resource_items(invocation *inv, const char *path, long limit, status *st)
{
    text base = {0};
    char *cursor = NULL;
    json_t *items = json_array();
    status_class class = client_of(inv, st) ? path_make(inv, path, &base, st) : st->class;
    while (class == STATUS_OK) {
        long left = limit - (long)json_array_size(items);
        class = page_add(inv, base.data, left, &cursor, items, st);
        if (!cursor || (long)json_array_size(items) >= limit)
            break;
    }
    free(cursor);
    text_free(&base);
    if (class == STATUS_OK)
        return items;
    json_decref(items);
    return NULL;
}

/* The list's path with what its flags say. */
static void list_path(const invocation *inv, const resource *kind, text *path)
{
    text_add(path, kind->path);
    for (const resource_query *q = kind->queries; q && q->flag; q++) {
        const char *value = flag_text(inv, q->flag, NULL);
        if (!value)
            continue;
        text_printf(path, "%c%s=", strchr(path->data, '?') ? '&' : '?', q->name);
        path_escape(path, value);
    }
}

static int failed(const invocation *inv, const status *st)
{
    char what[128];
    const command *c = inv->command;
    snprintf(what, sizeof what, "%s%s%s failed", c->noun ? c->noun : "", c->noun ? " " : "", c->verb);
    return complain(what, st);
}

int resource_list(invocation *inv)
{
    status st;
    output out;
    long limit = LIST_MAX;
    const resource *kind = inv->command->data;
    if (output_make(inv, &out, &st) != STATUS_OK ||
        flag_number(inv, "limit", 1, LIST_MAX, &limit, &st) != STATUS_OK)
        return complain_usage(&st);
    text path = {0};
    list_path(inv, kind, &path);
    json_t *items = resource_items(inv, path.data, limit, &st);
    text_free(&path);
    if (!items)
        return failed(inv, &st);
    status_class class = output_items(&out, kind->columns, items, NULL, &st);
    json_decref(items);
    return class == STATUS_OK ? EXIT_DONE : complain_usage(&st);
}

int resource_show(invocation *inv)
{
    status st;
    output out;
    answer a;
    const resource *kind = inv->command->data;
    if (output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    status_class class = resource_call(inv, &(request){.method = "GET"}, kind->path, &a, &st);
    if (class == STATUS_OK)
        output_object(&out, a.json);
    answer_release(&a);
    return class == STATUS_OK ? EXIT_DONE : failed(inv, &st);
}

/* What a change answered: a job is followed, anything else is done. */
static status_class change_finish(invocation *inv, const resource *kind, const answer *a, status *st)
{
    status_class class = job_follow(inv, a, st);
    if (class == STATUS_OK && kind->done && !flag_given(inv, "quiet"))
        say("%s %s", argument(inv, 0) ? argument(inv, 0) : "", kind->done);
    return class;
}

int resource_delete(invocation *inv)
{
    status st;
    answer found, a = {0};
    const resource *kind = inv->command->data;
    status_class class = resource_call(inv, &(request){.method = "GET"}, kind->path, &found, &st);
    if (class == STATUS_OK) {
        request r = {.method = "DELETE", .if_match = *found.etag ? found.etag : NULL};
        class = resource_call(inv, &r, kind->path, &a, &st);
    }
    if (class == STATUS_OK)
        class = change_finish(inv, kind, &a, &st);
    answer_release(&found);
    answer_release(&a);
    return class == STATUS_OK ? EXIT_DONE : failed(inv, &st);
}

int resource_post(invocation *inv)
{
    status st;
    answer a;
    const resource *kind = inv->command->data;
    request r = {.method = "POST", .once = true};
    status_class class = resource_call(inv, &r, kind->path, &a, &st);
    if (class == STATUS_OK)
        class = change_finish(inv, kind, &a, &st);
    answer_release(&a);
    return class == STATUS_OK ? EXIT_DONE : failed(inv, &st);
}
