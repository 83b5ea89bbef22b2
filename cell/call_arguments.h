/* A request being run, and taking its arguments out of the frame. */
#ifndef PENSTOCK_CELL_CALL_ARGUMENTS_H
#define PENSTOCK_CELL_CALL_ARGUMENTS_H
#include "cell/arrow_frame.h"
#include "cell/session.h"

typedef struct request {
    session *s;
    pst_call call;
    frame_reader arguments;
    frame_writer answer;
    arrow_inputs inputs;
    pst_error *error;
    uint32_t rows;
} request;

typedef struct fields { /* items: to be freed */
    pst_field *items;
    size_t n;
} fields;
typedef struct attachments {
    pst_attachment *items;
    size_t n;
} attachments;

const char *take_text(request *q, frame_tag tag); /* NULL if the next item is another */
pst_bytes take_bytes(request *q, frame_tag tag);  /* empty if the next item is another */
bool take_fields(request *q, fields *out);
bool take_attachments(request *q, attachments *out);
pst_status malformed(request *q);
/* NULL if the plugin has no such interface. */
const void *interface_of(const request *q, const char *id);
/* The plugin's struct has the field, and it is set: an older plugin's struct ends earlier. */
#define REACHES(p, type, field) ((p) && PST_HAS(p, type, field) && (p)->field)
/* A request of HTTP; its headers' items are to be freed. */
bool take_http(request *q, pst_request *out, fields *headers);
/* Both release what they are given. */
void put_reply(request *q, pst_reply *reply);
void put_blob(request *q, frame_tag tag, pst_blob *blob);
#endif
