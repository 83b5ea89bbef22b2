/* The metric registry as Prometheus text exposition (version 0.0.4). */
#ifndef PENSTOCK_SERVE_METRICS_TEXT_H
#define PENSTOCK_SERVE_METRICS_TEXT_H
#include "base/text.h"

#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"
void metrics_text(text *out);
#endif
