/* Our share of the group's partitions. What the group takes away is given up only when everything that was
 * read of it is durable and committed, so the member that gets it begins behind it; unless we were too slow
 * and have lost it already: then both of us have read the same. */
#ifndef KAFKA_SHARE_H
#define KAFKA_SHARE_H
#include "client.h"
#include "position.h"

typedef struct share {
    client *client;
    position *position;
    bool from_end;       /* where neither we nor the group have a position */
    bool busy;           /* records are on their way that are not durable */
    bool assigned;       /* the group has given us a share, perhaps an empty one */
    bool revoked;        /* it wants it back: share_settle */
    bool ending;         /* we leave: what it wants back it gets at once */
    bool failed;         /* the group's offsets could not be asked for */
    unsigned generation; /* grows with each change: records that were read ahead come again */
    rd_kafka_topic_partition_list_t *parts;
} share;

/* The group that is configured, or our own. */
const char *share_group(const client *c);
/* Settings of a member, whose client knows its share. */
rd_kafka_conf_t *share_settings(client *c, const pst_call *call, pst_error *error);
void share_settle(share *s); /* nothing is on its way any more */
/* A partition whose place is not there any more goes on with the oldest record that is. */
void share_restart_part(share *s, const char *topic, int32_t partition);
void share_end(share *s);
#endif
