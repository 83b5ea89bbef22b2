/* Parses, dispatches, tidies up. */
#include "run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "client.h"
#include "command.h"
#include "complaint.h"
#include "context.h"
#include "exit_code.h"
#include "help.h"

static int dispatch(invocation *inv)
{
    bool help = flag_given(inv, "help");
    if (inv->command && !help)
        return inv->command->run(inv);
    if (inv->command)
        help_command(stdout, inv->command);
    else if (inv->n_args > 0)
        help_noun(stdout, inv->args[0]);
    else
        help_overview(help ? stdout : stderr);
    return inv->command || help ? EXIT_DONE : EXIT_USAGE;
}

int penstock_run(int argc, char **argv)
{
    status st;
    invocation inv = {0};
    signal(SIGPIPE, SIG_IGN);
    if (command_parse(argc, argv, &inv, &st) != STATUS_OK)
        return complain_usage(&st);
    int code = dispatch(&inv);
    client_free(inv.client);
    context_release(inv.context);
    free(inv.context);
    if (fflush(stdout) != 0 && code == EXIT_DONE) {
        status_set(&st, STATUS_INTERNAL, "the result could not be written");
        code = complain(NULL, &st);
    }
    return code;
}
