/* Help from the command tables: for a terminal, as man pages, and for shell completion. */
#ifndef PENSTOCK_CLI_HELP_H
#define PENSTOCK_CLI_HELP_H
#include <stdio.h>

#include "command.h"

void help_overview(FILE *to);
void help_noun(FILE *to, const char *noun);
void help_command(FILE *to, const command *c);
#endif
