/* `penstock model run PLUGIN --csv FILE`: a model plugin in its cell, fed from a file, without a server.
 * Trains on the first N rows, then streams row by row; prints `time,score,anomaly`, training rows with empty
 * score and decision. */
#ifndef PENSTOCK_CLI_MODEL_RUN_H
#define PENSTOCK_CLI_MODEL_RUN_H
#include "command.h"

extern const flag model_run_flags[];
int model_run(invocation *inv);
#endif
