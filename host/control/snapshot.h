/* What a host must know to take rows while the control plane is away when it starts: which stack it is, the
 * API keys (their hashes and scopes) and the workspaces' definitions, as a signed file. No secret stands in
 * it: neither keys nor passwords nor values of secrets.
 *
 * The first line names the format and the HMAC of the rest under a key derived from the stack's master key.
 * What was changed, was signed by another stack, or is older than SNAPSHOT_LIFE_US is refused; a key in it is
 * good until then, too, so that a revoked one ends in time. */
#ifndef PENSTOCK_CONTROL_SNAPSHOT_H
#define PENSTOCK_CONTROL_SNAPSHOT_H
#include "control/control.h"
#include "control/key.h"
#include "control/workspace.h"

#define SNAPSHOT_LIFE_US (15 * 60 * INT64_C(1000000))
#define SNAPSHOT_BYTES_MAX (256U << 20)

typedef struct snapshot snapshot;

/* Reads the control plane and replaces the file (0600). [lane] */
status_class snapshot_write(control *c, const char *path, status *st);
/* STATUS_NOT_FOUND snapshot_missing, STATUS_DENIED snapshot_tampered, STATUS_TIMEOUT snapshot_too_old; the
 * word stands in the text. */
status_class snapshot_read(const secret_key *k, const char *path, int64_t now_us, snapshot **out, status *st);
void snapshot_free(snapshot *s); /* NULL is fine */

const char *snapshot_stack(const snapshot *s);
int64_t snapshot_written_us(const snapshot *s);
/* As key_verify; STATUS_TIMEOUT once the snapshot is too old. Any thread. */
status_class snapshot_verify(const snapshot *s, const char *key, int64_t now_us, key_record *out, status *st);
/* The workspaces, ready to take rows: without the login's password. */
void snapshot_each(const snapshot *s, void (*visit)(void *arg, workspace *w, const status *problem),
                   void *arg);
#endif
