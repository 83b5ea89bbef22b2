/* Columns are guessed in two passes: each value narrows what its column can be, then names decide the roles
 * (event time, entity) and units. */
#include "schema/infer.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/name.h"
#include "base/utc.h"
#include "schema/format.h"

enum { /* what all values of a column have been so far */
       CAN_BOOLEAN = 1U << 0,
       CAN_INTEGER = 1U << 1,
       CAN_NUMBER = 1U << 2,
       CAN_TIMESTAMP = 1U << 3,
       CAN_DATE = 1U << 4,
       CAN_UUID = 1U << 5,
       CAN_TEXT = 1U << 6,
       CAN_OBJECT = 1U << 7,
       CAN_ARRAY = 1U << 8,
       CAN_ALL = 0x1ff,
};

#define CHOICES_MAX 6       /* distinct texts that still look like an enum */
#define CHOICES_ROWS_MIN 20 /* rows before one is guessed */
#define TEXT_KEPT_MAX 64

typedef struct guess {
    char *name;
    unsigned can;
    uint32_t seen, nulls;
    char *choices[CHOICES_MAX];
    uint32_t n_choices;
    bool many; /* more texts than an enum has */
} guess;

typedef struct inference {
    arena *arena;
    guess *columns;
    size_t n;
    uint32_t rows;
} inference;

static guess *column_named(inference *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->columns[i].name, name) == 0)
            return &f->columns[i];
    if (f->n == INFER_COLUMNS_MAX)
        return NULL;
    guess *g = &f->columns[f->n++];
    *g = (guess){.name = arena_string(f->arena, name), .can = CAN_ALL};
    return g;
}

static void choice_note(inference *f, guess *g, const char *s, size_t len)
{
    if (g->many)
        return;
    for (uint32_t i = 0; i < g->n_choices; i++)
        if (strlen(g->choices[i]) == len && memcmp(g->choices[i], s, len) == 0)
            return;
    if (g->n_choices == CHOICES_MAX || len > TEXT_KEPT_MAX || memchr(s, '\0', len)) {
        g->many = true;
        return;
    }
    g->choices[g->n_choices++] = arena_string_n(f->arena, s, len);
}

static unsigned text_kinds(const char *s, size_t len)
{
    unsigned can = CAN_TEXT;
    int64_t us;
    if (utc_parse(s, len, &us))
        can |= CAN_TIMESTAMP;
    if (format_check(FORMAT_DATE, s, len))
        can |= CAN_DATE;
    if (format_check(FORMAT_UUID, s, len))
        can |= CAN_UUID;
    return can;
}

static unsigned json_kinds(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return CAN_OBJECT;
    case JSON_ARRAY:
        return CAN_ARRAY;
    case JSON_STRING:
        return text_kinds(json_string_value(v), json_string_length(v));
    case JSON_INTEGER:
        return CAN_INTEGER | CAN_NUMBER;
    case JSON_REAL:
        return CAN_NUMBER;
    default:
        return CAN_BOOLEAN;
    }
}

static void note_value(inference *f, const char *name, const json_t *v)
{
    guess *g = column_named(f, name);
    if (!g)
        return;
    g->seen++;
    if (json_is_null(v)) {
        g->nulls++;
        return;
    }
    g->can &= json_kinds(v);
    if (json_is_string(v))
        choice_note(f, g, json_string_value(v), json_string_length(v));
}

static bool is_one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (strcasecmp(s, *words) == 0)
            return true;
    return false;
}

/* A CSV cell says less than a JSON value: "12" may be any of three kinds. */
static unsigned cell_kinds(const char *s)
{
    static const char *const truths[] = {"true", "false", NULL};
    static const char *const special[] = {"nan", "inf", "-inf", "+inf", "infinity", "-infinity", NULL};
    char *end;
    unsigned can = text_kinds(s, strlen(s));
    if (is_one_of(s, truths))
        can |= CAN_BOOLEAN;
    size_t digits = strspn(s + (*s == '-'), "0123456789");
    bool number = is_one_of(s, special);
    if (isdigit((unsigned char)s[*s == '-']) || s[*s == '-'] == '.') {
        strtod(s, &end);
        number = *end == '\0' && !strpbrk(s, "xX");
    }
    if (number)
        can |= CAN_NUMBER;
    bool padded = s[*s == '-'] == '0' && digits > 1; /* "007" is a name */
    if (number && digits && !s[digits + (*s == '-')] && digits <= 18)
        can |= CAN_INTEGER;
    return padded && digits == strlen(s) ? CAN_TEXT : can;
}

static void note_cell(inference *f, guess *g, const char *s)
{
    g->seen++;
    if (!s || !*s) {
        g->nulls++;
        return;
    }
    g->can &= cell_kinds(s);
    choice_note(f, g, s, strlen(s));
}

/* ---- what a name says ---- */

static const struct unit_suffix {
    const char *suffix, *unit;
} unit_suffixes[] = {
    {"bar", "bar"},   {"mbar", "mbar"}, {"pa", "Pa"},      {"kpa", "kPa"},   {"mpa", "MPa"},  {"psi", "psi"},
    {"c", "°C"},      {"degc", "°C"},   {"celsius", "°C"}, {"f", "°F"},      {"degf", "°F"},  {"k", "K"},
    {"kelvin", "K"},  {"a", "A"},       {"amps", "A"},     {"ma", "mA"},     {"v", "V"},      {"volts", "V"},
    {"mv", "mV"},     {"kv", "kV"},     {"w", "W"},        {"watts", "W"},   {"kw", "kW"},    {"mw", "MW"},
    {"wh", "Wh"},     {"kwh", "kWh"},   {"mwh", "MWh"},    {"va", "VA"},     {"kva", "kVA"},  {"var", "var"},
    {"kvar", "kvar"}, {"hz", "Hz"},     {"khz", "kHz"},    {"rpm", "1/min"}, {"ms", "ms"},    {"us", "us"},
    {"s", "s"},       {"sec", "s"},     {"seconds", "s"},  {"min", "min"},   {"h", "h"},      {"hours", "h"},
    {"m", "m"},       {"mm", "mm"},     {"cm", "cm"},      {"km", "km"},     {"m2", "m²"},    {"m3", "m³"},
    {"l", "l"},       {"ml", "ml"},     {"lpm", "l/min"},  {"lps", "l/s"},   {"m3h", "m³/h"}, {"kg", "kg"},
    {"g", "g"},       {"t", "t"},       {"n", "N"},        {"kn", "kN"},     {"nm", "Nm"},    {"pct", "%"},
    {"percent", "%"}, {"ppm", "ppm"},   {"ppb", "ppb"},    {"db", "dB"},     {"lux", "lx"},   {"lx", "lx"},
    {"deg", "°"},     {"mps", "m/s"},   {"kmh", "km/h"},   {"wm2", "W/m²"},  {"bytes", "B"},  {"j", "J"},
    {"kj", "kJ"},     {"mj", "MJ"},     {"ohm", "Ω"},      {"ph", "pH"},     {"ntu", "NTU"},
};

static const char *unit_of(const char *name)
{
    const char *suffix = strrchr(name, '_');
    if (!suffix)
        return NULL;
    for (size_t i = 0; i < sizeof unit_suffixes / sizeof *unit_suffixes; i++)
        if (strcasecmp(unit_suffixes[i].suffix, suffix + 1) == 0)
            return unit_suffixes[i].unit;
    return NULL;
}

/* Less is better; -1 = not one. */
static int rank_in(const char *name, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (strcasecmp(words[i], name) == 0)
            return i;
    return -1;
}

static bool is_time(const guess *g)
{
    return g->seen > g->nulls && g->can & CAN_TIMESTAMP;
}

static const guess *find_time(const inference *f)
{
    static const char *const names[] = {"time",       "timestamp",   "ts",          "datetime",   "date_time",
                                        "event_time", "measured_at", "observed_at", "created_at", NULL};
    const guess *best = NULL;
    int best_rank = 1000;
    for (size_t i = 0; i < f->n; i++) {
        const guess *g = &f->columns[i];
        int rank = rank_in(g->name, names);
        if (!is_time(g) || g->nulls || g->seen < f->rows)
            continue;
        rank = rank < 0 ? 100 + (int)i : rank;
        if (rank < best_rank) {
            best = g;
            best_rank = rank;
        }
    }
    return best;
}

static bool ends_in_id(const char *name)
{
    size_t len = strlen(name);
    return strcasecmp(name, "id") == 0 || (len > 3 && strcasecmp(name + len - 3, "_id") == 0);
}

static const guess *find_entity(const inference *f)
{
    static const char *const names[] = {"device_id", "device",     "sensor_id", "sensor",     "asset_id",
                                        "asset",     "machine_id", "machine",   "station_id", "station",
                                        "pump_id",   "pump",       "meter_id",  "meter",      "site_id",
                                        "site",      "unit_id",    "tag",       NULL};
    const guess *best = NULL;
    int best_rank = 1000;
    for (size_t i = 0; i < f->n; i++) {
        const guess *g = &f->columns[i];
        int rank = rank_in(g->name, names);
        bool whole = !g->nulls && g->seen == f->rows && (g->can & (CAN_TEXT | CAN_INTEGER));
        if (rank < 0 && ends_in_id(g->name))
            rank = 100 + (int)i;
        if (!whole || rank < 0 || is_time(g) || rank >= best_rank)
            continue;
        best = g;
        best_rank = rank;
    }
    return best;
}

/* ---- writing ---- */

static bool is_plain_scalar(const char *s)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on",
                                        "off",  "y",     "n",    "nan", NULL};
    if (!isalpha((unsigned char)*s) || is_one_of(s, words))
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '_' && *s != '-')
            return false;
    return true;
}

/* A JSON string is a YAML string. */
static void add_scalar(text *out, const char *s)
{
    if (is_plain_scalar(s))
        text_add(out, s);
    else
        text_add_json_string(out, s, strlen(s));
}

static void add_type(text *out, const guess *g, const char *type, const char *more)
{
    if (g->nulls)
        text_printf(out, "{type: [%s, 'null']%s", type, more);
    else
        text_printf(out, "{type: %s%s", type, more);
}

static void add_choices(text *out, const guess *g, uint32_t rows, bool entity)
{
    if (entity || g->many || rows < CHOICES_ROWS_MIN || g->n_choices < 2)
        return;
    text_add(out, ", enum: [");
    for (uint32_t i = 0; i < g->n_choices; i++) {
        text_add(out, i ? ", " : "");
        add_scalar(out, g->choices[i]);
    }
    text_add(out, g->nulls ? ", null]" : "]");
}

static void add_column(text *out, const guess *g, uint32_t rows, bool entity)
{
    bool numeric = false;
    text_add(out, "        ");
    add_scalar(out, g->name);
    text_add(out, ": ");
    if (g->seen == g->nulls || !g->can) {
        text_add(out, "{}\n"); /* nothing seen, or of several types */
        return;
    }
    if (g->can & CAN_TIMESTAMP)
        add_type(out, g, "string", ", format: date-time");
    else if (g->can & CAN_DATE)
        add_type(out, g, "string", ", format: date");
    else if (g->can & CAN_UUID)
        add_type(out, g, "string", ", format: uuid");
    else if (g->can & CAN_BOOLEAN)
        add_type(out, g, "boolean", "");
    else if ((numeric = g->can & (CAN_INTEGER | CAN_NUMBER)))
        add_type(out, g, g->can & CAN_INTEGER ? "integer" : "number", "");
    else if (g->can & CAN_TEXT) {
        add_type(out, g, "string", "");
        add_choices(out, g, rows, entity);
    } else
        add_type(out, g, g->can & CAN_OBJECT ? "object" : "array", "");
    const char *unit = numeric ? unit_of(g->name) : NULL;
    if (unit) {
        text_add(out, ", unit: ");
        add_scalar(out, unit);
    }
    text_add(out, "}\n");
}

static void add_required(text *out, const inference *f)
{
    bool any = false;
    for (size_t i = 0; i < f->n; i++) {
        const guess *g = &f->columns[i];
        if (g != find_time(f) && g != find_entity(f))
            continue;
        text_add(out, any ? ", " : "      required: [");
        add_scalar(out, g->name);
        any = true;
    }
    text_add(out, any ? "]\n" : "");
}

static void add_roles(text *out, const guess *time, const guess *entity)
{
    if (time) {
        text_add(out, "    time: ");
        add_scalar(out, time->name);
        text_add(out, "\n");
    } else {
        text_add(out, "    # time: no column holds a point in time in every row; name the event time here\n");
    }
    if (entity) {
        text_add(out, "    entity: [");
        add_scalar(out, entity->name);
        text_add(out, "]\n");
    } else {
        text_add(out, "    # entity: name the column that says which device a row is about\n");
    }
}

static status_class write_yaml(const inference *f, const char *key, text *out, status *st)
{
    const guess *time = find_time(f), *entity = find_entity(f);
    if (!name_is_key(key))
        return status_set(st, STATUS_INVALID,
                          "infer: %.60s is no key for a store: [a-z](_?[a-z0-9])*, at most %d long", key,
                          NAME_KEY_MAX);
    if (f->rows == 0 || f->n == 0)
        return status_set(st, STATUS_INVALID, "infer: there are no rows to learn from");
    text_printf(out, "# Guessed from %u rows; read it before you use it.\ndatastores:\n  %s:\n    schema:\n",
                f->rows, key);
    text_add(out, "      type: object\n");
    add_required(out, f);
    text_add(out, "      properties:\n");
    for (size_t i = 0; i < f->n; i++)
        add_column(out, &f->columns[i], f->rows, &f->columns[i] == entity);
    add_roles(out, time, entity);
    return STATUS_OK;
}

static inference inference_start(void)
{
    inference f = {.arena = arena_create(0)};
    f.columns = arena_zero(f.arena, INFER_COLUMNS_MAX, sizeof(guess));
    return f;
}

status_class schema_infer_rows(const char *key, const json_t *rows, text *yaml_out, status *st)
{
    inference f = inference_start();
    status_class class = STATUS_OK;
    if (!json_is_array(rows))
        class = status_set(st, STATUS_INVALID, "infer: a list of rows is needed");
    for (size_t i = 0; i < json_array_size(rows) && i < INFER_ROWS_MAX && class == STATUS_OK; i++) {
        json_t *row = json_array_get(rows, i);
        const char *name;
        json_t *value;
        if (!json_is_object(row))
            class = status_set(st, STATUS_INVALID, "infer: row %zu is not an object", i + 1);
        json_object_foreach(row, name, value)
        {
            note_value(&f, name, value);
        }
        f.rows++;
    }
    if (class == STATUS_OK)
        class = write_yaml(&f, key, yaml_out, st);
    arena_free(f.arena);
    return class;
}

status_class schema_infer_cells(const char *key, const char *const *header, size_t n_columns,
                                const char *const *cells, size_t n_rows, text *yaml_out, status *st)
{
    inference f = inference_start();
    status_class class = STATUS_OK;
    if (n_columns > INFER_COLUMNS_MAX)
        class = status_set(st, STATUS_LIMIT, "infer: %zu columns, at most %u", n_columns, INFER_COLUMNS_MAX);
    for (size_t i = 0; i < n_columns && class == STATUS_OK; i++) {
        if (header[i] && *header[i] && f.n == i)
            column_named(&f, header[i]);
        if (f.n != i + 1)
            class = status_set(st, STATUS_INVALID, "infer: column %zu of the header is empty or there twice",
                               i + 1);
    }
    for (size_t row = 0; row < n_rows && row < INFER_ROWS_MAX && class == STATUS_OK; row++, f.rows++)
        for (size_t i = 0; i < n_columns; i++)
            note_cell(&f, &f.columns[i], cells[row * n_columns + i]);
    if (class == STATUS_OK)
        class = write_yaml(&f, key, yaml_out, st);
    arena_free(f.arena);
    return class;
}
