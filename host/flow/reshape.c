#include "flow/reshape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utc.h"
#include "flow/reshape_plan.h"

#define ROWS_BYTES_MAX (64U << 20) /* of all payloads of a body together */

struct reshaper {
    json_tape tape;
    json_memo (*memos)[JSON_PATH_STARS_MAX]; /* by entry */
    uint32_t cap_memos;
    char detail[256];
    /* of one payload */
    const reshape_plan *plan;
    const reshape_payload *from;
    text *out;
    size_t line_at;
    char received[UTC_TEXT_SIZE];
    size_t received_len;
};

reshaper *reshaper_create(void)
{
    reshaper *r = memory_zero(1, sizeof *r);
    json_tape_open(&r->tape);
    return r;
}

void reshaper_free(reshaper *r)
{
    if (!r)
        return;
    json_tape_close(&r->tape);
    free(r->memos);
    free(r);
}

/* ---- values ---- */

/* A value as it stands; a row is one line, so line ends between its parts become blanks. */
static void add_span(text *out, const char *from, size_t len)
{
    text_add_n(out, from, len);
    for (char *p = out->data + out->len - len, *end = out->data + out->len; p < end; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' ';
}

static void add_node(reshaper *r, uint32_t node)
{
    const json_node *n = &r->tape.nodes[node];
    if (n->kind >= JSON_KIND_ARRAY)
        add_span(r->out, r->tape.text + n->at, n->length);
    else
        text_add_n(r->out, r->tape.text + n->at, n->length);
}

static bool is_word(const char *s, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(s, word, len) == 0;
}

/* Text for a column of any type; what cannot be read stays text, and costs the row. */
static void add_text_as(text *out, const reshape_entry *e, const char *s, size_t len)
{
    number_text number;
    bool numeric = e->type == COLUMN_INTEGER || e->type == COLUMN_NUMBER ||
                   (e->type == COLUMN_TIMESTAMP && e->unix_time);
    bool verbatim = numeric
                        ? decimal_read(s, s + len, &number) == s + len
                        : e->type == COLUMN_BOOLEAN && (is_word(s, len, "true") || is_word(s, len, "false"));
    if (verbatim)
        text_add_n(out, s, len);
    else if (len == 0 && e->type != COLUMN_TEXT && e->type != COLUMN_JSON)
        text_add(out, "null");
    else
        text_add_json_string(out, s, len);
}

static void add_converted(reshaper *r, const reshape_entry *e, uint32_t node)
{
    const json_node *n = &r->tape.nodes[node];
    if (n->kind == JSON_KIND_TEXT) {
        json_text says = json_tape_says(&r->tape, node);
        add_text_as(r->out, e, says.data, says.len);
    } else if ((n->kind == JSON_KIND_NUMBER || n->kind == JSON_KIND_BOOLEAN) && e->type == COLUMN_TEXT) {
        text_add_json_string(r->out, r->tape.text + n->at, n->length);
    } else {
        add_node(r, node);
    }
}

static void add_name(reshaper *r, const reshape_entry *e, const json_found *found)
{
    char number[16];
    if (found->item) {
        int len = snprintf(number, sizeof number, "%u", found->index);
        add_text_as(r->out, e, number, (size_t)len);
        return;
    }
    json_text says = json_tape_says(&r->tape, json_tape_name(found->node));
    add_text_as(r->out, e, says.data, says.len);
}

/* ---- entries ---- */

static void begin_member(reshaper *r)
{
    text_add_char(r->out, r->out->len == r->line_at ? '{' : ',');
}

static void begin_entry(reshaper *r, const reshape_entry *e)
{
    begin_member(r);
    text_add_n(r->out, e->lead, e->lead_len);
}

static void put_found(reshaper *r, const reshape_entry *e, const json_found *found)
{
    begin_entry(r, e);
    if (e->path.name_only)
        add_name(r, e, found);
    else if (e->convert)
        add_converted(r, e, found->node);
    else
        add_node(r, found->node);
}

static void put_path(reshaper *r, uint32_t i, uint32_t row, const json_place *place)
{
    const reshape_entry *e = &r->plan->entries[i];
    json_found found = json_path_follow(&e->path, &r->tape, row, place, r->memos[i]);
    if (found.node == JSON_TAPE_NONE)
        return;
    put_found(r, e, &found);
    if (found.twice)
        put_found(r, e, &found); /* so that the row is refused for what it is */
}

/* What a connector says: the topic, and behind it facts, each as RESHAPE_FACT name = value. */
static size_t topic_len(const reshape_payload *from)
{
    const char *fact = from->topic ? memchr(from->topic, RESHAPE_FACT, from->topic_len) : NULL;
    return fact ? (size_t)(fact - from->topic) : from->topic_len;
}

/* The n-th segment of the topic, or from its end. */
static bool find_segment(const reshape_payload *from, int32_t n, const char **at, size_t *len)
{
    const char *p = from->topic, *end = p + topic_len(from);
    int32_t count = 1;
    for (const char *q = p; q < end; q++)
        count += *q == '/';
    n = n < 0 ? count + n : n;
    if (n < 0 || n >= count)
        return false;
    for (; n > 0; n--)
        p = (const char *)memchr(p, '/', (size_t)(end - p)) + 1;
    const char *slash = memchr(p, '/', (size_t)(end - p));
    *at = p;
    *len = (size_t)((slash ? slash : end) - p);
    return true;
}

static void put_fact(reshaper *r, const reshape_entry *e)
{
    const char *p = r->from->topic, *end = p + r->from->topic_len;
    while (p && (p = memchr(p, RESHAPE_FACT, (size_t)(end - p))) != NULL) {
        const char *name = p + 1, *stop = memchr(name, RESHAPE_FACT, (size_t)(end - name));
        stop = stop ? stop : end;
        size_t len = (size_t)(stop - name), n = e->constant_len;
        if (len > n && name[n] == '=' && memcmp(name, e->constant, n) == 0) {
            begin_entry(r, e);
            add_text_as(r->out, e, name + n + 1, len - n - 1);
            return;
        }
        p = stop;
    }
}

static void put_topic(reshaper *r, const reshape_entry *e)
{
    const char *s = r->from->topic;
    size_t len = topic_len(r->from);
    if (!s || (e->from == RESHAPE_SEGMENT && !find_segment(r->from, e->segment, &s, &len)))
        return;
    begin_entry(r, e);
    add_text_as(r->out, e, s, len);
}

static void put_entry(reshaper *r, uint32_t i, uint32_t row, const json_place *place)
{
    const reshape_entry *e = &r->plan->entries[i];
    switch (e->from) {
    case RESHAPE_MEMBER:
    case RESHAPE_PATH:
        put_path(r, i, row, place);
        break;
    case RESHAPE_TOPIC:
    case RESHAPE_SEGMENT:
        put_topic(r, e);
        break;
    case RESHAPE_META:
        put_fact(r, e);
        break;
    case RESHAPE_RECEIVED:
        begin_entry(r, e);
        text_add_json_string(r->out, r->received, r->received_len);
        break;
    case RESHAPE_CONSTANT:
        begin_entry(r, e);
        text_add(r->out, e->constant);
        break;
    }
}

/* ---- a row ---- */

static bool is_used(const reshape_plan *p, const json_text *name)
{
    for (uint32_t i = 0; i < p->n_used; i++)
        if (p->used[i].len == name->len && memcmp(p->used[i].data, name->data, name->len) == 0)
            return true;
    return false;
}

/* The row's own members that no entry reads. */
static void put_members(reshaper *r, uint32_t row)
{
    const reshape_plan *p = r->plan;
    uint32_t hint = 0;
    for (uint32_t v = json_tape_first(&r->tape, row); v != JSON_TAPE_NONE;
         v = json_tape_after(&r->tape, row, v)) {
        json_text name = json_tape_says(&r->tape, json_tape_name(v));
        int32_t column = row_plan_find(p->rows, name.data, name.len, &hint);
        if (column >= 0 ? p->taken[column] : p->keep_unmapped)
            continue;
        if (is_used(p, &name))
            continue;
        begin_member(r);
        add_node(r, json_tape_name(v));
        text_add_char(r->out, ':');
        add_node(r, v);
    }
}

static bool put_row(void *arg, uint32_t row, const json_place *place)
{
    reshaper *r = arg;
    const reshape_plan *p = r->plan;
    bool object = r->tape.nodes[row].kind == JSON_KIND_OBJECT;
    r->line_at = r->out->len;
    if (!object && !p->reads_row) {
        add_node(r, row); /* decode says why this is no row */
        text_add_char(r->out, '\n');
        return true;
    }
    for (uint32_t i = 0; i < p->n_entries; i++)
        put_entry(r, i, row, place);
    if (object && !p->whole_row)
        put_members(r, row);
    text_add(r->out, r->out->len == r->line_at ? "{}\n" : "}\n");
    return r->out->len <= ROWS_BYTES_MAX;
}

/* ---- a payload ---- */

static void prepare(reshaper *r, const reshape_plan *p, const reshape_payload *from, text *out)
{
    r->plan = p;
    r->from = from;
    r->out = out;
    r->received_len = utc_format(from->received_us, r->received);
    if (r->cap_memos < p->n_entries) {
        r->cap_memos = p->n_entries;
        r->memos = memory_grow(r->memos, r->cap_memos * sizeof *r->memos);
    }
    if (p->n_entries)
        memset(r->memos, 0, p->n_entries * sizeof *r->memos);
}

static json_walk walk(reshaper *r)
{
    static const json_step star = {.kind = JSON_STEP_STAR};
    static const json_path items = {.from_root = true, .n_steps = 1, .n_stars = 1, .steps = &star},
                           whole = {.from_root = true};
    const json_path *path = r->plan->has_path                          ? &r->plan->path
                            : r->tape.nodes[0].kind == JSON_KIND_ARRAY ? &items
                                                                       : &whole;
    return json_path_walk(path, &r->tape, put_row, r);
}

static bool refuse(text *out, size_t len, reshape_fault *fault, const char *code, const char *detail)
{
    if (out->data) {
        out->len = len;
        out->data[len] = '\0';
    }
    *fault = (reshape_fault){.code = code, .pointer = "", .detail = detail};
    return false;
}

static bool is_blank(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r' && s[i] != '\n')
            return false;
    return true;
}

bool reshape_payload_rows(reshaper *r, const reshape_plan *p, const reshape_payload *from, text *out,
                          reshape_fault *fault)
{
    status st;
    size_t before = out->len;
    if (from->len > RESHAPE_PAYLOAD_MAX || from->topic_len > RESHAPE_TOPIC_MAX)
        return refuse(out, before, fault, "too_long", "the payload, or its topic, is longer than the limit");
    if (from->topic && !utf8_valid(from->topic, from->topic_len))
        return refuse(out, before, fault, "topic", "what the connector says of the payload is not UTF-8");
    if (is_blank(from->data, from->len))
        return true;
    if (json_tape_read(&r->tape, from->data, from->len, &st) != STATUS_OK) {
        snprintf(r->detail, sizeof r->detail, "%.200s (%.40s)", st.text, st.where);
        return refuse(out, before, fault, st.class == STATUS_LIMIT ? "too_long" : "json", r->detail);
    }
    prepare(r, p, from, out);
    switch (walk(r)) {
    case JSON_WALK_NOTHING:
        return refuse(out, before, fault, "path", "its `path` leads nowhere in this payload");
    case JSON_WALK_TWICE:
        return refuse(out, before, fault, "duplicate_key", "a name on the `path` stands twice in one object");
    case JSON_WALK_ENDED:
        return refuse(out, before, fault, "too_long", "its rows are longer than the limit");
    default:
        return true;
    }
}
