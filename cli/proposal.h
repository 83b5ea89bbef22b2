/* Datastores that were proposed, into a template or local layer on this machine: what stands there stays as
 * it is, comments too; a datastore whose key is there already is left out. */
#ifndef PENSTOCK_CLI_PROPOSAL_H
#define PENSTOCK_CLI_PROPOSAL_H
#include "base/status.h"

/* `yaml` begins with `datastores:` (and comments before it), keys are indented by two. A file that is not
 * there becomes a local layer. STATUS_INVALID: the result would not be YAML, nothing is written. */
status_class proposal_write(const char *file, const char *yaml, unsigned *added_out, status *st);
#endif
