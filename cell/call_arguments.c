/* Arguments point into the incoming arena, which stays as it is until the request is answered. */
#include "cell/call_arguments.h"

#include <stdlib.h>

#include "penstock/batch.h"

const char *take_text(request *q, frame_tag tag)
{
    frame_item item;
    return frame_take(&q->arguments, tag, &item) ? frame_item_text(&item) : NULL;
}

pst_bytes take_bytes(request *q, frame_tag tag)
{
    frame_item item;
    if (!frame_take(&q->arguments, tag, &item))
        return (pst_bytes){0};
    return (pst_bytes){.data = item.data, .len = item.len};
}

bool take_fields(request *q, fields *out)
{
    frame_item key, value;
    while (frame_take(&q->arguments, FRAME_KEY, &key)) {
        pst_field *grown = realloc(out->items, (out->n + 1) * sizeof *grown);
        if (!grown)
            return false;
        out->items = grown;
        if (!frame_take(&q->arguments, FRAME_VALUE, &value) || !frame_item_text(&key) ||
            !frame_item_text(&value))
            return false;
        grown[out->n++] = (pst_field){.key = frame_item_text(&key), .value = frame_item_text(&value)};
    }
    return true;
}

bool take_attachments(request *q, attachments *out)
{
    frame_item name;
    while (frame_take(&q->arguments, FRAME_ATTACHMENT, &name)) {
        pst_attachment *grown = realloc(out->items, (out->n + 1) * sizeof *grown);
        if (!grown)
            return false;
        out->items = grown;
        pst_attachment a = {.name = frame_item_text(&name), .content_type = take_text(q, FRAME_CONTENT_TYPE)};
        a.content_id = take_text(q, FRAME_CONTENT_ID);
        a.data = take_bytes(q, FRAME_BODY);
        if (!a.name || !a.content_type)
            return false;
        grown[out->n++] = a;
    }
    return true;
}

pst_status malformed(request *q)
{
    return pst_fail(q->error, PST_E_INTERNAL, NULL, "the cell could not read the host's arguments");
}

const void *interface_of(const request *q, const char *id)
{
    return q->s->plugin->get_interface(id);
}

bool take_http(request *q, pst_request *out, fields *headers)
{
    *out = (pst_request){.struct_size = sizeof *out,
                         .method = take_text(q, FRAME_METHOD),
                         .path = take_text(q, FRAME_PATH),
                         .query = take_text(q, FRAME_QUERY)};
    if (!out->method || !out->path || !take_fields(q, headers))
        return false;
    out->headers = headers->items;
    out->n_headers = headers->n;
    out->body = take_bytes(q, FRAME_BODY);
    return true;
}

void put_blob(request *q, frame_tag tag, pst_blob *blob)
{
    frame_put(&q->answer, tag, 0, blob->data, blob->data ? blob->len : 0);
    if (blob->release)
        blob->release(blob);
}

void put_reply(request *q, pst_reply *reply)
{
    frame_put(&q->answer, FRAME_NUMBER, (uint32_t)reply->http_status, NULL, 0);
    reply->content_type[sizeof reply->content_type - 1] = '\0';
    frame_put_text(&q->answer, FRAME_CONTENT_TYPE, reply->content_type);
    put_blob(q, FRAME_BODY, &reply->body);
}
