/* `penstock ingest STORE [FILE|-]`: rows into a datastore, in pieces that the server takes; every rejected
 * row is shown with its place and reason. Interrupted or refused half-way, it says how many rows were taken.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "chunk.h"
#include "complaint.h"
#include "context.h"
#include "exit_code.h"
#include "ingest_dry.h"
#include "progress.h"
#include "resource.h"
#include "tables.h"

#define ERRORS_SHOWN 20

typedef struct ingest {
    invocation *inv;
    FILE *from;
    const char *type;
    text path;
    int64_t total_bytes; /* 0 = not known */
    uint64_t received, rejected, shown;
    progress progress;
} ingest;

typedef struct format {
    const char *word, *type, *ending;
    chunk_format chunk;
} format;

static const format formats[] = {
    {"ndjson", "application/x-ndjson", ".ndjson", CHUNK_NDJSON},
    {"ndjson", "application/x-ndjson", ".jsonl", CHUNK_NDJSON},
    {"json", "application/json", ".json", CHUNK_JSON},
    {"csv", "text/csv", ".csv", CHUNK_CSV},
    {"lp", "text/plain", ".lp", CHUNK_LINES},
};
#define FORMATS (sizeof formats / sizeof *formats)

/* By --format, else by the file's ending. */
static const format *format_find(const char *given, const char *file)
{
    for (size_t i = 0; i < FORMATS; i++) {
        size_t ending = strlen(formats[i].ending), len = file ? strlen(file) : 0;
        if (given ? strcmp(given, formats[i].word) == 0
                  : len > ending && strcmp(file + len - ending, formats[i].ending) == 0)
            return &formats[i];
    }
    return NULL;
}

static const format *format_of(const invocation *inv, const char *file, status *st)
{
    const char *given = flag_text(inv, "format", NULL);
    const format *f = format_find(given, file);
    if (f)
        return f;
    if (given)
        status_set(st, STATUS_INVALID, "--format knows json, ndjson, csv and lp, not `%s`", given);
    else
        status_set(st, STATUS_INVALID, "which format do the rows have?");
    status_hint(st, "--format json, ndjson, csv or lp");
    return NULL;
}

static void reject_print(const ingest *g, const json_t *error)
{
    const char *pointer = json_string_value(json_object_get(error, "pointer"));
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *detail = json_string_value(json_object_get(error, "detail"));
    long long row = json_integer_value(json_object_get(error, "row")) + (long long)g->received;
    fprintf(stderr, "row %lld%s%s: %s%s%s\n", row, pointer && *pointer ? " " : "", pointer ? pointer : "",
            code ? code : "rejected", detail && *detail ? ": " : "", detail ? detail : "");
}

static void rejects_print(ingest *g, const json_t *errors)
{
    size_t i;
    json_t *error;
    json_array_foreach((json_t *)errors, i, error)
    {
        if (g->shown == ERRORS_SHOWN)
            return;
        progress_end(&g->progress);
        reject_print(g, error);
        g->shown++;
    }
}

static status_class piece_send(ingest *g, const text *piece, status *st)
{
    answer a;
    request r = {.method = "POST", .body = piece->data, .len = piece->len, .type = g->type, .once = true};
    status_class class = resource_call(g->inv, &r, g->path.data, &a, st);
    if (class == STATUS_OK) {
        rejects_print(g, json_object_get(a.json, "errors"));
        g->received += (uint64_t)json_integer_value(json_object_get(a.json, "received"));
        g->rejected += (uint64_t)json_integer_value(json_object_get(a.json, "rejected"));
    }
    answer_release(&a);
    return class;
}

static status_class pieces_send(ingest *g, chunk_format format, status *st)
{
    chunk_reader reader;
    text piece = {0};
    bool more = true;
    status_class class = STATUS_OK;
    chunk_reader_start(&reader, g->from, format);
    while (class == STATUS_OK) {
        class = chunk_next(&reader, &piece, &more, st);
        if (class != STATUS_OK || !more)
            break;
        class = piece_send(g, &piece, st);
        int64_t estimate =
            reader.bytes ? (int64_t)((double)g->received * (double)g->total_bytes / (double)reader.bytes) : 0;
        progress_show(&g->progress, (int64_t)g->received, estimate, "sent");
    }
    progress_end(&g->progress);
    chunk_reader_release(&reader);
    text_free(&piece);
    return class;
}

static status_class input_open(ingest *g, const char *file, status *st)
{
    struct stat found;
    if (!file || strcmp(file, "-") == 0) {
        g->from = stdin;
        return STATUS_OK;
    }
    g->from = fopen(file, "re");
    if (!g->from)
        return status_errno(st, errno, file);
    if (fstat(fileno(g->from), &found) == 0 && S_ISREG(found.st_mode))
        g->total_bytes = found.st_size;
    return STATUS_OK;
}

static int summary(const ingest *g)
{
    unsigned long long taken = g->received - g->rejected;
    if (!flag_given(g->inv, "quiet"))
        say("%llu rows taken, %llu rejected", taken, (unsigned long long)g->rejected);
    if (g->rejected > g->shown)
        say("%llu more rejected rows are not shown; penstock deadletter list has them",
            (unsigned long long)(g->rejected - g->shown));
    if (g->rejected == 0)
        return EXIT_DONE;
    return taken ? EXIT_PARTIAL : EXIT_INVALID;
}

static int stopped(const ingest *g, const status *st)
{
    char what[128];
    if (g->received == 0)
        return complain("the rows were not taken", st);
    snprintf(what, sizeof what, "stopped after %llu rows; those are taken and need not be sent again",
             (unsigned long long)g->received);
    complain(what, st);
    return EXIT_PARTIAL;
}

static status_class wait_check(const invocation *inv, status *st)
{
    const char *wait = flag_text(inv, "wait", "journal");
    if (strcmp(wait, "journal") == 0 || strcmp(wait, "stored") == 0)
        return STATUS_OK;
    return status_set(st, STATUS_INVALID, "--wait knows journal and stored, not `%s`", wait);
}

static status_class precision_read(const invocation *inv, line_precision *out, status *st)
{
    const char *word = flag_text(inv, "precision", "ns");
    if (line_precision_parse(word, out))
        return STATUS_OK;
    return status_set(st, STATUS_INVALID, "--precision knows ns, us, ms and s, not `%s`", word);
}

/* The store may be left out: none is asked. */
static int run_dry(invocation *inv)
{
    status st;
    ingest g = {.inv = inv};
    dry_counts counts;
    line_precision precision;
    decode_format format;
    const char *file = argument(inv, 1) ? argument(inv, 1) : argument(inv, 0);
    const struct format *f = format_of(inv, file, &st);
    if (!f || precision_read(inv, &precision, &st) != STATUS_OK)
        return complain_usage(&st);
    if (input_open(&g, file, &st) != STATUS_OK)
        return complain("the rows cannot be read", &st);
    decode_format_parse(f->word, &format);
    status_class class = ingest_dry(g.from, format, precision, stdout, &counts, &st);
    if (g.from != stdin)
        fclose(g.from);
    if (class != STATUS_OK)
        return complain("the rows cannot be read", &st);
    if (counts.rejected == 0)
        return EXIT_DONE;
    return counts.rejected < counts.rows ? EXIT_PARTIAL : EXIT_INVALID;
}

static void target_path(const invocation *inv, const char *store, const char *precision, text *out)
{
    bool waits = strcmp(flag_text(inv, "wait", "journal"), "stored") == 0;
    text_add(out, "/workspaces/{ws}/datastores/");
    path_escape(out, strncmp(store, "datastore:", 10) == 0 ? store + 10 : store);
    text_add(out, waits ? "/rows?wait=stored" : "/rows");
    if (precision)
        text_printf(out, "%cprecision=%s", waits ? '&' : '?', precision);
}

static int run_ingest(invocation *inv)
{
    status st;
    line_precision precision;
    if (flag_given(inv, "dry-run"))
        return run_dry(inv);
    const char *store = argument(inv, 0);
    const format *f = format_of(inv, argument(inv, 1), &st);
    if (!f || wait_check(inv, &st) != STATUS_OK || precision_read(inv, &precision, &st) != STATUS_OK)
        return complain_usage(&st);
    ingest g = {.inv = inv, .type = f->type};
    if (input_open(&g, argument(inv, 1), &st) != STATUS_OK)
        return complain("the rows cannot be read", &st);
    target_path(inv, store, f->chunk == CHUNK_LINES ? flag_text(inv, "precision", "ns") : NULL, &g.path);
    progress_start(&g.progress, inv, "rows");
    status_class class = pieces_send(&g, f->chunk, &st);
    int code = class == STATUS_OK ? summary(&g) : stopped(&g, &st);
    if (g.from != stdin)
        fclose(g.from);
    text_free(&g.path);
    return code;
}

static const flag ingest_flags[] = {
    {"file", 'f', "FILE|-", "the rows, as the argument"},
    {"format", 0, "json|ndjson|csv|lp", "how the rows are written; default by the file's ending"},
    {"precision", 0, "ns|us|ms|s", "unit of the times in line protocol (ns)"},
    {"dry-run", 0, NULL,
     "read the rows without a server, print a JSON object a row: {\"point\"} or {\"error\"}"},
    {"wait", 0, "journal|stored", "answer when the rows are safe in the journal (default), or stored"},
    {0},
};

const command ingest_commands[] = {
    {NULL, "ingest", "STORE [FILE|-]", 1, 2, ingest_flags,
     "sends rows to a datastore; exit 9 if some were rejected, 7 if all were",
     "ingest sensor_data rows.csv -w demo\ningest --dry-run --format lp points.lp\n"
     "ingest sensor_data - --format ndjson < rows.ndjson",
     run_ingest, NULL},
    {0},
};
