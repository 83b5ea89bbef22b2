/* Names one state of one dead letter. A row that is sent again carries it through the journal; the writer's
 * transaction takes the letter away only if it still is in that state, so a letter that was sent twice, was
 * corrected or thrown away meanwhile is not stored. */
#ifndef PENSTOCK_FLOW_LETTER_REF_H
#define PENSTOCK_FLOW_LETTER_REF_H
#include <stdint.h>

#define LETTER_ID_SIZE 27 /* a ULID with its NUL */
#define JOURNAL_FIELD_LETTER                                                      \
    3 /* tag of a journal record's field: a letter_ref, the record is that letter \
       */

typedef struct letter_ref {
    char id[LETTER_ID_SIZE];
    int64_t revision;
} letter_ref;
#endif
