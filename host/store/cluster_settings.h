/* The private cluster's settings: a file of ours beside postgresql.conf, which includes it. */
#ifndef PENSTOCK_STORE_CLUSTER_SETTINGS_H
#define PENSTOCK_STORE_CLUSTER_SETTINGS_H
#include "store/cluster.h"

/* Writes penstock.conf into the data folder, for the memory that the machine has. */
status_class cluster_settings_write(const cluster_options *o, const cluster *c, status *st);
/* One include line in postgresql.conf, once; an administrator's own changes there stay. */
status_class cluster_settings_include(const cluster *c, status *st);
#endif
