/* [{stream, title, example, payloads}]: the answer as it came, which the host reads by `decode`, and the
 * records in it for a connector without one. */
#include "discover.h"

enum { RECORDS_MOST = 100, PAYLOAD_MOST = 262144 };

/* The array of records: where it is said to be, the document itself, or its first member that is an array. */
static const pst_json *find_records(const pst_json_service *json, const pst_json *root, const char *records)
{
    const pst_json *there = json->find(root, records);
    if (json->kind(there, "") == PST_JSON_ARRAY)
        return there;
    for (size_t i = 0; json->kind(root, "") == PST_JSON_OBJECT && i < json->count(root, ""); i++)
        if (json->kind(json->item(root, i), "") == PST_JSON_ARRAY)
            return json->item(root, i);
    return NULL;
}

static void write_payload(const pull_answer *answer, wording *w)
{
    if (answer->body.len > PAYLOAD_MOST)
        return;
    wording_add_text(w, WORDING_PLAIN, ",\"payloads\":[{\"payload\":\"");
    wording_add(w, WORDING_JSON, answer->body.data, answer->body.len);
    wording_add_text(w, WORDING_PLAIN, "\"}]");
}

/* `records` may be NULL: then the payload alone is shown. */
static pst_status write_stream(const pst_json_service *json, const pst_json *records,
                               const pull_answer *answer, wording *w, pst_error *error)
{
    pst_status st = PST_OK;
    wording_add_text(w, WORDING_PLAIN, "[{\"stream\":\"\",\"title\":\"Records\"");
    write_payload(answer, w);
    wording_add_text(w, WORDING_PLAIN, ",\"example\":[");
    for (size_t i = 0; !st && i < json->count(records, "") && i < RECORDS_MOST; i++) {
        pst_blob record = {.struct_size = sizeof record};
        st = json->print(json->item(records, i), "", &record, error);
        wording_add_text(w, WORDING_PLAIN, i ? "," : "");
        if (!st)
            wording_add(w, WORDING_PLAIN, record.data, record.len);
        if (record.release)
            record.release(&record);
    }
    wording_add_text(w, WORDING_PLAIN, "]}]");
    return st;
}

pst_status discover_write(const pst_host *host, const pull_answer *answer, const char *records,
                          pst_blob *json_out, pst_error *error)
{
    const pst_json_service *json = host->get_service(host, PST_SERVICE_JSON);
    wording w = {0};
    if (!json)
        return pst_fail(error, PST_E_UNSUPPORTED, NULL, "this host reads no JSON for plugins");
    pst_json *root = json->parse(host, (pst_bytes){answer->body.data, answer->body.len}, error);
    const pst_json *there = find_records(json, root, records);
    pst_status st = root ? write_stream(json, there, answer, &w, error) : PST_E_DATA;
    if (!st && w.failed)
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    if (!st)
        st = pst_blob_set(json_out, w.data, w.len, error);
    if (root)
        json->discard(root);
    wording_free(&w);
    return st;
}
