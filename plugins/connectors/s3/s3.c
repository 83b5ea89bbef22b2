/* The connector: lists the bucket, reads what is new object after object, waits, lists again.
 *
 *   waiting ──due──▶ listing ──▶ round: object ──records──▶ … ──end──▶ object … ──▶ waiting
 *                                        ├── gone, or not to be read: the next one; tried again in the next
 * round └── changed meanwhile: said as a reject, read from its start
 *
 * What was read, and how far the object is read that is being read, is the cursor, which the host commits
 * with the rows. A batch has records of one object. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "discover.h"
#include "penstock/define.h"
#include "queue.h"
#include "reading.h"

#define CHANGED                                                                                           \
    "the object changed while it was read: the rest of its old version is left out, the new one is read " \
    "from its start"
enum { ANSWER_MIN = 8 * 1024 * 1024, IDLE_MOST_MS = 3600000 };

typedef struct s3 {
    const pst_host *host;
    bucket bucket;
    position at;
    queue queue;
    reading reading;
    queued *object; /* in the queue, that is being read */
    bool listed;    /* a round runs */
    bool streams, aside;
    int64_t due_us, waits_until_us; /* wall; monotonic: told to come again then */
    size_t n_failed;
    char problem[PST_HEALTH_TEXT_MAX];
    wording cursor;
} s3;

static void on_destroy(void *self)
{
    s3 *s = self;
    if (!s)
        return;
    queue_clear(&s->queue);
    reading_close(&s->reading);
    bucket_close(&s->bucket);
    position_close(&s->at);
    wording_free(&s->cursor);
    free(s);
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    s3 *s = calloc(1, sizeof *s);
    if (!s)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    s->host = host;
    s->streams = host->config_flag(host, "/streams");
    size_t range = (size_t)host->config_int(host, "/range_bytes");
    pst_status st = position_open(&s->at) ? PST_OK : pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    st = st ? st : bucket_open(&s->bucket, host, range < ANSWER_MIN ? ANSWER_MIN : range, error);
    st = st ? st : reading_open(&s->reading, host, &s->bucket, error);
    if (st) {
        on_destroy(s);
        return st;
    }
    queue_open(&s->queue, host, &s->bucket, &s->at);
    s->queue.newest = !strncmp(host->instance_name, "trial:", 6);
    *self = s;
    return PST_OK;
}

/* ---- What people are told ---- */

static void tell(s3 *s, const pst_call *call)
{
    pull_tell(&s->bucket.client, call, s->problem);
}

static void object_failed(s3 *s, const pst_call *call, const pst_error *error)
{
    pst_field fields[] = {{"object", s->object->key}, {"problem", error->message}};
    s->host->log(s->host, PST_LOG_WARN, "an object cannot be read", fields, 2);
    s->object->mark = QUEUE_FAILED;
    s->n_failed++;
    if (s->n_failed == 1)
        snprintf(s->problem, sizeof s->problem, "%s", error->message);
    tell(s, call);
}

/* Told to come again later: nothing is wrong, it waits. */
static pst_status wait(s3 *s, const pst_call *call, const pst_error *error, pst_batch *out)
{
    uint32_t ms = error->retry_after_ms ? error->retry_after_ms : 1000;
    s->waits_until_us = s->host->now_us(s->host) + (int64_t)ms * 1000;
    pull_tell(&s->bucket.client, call, error->message);
    out->next_in_ms = ms;
    return PST_IDLE;
}

static void waited(s3 *s, const pst_call *call)
{
    if (s->waits_until_us)
        tell(s, call);
    s->waits_until_us = 0;
}

/* ---- The round ---- */

static void begin_object(s3 *s, queued *o, uint64_t offset)
{
    s->object = o;
    reading_begin(&s->reading, o->key, o->etag, o->bytes, offset);
}

/* The object that was being read when the source was closed. */
static void go_on(s3 *s)
{
    queued *o = s->at.key[0] ? queue_find(&s->queue, s->at.key) : NULL;
    bool same = o && !strcmp(o->etag, s->at.etag);
    if (s->at.key[0] && s->at.etag[0] && !same)
        cutter_reject(&s->reading.cut, s->at.key, strlen(s->at.key),
                      o ? CHANGED : "the object is gone before it was read to its end");
    if (same)
        begin_object(s, o, s->at.offset);
    s->at.key[0] = s->at.etag[0] = '\0';
    s->at.offset = 0;
}

static pst_status list(s3 *s, const pst_call *call, pst_batch *out, pst_error *error)
{
    pst_status st = queue_list(&s->queue, call, &s->listed, error);
    if (st && s->bucket.trouble == BUCKET_WAITS)
        return wait(s, call, error, out);
    if (st || !s->listed) {
        out->next_in_ms = 1;
        return st ? st : PST_IDLE;
    }
    s->n_failed = 0;
    waited(s, call);
    go_on(s);
    return PST_OK;
}

static void crowded(s3 *s)
{
    snprintf(s->problem, sizeof s->problem,
             "%d objects of the last late_s seconds have been read; the next ones wait until they are that "
             "old: lower late_s, or "
             "read by several connectors",
             POSITION_SEEN_MAX);
}

/* The next object; without one the round ends. */
static pst_status next_object(s3 *s, const pst_call *call, pst_batch *out)
{
    bool full = false;
    queued *o = queue_next(&s->queue, &full);
    if (o) {
        begin_object(s, o, 0);
        return PST_OK;
    }
    if (full)
        crowded(s);
    else if (!s->n_failed)
        s->problem[0] = '\0';
    tell(s, call);
    s->listed = false;
    bool more = queue_end(&s->queue);
    uint32_t ms = more ? 1 : (uint32_t)s->host->config_int(s->host, "/every_s") * 1000;
    s->due_us = s->host->wall_us(s->host) + (int64_t)ms * 1000;
    out->next_in_ms = ms;
    return PST_IDLE;
}

/* ---- One object ---- */

static void object_ended(s3 *s, const char *etag)
{
    queue_done(&s->queue, s->object, etag);
    s->object = NULL;
    reading_end(&s->reading);
}

/* What was handed over of the old version stays; the new one is another object, as it were. */
static void object_changed(s3 *s)
{
    bool begun = cutter_position(&s->reading.cut) > 0 || s->reading.resume || cutter_taken(&s->reading.cut);
    if (begun)
        cutter_reject(&s->reading.cut, s->object->key, strlen(s->object->key), CHANGED);
    reading_begin(&s->reading, s->object->key, "", s->object->bytes, 0);
}

/* Does the round go on in spite of it? */
static bool is_of_the_object(s3 *s, const pst_call *call, const pst_error *error)
{
    if (s->bucket.trouble == BUCKET_CHANGED && s->reading.etag[0]) {
        object_changed(s);
        return true;
    }
    if (s->bucket.trouble == BUCKET_GONE) {
        pst_field field = {"object", s->object->key};
        s->host->log(s->host, PST_LOG_WARN, "an object that was listed is gone", &field, 1);
        object_ended(s, NULL);
        return true;
    }
    if (s->bucket.trouble != BUCKET_ITS_OWN && s->bucket.trouble != BUCKET_CHANGED)
        return false;
    object_failed(s, call, error);
    reading_end(&s->reading);
    s->object = NULL;
    return true;
}

/* "" or the folder right below the prefix. */
static void stream_of(const s3 *s, const char *key, char out[LISTING_KEY_MAX])
{
    const char *below = key + strlen(s->queue.prefix);
    const char *slash = strchr(below, '/');
    snprintf(out, LISTING_KEY_MAX, "%.*s", slash ? (int)(slash - below) : 0, below);
}

static pst_status hand_over(s3 *s, pst_batch *out, pst_error *error)
{
    char stream[LISTING_KEY_MAX];
    stream_of(s, s->object->key, stream);
    if (s->reading.ended) {
        object_ended(s, s->reading.etag);
    } else {
        snprintf(s->at.key, sizeof s->at.key, "%s", s->object->key);
        snprintf(s->at.etag, sizeof s->at.etag, "%s", s->reading.etag);
        s->at.offset = s->reading.resume ? s->reading.resume : cutter_position(&s->reading.cut);
    }
    position_write(&s->at, &s->cursor);
    s->at.key[0] = '\0';
    if (s->cursor.failed)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for the cursor");
    return cutter_finish(&s->reading.cut, s->streams ? stream : NULL,
                         (pst_bytes){s->cursor.data, s->cursor.len}, out, error);
}

/* An object without records is handed over too: it was read. */
static pst_status read_object(s3 *s, const pst_call *call, uint32_t max_rows, pst_batch *out,
                              pst_error *error)
{
    pst_status st = reading_go(&s->reading, call, max_rows, error);
    if (!st)
        waited(s, call);
    if (st == PST_E_CANCELLED)
        return st;
    if (!st || pst_builder_bytes(s->reading.cut.builder))
        return hand_over(s, out,
                         error); /* what there is goes first; after a failure the next read fails anew */
    if (s->bucket.trouble == BUCKET_WAITS)
        return wait(s, call, error, out);
    if (!is_of_the_object(s, call, error))
        return st;
    return s->object && pst_builder_bytes(s->reading.cut.builder) ? hand_over(s, out, error) : PST_OK;
}

/* ---- The source ---- */

static uint32_t wait_ms(const s3 *s)
{
    int64_t due_us = s->listed || s->queue.going ? 0 : s->due_us - s->host->wall_us(s->host),
            until_us = s->waits_until_us - s->host->now_us(s->host);
    int64_t us = due_us > until_us ? due_us : until_us;
    return us <= 0 ? 0 : us / 1000 + 1 < IDLE_MOST_MS ? (uint32_t)(us / 1000 + 1) : IDLE_MOST_MS;
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    s3 *s = self;
    pst_status st = PST_OK;
    uint32_t ms = wait_ms(s);
    if (ms) {
        out->next_in_ms = ms;
        return PST_IDLE;
    }
    while (!st && !out->array.release) {
        if (s->host->cancelled(s->host, call))
            st = pst_fail(error, PST_E_CANCELLED, NULL, "reading was cancelled");
        else if (!s->listed)
            st = list(s, call, out, error);
        else if (!s->object)
            st = next_object(s, call, out);
        else
            st = read_object(s, call, max_rows, out, error);
    }
    return st;
}

static pst_status on_skip(void *self, const pst_call *call, uint32_t max, pst_batch *out, pst_error *error)
{
    s3 *s = self;
    s->reading.cut.aside = true;
    pst_status st = on_read(self, call, max, out, error);
    s->reading.cut.aside = false;
    return st;
}

static void on_close(void *self)
{
    s3 *s = self;
    bucket_rest(&s->bucket);
    reading_end(&s->reading);
    cutter_clear(&s->reading.cut);
    queue_clear(&s->queue);
    s->object = NULL;
    s->listed = false;
    s->problem[0] = '\0';
}

/* Of the settings that say which objects there are: with others, what was read says nothing. Scheme and port
 * do not matter. */
static uint64_t print_of_settings(const s3 *s)
{
    const char *host = s->bucket.authority;
    char which[PULL_ORIGIN_MAX + sizeof s->bucket.base + 2 * LISTING_KEY_MAX];
    snprintf(which, sizeof which, "%.*s%s\n%s",
             (int)(host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":")), host, s->bucket.base,
             s->queue.prefix);
    return position_print(which, s->queue.suffix);
}

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume, pst_error *error)
{
    s3 *s = self;
    uint64_t print = print_of_settings(s);
    (void)call;
    on_close(s);
    s->due_us = 0;
    position_clear(&s->at, print);
    if (!resume.len)
        return PST_OK;
    if (!position_read(&s->at, resume))
        return pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
    if (s->at.print != print) {
        s->host->log(s->host, PST_LOG_WARN,
                     "bucket, prefix or suffix are others now: all is read from the start", NULL, 0);
        position_clear(&s->at, print);
    }
    return PST_OK;
}

/* Listing and reading are both tried. */
static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    s3 *s = self;
    bool whole = false;
    bucket_piece piece;
    bool newest = s->queue.newest;
    s->queue.newest = true;
    pst_status st = queue_list(&s->queue, call, &whole, error);
    if (!st && whole && s->queue.n)
        st = bucket_read(&s->bucket, call, s->queue.items[0]->key, "", 0, 1, &piece, error);
    queue_clear(&s->queue);
    s->queue.newest = newest;
    return st;
}

static pst_status on_discover(void *self, const pst_call *call, pst_blob *json_out, pst_error *error)
{
    s3 *s = self;
    return discover_write(&s->bucket, &s->queue, &s->reading, s->streams, call, json_out, error);
}

static const void *on_get_interface(const char *id)
{
    static const pst_source source = {sizeof source, PST_SOURCE_REPLAYS, on_open, on_read,
                                      NULL,          on_close,           on_skip};
    static const pst_check check = {sizeof check, 0, on_check};
    static const pst_discover discover = {sizeof discover, 0, on_discover};
    if (!strcmp(id, PST_IF_SOURCE))
        return &source;
    if (!strcmp(id, PST_IF_CHECK))
        return &check;
    return !strcmp(id, PST_IF_DISCOVER) ? &discover : NULL;
}

PST_PLUGIN(.id = "org.penstock.connector.s3", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "Objects in S3", .licence = "Apache-2.0", .get_interface = on_get_interface,
           .create = on_create, .destroy = on_destroy);
