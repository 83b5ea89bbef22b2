/* One run of the command line; returns the exit code. */
#ifndef PENSTOCK_CLI_RUN_H
#define PENSTOCK_CLI_RUN_H
int penstock_run(int argc, char **argv);
#endif
