/* The wall between workspaces: one LOGIN role each, member of nothing, with rights on its own objects only.
 * Set-up takes away from PUBLIC what PostgreSQL gives everybody: CONNECT, TEMP, CREATE, advisory locks,
 * *_to_xml, large objects, statistics and file functions. Passwords are random and reach the server as SCRAM
 * verifiers only. */
#ifndef PENSTOCK_STORE_ROLES_H
#define PENSTOCK_STORE_ROLES_H
#include "store/connection.h"

#define ROLE_NAME_SIZE 64
#define ROLE_PASSWORD_SIZE 44

/* Each as superuser (or an owner of the same rights). Repeats are fine. */
/* Makes (or re-keys) the service login: LOGIN CREATEROLE, nothing else. */
status_class roles_service_create(connection *super, const char *login, const char *password, status *st);
/* Makes the database, owned by the service login. `super` is connected to another database. */
status_class roles_database_create(connection *super, const char *database, const char *owner, status *st);
/* Inside that database: takes away from PUBLIC. */
status_class roles_database_close(connection *super, const char *database, const char *owner, status *st);

/* penstock_{stack8}_wid{N} */
void role_name(char out[ROLE_NAME_SIZE], const char *stack8, int32_t wid);
void role_password(char out[ROLE_PASSWORD_SIZE]); /* random, 43 characters */
/* As the service login, in the data plane: makes the role or gives it a new password, CONNECT and USAGE. */
status_class role_create(connection *c, const char *role, const char *password, status *st);
/* Takes its rights and the role away; its objects must be gone. Missing is fine. */
status_class role_drop(connection *c, const char *role, status *st);
#endif
