/* `penstock login`, `logout`, `context …`: where the server is and which key is used there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "client.h"
#include "complaint.h"
#include "context.h"
#include "exit_code.h"
#include "output.h"
#include "prompt.h"
#include "tables.h"

/* The key works if the server answers a list that needs one. */
static status_class key_try(const invocation *inv, const char *url, const char *key, status *st)
{
    answer a = {0};
    client *c = client_create(url, key, 30, flag_given(inv, "debug"), st);
    if (!c)
        return st->class;
    request r = {.method = "GET", .path = "/api/v1/workspaces?limit=1"};
    status_class class = client_call(c, &r, &a, st);
    answer_release(&a);
    client_free(c);
    return class;
}

static int run_login(invocation *inv)
{
    status st;
    text key = {0};
    context *c = context_of(inv, &st);
    if (!c)
        return complain("login failed", &st);
    /* copies: context_put replaces what c points to */
    char *url = memory_string(*c->url ? c->url : "http://127.0.0.1:8080"), *name = memory_string(c->name);
    status_class class = prompt_secret(inv, "API key", &key, &st);
    if (class == STATUS_OK)
        class = key_try(inv, url, key.data, &st);
    if (class == STATUS_OK) {
        context_put(c, name, url, key.data, flag_text(inv, "workspace", NULL), true);
        class = context_write(c, &st);
    }
    if (key.data)
        explicit_bzero(key.data, key.len);
    text_free(&key);
    if (class == STATUS_OK)
        say("the key works; kept in %s as context `%s`", c->path, name);
    free(url);
    free(name);
    return class == STATUS_OK ? EXIT_DONE : complain("login failed", &st);
}

static int run_logout(invocation *inv)
{
    status st;
    context *c = context_of(inv, &st);
    if (!c)
        return complain("logout failed", &st);
    json_object_del(json_object_get(json_object_get(c->file, "contexts"), c->name), "key");
    if (context_write(c, &st) != STATUS_OK)
        return complain("logout failed", &st);
    say("the key of context `%s` is forgotten here; `penstock key revoke` ends it on the server", c->name);
    return EXIT_DONE;
}

static int run_context_list(invocation *inv)
{
    status st;
    output out;
    const char *name;
    json_t *one;
    context *c = context_of(inv, &st);
    if (!c || output_make(inv, &out, &st) != STATUS_OK)
        return complain("the contexts cannot be read", &st);
    json_t *items = json_array();
    json_object_foreach(json_object_get(c->file, "contexts"), name, one)
    {
        const json_t *url = json_object_get(one, "url"), *workspace = json_object_get(one, "workspace");
        json_array_append_new(
            items, json_pack("{s:s,s:s,s:s,s:b,s:b}", "name", name, "url", url ? json_string_value(url) : "",
                             "workspace", workspace ? json_string_value(workspace) : "", "key",
                             json_object_get(one, "key") != NULL, "current",
                             strcmp(name, json_string_value(json_object_get(c->file, "current"))) == 0));
    }
    status_class class = output_items(&out, "name,url,workspace,key,current", items, NULL, &st);
    json_decref(items);
    return class == STATUS_OK ? EXIT_DONE : complain_usage(&st);
}

static int no_context(const context *c, const char *name)
{
    status st;
    status_at(&st, STATUS_NOT_FOUND, c->path, "there is no context `%s`", name);
    status_hint(&st, "penstock context list");
    return complain(NULL, &st);
}

static int written(const context *c)
{
    status st;
    return context_write(c, &st) == STATUS_OK ? EXIT_DONE : complain("the contexts cannot be written", &st);
}

static int run_context_use(invocation *inv)
{
    status st;
    context *c = context_of(inv, &st);
    if (!c)
        return complain("the contexts cannot be read", &st);
    const char *name = argument(inv, 0);
    if (!json_object_get(json_object_get(c->file, "contexts"), name))
        return no_context(c, name);
    json_object_set_new(c->file, "current", json_string(name));
    return written(c);
}

static int run_context_add(invocation *inv)
{
    status st;
    text key = {0};
    context *c = context_of(inv, &st);
    if (!c)
        return complain("the contexts cannot be read", &st);
    bool with_key = flag_given(inv, "file");
    if (with_key && prompt_secret(inv, "API key", &key, &st) != STATUS_OK)
        return complain("the context was not added", &st);
    context_put(c, argument(inv, 0), flag_text(inv, "url", NULL), with_key ? key.data : NULL,
                flag_text(inv, "workspace", NULL), flag_given(inv, "use"));
    text_free(&key);
    return written(c);
}

static int run_context_remove(invocation *inv)
{
    status st;
    context *c = context_of(inv, &st);
    if (!c)
        return complain("the contexts cannot be read", &st);
    if (json_object_del(json_object_get(c->file, "contexts"), argument(inv, 0)) != 0)
        return no_context(c, argument(inv, 0));
    return written(c);
}

static const flag key_flags[] = {{"file", 'f', "FILE|-", "read the API key from there"}, {0}};
static const flag add_flags[] = {
    {"file", 'f', "FILE|-", "read its API key from there"}, {"use", 0, NULL, "make it the current one"}, {0}};

const command login_commands[] = {
    {NULL, "login", "", 0, 0, key_flags, "keeps an API key, typed or piped in, after trying it",
     "login --url https://penstock.example\nlogin --file admin.key", run_login, NULL},
    {NULL, "logout", "", 0, 0, NULL, "forgets the context's API key", "logout", run_logout, NULL},
    {0},
};

const command context_commands[] = {
    {"context", "list", "", 0, 0, NULL, "the servers that are known here", "context list", run_context_list,
     NULL},
    {"context", "use", "NAME", 1, 1, NULL, "makes one the current", "context use plant-a", run_context_use,
     NULL},
    {"context", "add", "NAME", 1, 1, add_flags,
     "adds or changes one; its address and workspace by --url and -w",
     "context add plant-a --url https://penstock.example -w pumps --use", run_context_add, NULL},
    {"context", "remove", "NAME", 1, 1, NULL, "forgets one", "context remove plant-a", run_context_remove,
     NULL},
    {0},
};
