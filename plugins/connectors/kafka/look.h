/* A look at the cluster beside what runs: does it take us, and which topics are there. Nothing of it is left
 * in a group. */
#ifndef KAFKA_LOOK_H
#define KAFKA_LOOK_H
#include "client.h"

/* Settings of a consumer that commits nothing and joins nothing. */
rd_kafka_conf_t *look_settings(client *c, const pst_call *call, pst_error *error);
/* The last few records of each partition of these topics (NULL: of all that are not internal). */
rd_kafka_topic_partition_list_t *look_at_ends(const client *c, const rd_kafka_metadata_t *found,
                                              bool configured);
pst_status look_connection(client *c, const pst_call *call, pst_error *error);
/* For each topic its partitions, and some of its newest records. */
pst_status look_discover(client *c, const pst_call *call, pst_blob *json_out, pst_error *error);
#endif
