/* What the platform lets plugins reach: folders (`files.allow`), networks (`networks.allow`) and programs
 * (`exec.allow`). Grants stand in the host's settings and nowhere else: a template cannot give itself one.
 *
 * In YAML an item is a plain value, which holds for every workspace, or a mapping:
 *
 *   files:    {allow: [/srv/shared, {folder: /srv/pump, workspaces: [pump-station]}]}
 *   networks: {allow: [10.0.0.0/8, {network: 127.0.0.0/8, workspaces: [demo]}]}
 *   exec:     {allow: [{program: /usr/bin/telegraf, workspaces: [demo]}]}
 *
 * As a flag or variable it is one text: items between commas, workspaces after @ with + between:
 * `/srv/shared,/srv/pump@pump-station+demo`. A comma or an @ in a folder's name needs the YAML form.
 *
 * Workspaces are named by key; whether one exists is not known here. Immutable; any thread may read. */
#ifndef PENSTOCK_CONFIG_GRANT_H
#define PENSTOCK_CONFIG_GRANT_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/status.h"
#include "config/settings.h"
#include "config/yaml_tree.h"

#define GRANTS_MAX 64            /* items of one list */
#define GRANT_WORKSPACES_MAX 200 /* of one item */
#define GRANT_FOLDER_MAX 1024    /* bytes */

typedef enum grant_kind { GRANT_FOLDERS, GRANT_NETWORKS, GRANT_PROGRAMS } grant_kind;

typedef struct grant_network {
    int family;          /* AF_INET or AF_INET6 */
    uint8_t address[16]; /* network byte order; AF_INET: the first four */
    unsigned bits;       /* of the prefix */
} grant_network;

typedef struct grant {
    /* folder or program (absolute, without a slash at its end), or the network as written */
    const char *value;
    grant_network network;
    const char **workspaces;
    size_t n_workspaces; /* 0 = all */
} grant;

struct grant_list {
    grant items[GRANTS_MAX];
    size_t n;
};

/* ---- For settings.c; everything lives in the arena ---- */

/* The value at `pointer` of the tree. STATUS_INVALID or STATUS_LIMIT with where = file:line:column. */
status_class grant_list_read(arena *a, grant_kind kind, const yaml_tree *t, const char *pointer,
                             const json_t *value, grant_list **ret, status *st);
/* The text form; `origin` is where errors point to. */
status_class grant_list_parse(arena *a, grant_kind kind, const char *text, const char *origin,
                              grant_list **ret, status *st);
/* The text form of a list. */
char *grant_list_text(arena *a, const grant_list *list);

/* ---- Answers ---- */

/* Folders of the workspace in the order of the settings; a relative path means below the first. The texts
 * live as long as the settings. Gives how many. */
size_t grant_files(const settings *s, const char *workspace, const char *ret[GRANTS_MAX]);
/* Is it one of the workspace's programs? By its path as the settings write it. */
bool grant_program(const settings *s, const char *workspace, const char *path);
size_t grant_networks(const settings *s, const char *workspace, grant_network ret[GRANTS_MAX]);
/* An IPv4 address inside IPv6 (::ffff:a.b.c.d) counts as IPv4. False for other families. */
bool grant_network_contains(const grant_network *network, const struct sockaddr *address);
#endif
