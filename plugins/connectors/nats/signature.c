/* The file has two blocks, each a line behind a heading. */
#include "signature.h"

#include <stdlib.h>
#include <string.h>

/* The line behind the one that begins a block, as a copy; NULL: there is none. */
static char *line_behind(const char *text, const char *heading)
{
    const char *at = strstr(text, heading);
    at = at ? at + strcspn(at, "\n") : NULL;
    if (!at || !*at)
        return NULL;
    at += strspn(at, "\r\n");
    return strndup(at, strcspn(at, "\r\n ")); /* a JWT may hold "-" */
}

static natsStatus on_jwt(char **jwt, char **why, void *arg)
{
    *jwt = line_behind(arg, "BEGIN NATS USER JWT");
    if (!*jwt)
        *why = strdup("the credentials hold no user JWT");
    return *jwt ? NATS_OK : NATS_ERR;
}

static natsStatus on_sign(char **why, unsigned char **signature, int *len, const char *nonce, void *arg)
{
    char *seed = line_behind(arg, "BEGIN USER NKEY SEED");
    natsStatus s = seed ? nats_Sign(seed, nonce, signature, len) : NATS_ERR;
    if (s)
        *why = strdup("the credentials hold no seed that can sign");
    if (seed)
        explicit_bzero(seed, strlen(seed));
    free(seed);
    return s;
}

/* What the library would notice only while it connects, and take for a server that is away. */
static bool is_complete(char *text)
{
    char *jwt = NULL, *why = NULL;
    unsigned char *signature = NULL;
    int len = 0;
    natsStatus s = on_jwt(&jwt, &why, text);
    s = s ? s : on_sign(&why, &signature, &len, "nonce", text);
    free(jwt);
    free(why);
    free(signature);
    return s == NATS_OK;
}

natsStatus signature_prepare(natsOptions *o, char *text)
{
    return is_complete(text) ? natsOptions_SetUserCredentialsCallbacks(o, on_jwt, text, on_sign, text)
                             : NATS_INVALID_ARG;
}
