/* Who we say we are: the setting `auth`, an object with one of
 *
 *   header: {name, value (secret), prefix}
 *   basic:  {user, password (secret)}
 *   oauth:  {token_url, client_id, client_secret (secret), scope, audience, send: body|basic}   RFC 6749, 4.4
 *   login:  {url, send: json|form, user_field, user, password_field, password (secret), fields, token, lives,
 *            lives_s, header, prefix}
 *
 * The token of the last two is kept in penstock.state, sealed, so that a restart needs no login; it is
 * renewed before its end, and once when it is refused. */
#ifndef PULL_LOGIN_H
#define PULL_LOGIN_H
#include "transport.h"

enum { LOGIN_TOKEN_MAX = 12000 };

typedef enum login_kind { LOGIN_NONE, LOGIN_HEADER, LOGIN_BASIC, LOGIN_OAUTH, LOGIN_FORM } login_kind;

typedef struct login {
    const pst_host *host;
    login_kind kind;
    int64_t renew_us; /* wall; 0 = there is no token */
    bool looked;      /* penstock.state was asked */
    char token[LOGIN_TOKEN_MAX + 1];
} login;

struct pull_client;

pst_status login_open(login *l, const pst_host *host, pst_error *error);
void login_close(login *l); /* wipes; zeroed is fine */
/* Has a token that is good for a while, if the kind needs one; may ask through `c`. */
pst_status login_prepare(login *l, struct pull_client *c, const pst_call *call, pst_error *error);
/* Puts the credential on the handle (basic) or into the headers. */
pst_status login_put(login *l, const pst_call *call, CURL *curl, struct curl_slist **headers,
                     pst_error *error);
/* The far side said 401: forgets the token; true if a new one may help. */
bool login_refused(login *l, const pst_call *call);
#endif
