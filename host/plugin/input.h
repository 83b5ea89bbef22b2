/* Writing batches for a cell. Private to host/plugin. */
#ifndef PENSTOCK_PLUGIN_INPUT_H
#define PENSTOCK_PLUGIN_INPUT_H
#include "plugin/instance.h"
#include "wire/frame.h"

#define INPUTS_MAX 16

/* Columns go as they are; dates and uuids as text. Presence is not handed on. */
void input_write(frame_writer *w, const instance_input *inputs, size_t n_inputs);
#endif
