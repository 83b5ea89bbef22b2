/* `penstock secret …` and `penstock key …`: credentials that the server keeps, and keys to the server. */
#include <stdio.h>
#include <string.h>

#include "complaint.h"
#include "context.h"
#include "exit_code.h"
#include "prompt.h"
#include "resource.h"
#include "tables.h"

static int run_secret_set(invocation *inv)
{
    status st;
    text value = {0};
    answer a = {0};
    status_class class = workspace_of(inv, &st) ? prompt_secret(inv, "the secret", &value, &st) : st.class;
    if (class == STATUS_OK) {
        json_t *body = json_pack("{s:s%}", "value", value.data, value.len);
        request r = {.method = "PUT", .json = body};
        class = body ? resource_call(inv, &r, "/workspaces/{ws}/secrets/{0}", &a, &st)
                     : status_set(&st, STATUS_INVALID, "a secret must be UTF-8 text");
        json_decref(body);
    }
    if (value.data)
        explicit_bzero(value.data, value.len);
    text_free(&value);
    answer_release(&a);
    if (class != STATUS_OK)
        return complain("the secret was not set", &st);
    say("secret `%s` is set", argument(inv, 0));
    return EXIT_DONE;
}

/* Scopes are words "verb[,verb]:reference", e.g. "write:datastore:sensor_data"; the server reads them. */
static json_t *scopes_make(const invocation *inv)
{
    json_t *scopes = json_array();
    const char *scope;
    for (unsigned i = 0; (scope = flag_nth(inv, "scope", i)); i++)
        json_array_append_new(scopes, json_string(scope));
    return scopes;
}

static int run_key_create(invocation *inv)
{
    status st;
    output out;
    answer a = {0};
    if (output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    json_t *body = json_pack("{s:s,s:o}", "name", argument(inv, 0), "scopes", scopes_make(inv));
    const context *c = context_of(inv, &st);
    if (c && *c->workspace && flag_given(inv, "workspace"))
        json_object_set_new(body, "workspace", json_string(c->workspace));
    if (flag_given(inv, "expires"))
        json_object_set_new(body, "expires", json_string(flag_text(inv, "expires", "")));
    request r = {.method = "POST", .json = body, .once = true};
    status_class class = c ? resource_call(inv, &r, "/api-keys", &a, &st) : st.class;
    json_decref(body);
    if (class == STATUS_OK && (out.names_only || out.format == OUTPUT_TABLE)) {
        const char *key = json_string_value(json_object_get(a.json, "key"));
        printf("%s\n", key ? key : "");
        say("this is the only time the key is shown");
    } else if (class == STATUS_OK) {
        output_object(&out, a.json);
    }
    answer_release(&a);
    return class == STATUS_OK ? EXIT_DONE : complain("the key was not made", &st);
}

static const flag secret_flags[] = {{"file", 'f', "FILE|-", "read the value from there"}, {0}};
static const flag create_flags[] = {
    {"scope", 0, "VERBS:REFERENCE",
     "what it may do, e.g. write:datastore:sensor_data; may be given more than once"},
    {"expires", 0, "TIME", "RFC 3339; default never"},
    {0},
};
static const resource secrets = {.path = "/workspaces/{ws}/secrets", .columns = "name,created,updated"};
static const resource one_secret = {.path = "/workspaces/{ws}/secrets/{0}", .done = "is deleted"};
static const resource keys = {.path = "/api-keys",
                              .columns = "id,name,prefix,scopes,created,expires,revoked"};
static const resource one_key = {.path = "/api-keys/{0}", .done = "is revoked"};

const command secret_commands[] = {
    {"secret", "set", "NAME", 1, 1, secret_flags, "keeps a secret, typed or piped in; it cannot be read back",
     "secret set mqtt_password -w demo\nsecret set ca --file ca.pem -w demo", run_secret_set, NULL},
    {"secret", "list", "", 0, 0, resource_list_flags, "the names of the secrets", "secret list -w demo",
     resource_list, &secrets},
    {"secret", "delete", "NAME", 1, 1, NULL, "forgets a secret", "secret delete mqtt_password -w demo",
     resource_delete, &one_secret},
    {0},
};

const command key_commands[] = {
    {"key", "create", "NAME", 1, 1, create_flags, "makes an API key and prints it once",
     "key create collector -w demo --scope write:datastore:sensor_data", run_key_create, NULL},
    {"key", "list", "", 0, 0, resource_list_flags, "the API keys, without their secret part", "key list",
     resource_list, &keys},
    {"key", "revoke", "ID", 1, 1, NULL, "ends an API key", "key revoke key_01JZ…", resource_delete, &one_key},
    {0},
};
