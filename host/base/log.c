#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/utc.h"

static atomic_int out_fd = STDERR_FILENO;
static atomic_int out_format = LOG_FORMAT_LOGFMT;
static atomic_int out_least = LOG_LEVEL_INFO;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_setup(int fd, log_format format, log_level least)
{
    out_fd = fd;
    out_format = (int)format;
    out_least = (int)least;
}

bool log_level_parse(const char *word, log_level *level_out)
{
    for (int i = 0; i < 4; i++)
        if (strcmp(word, level_names[i]) == 0) {
            *level_out = (log_level)i;
            return true;
        }
    return false;
}

static bool names_a_secret(const char *key)
{
    static const char *const words[] = {"password", "secret", "token",  "authorization",
                                        "cookie",   "dsn",    "api_key"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(key, words[i]))
            return true;
    return false;
}

static bool is_plain(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' || (unsigned char)*s >= 0x7F)
            return false;
    return true;
}

static void add_pair(text *line, const char *key, const char *value, bool json)
{
    if (json) {
        text_add(line, line->len > 1 ? "," : "");
        text_add_json_string(line, key, strlen(key));
        text_add_char(line, ':');
        text_add_json_string(line, value, strlen(value));
        return;
    }
    text_printf(line, "%s%s=", line->len ? " " : "", key);
    if (is_plain(value))
        text_add(line, value);
    else
        text_add_json_string(line, value, strlen(value));
}

static void add_field(text *line, const log_field *field, bool json)
{
    if (!field->text) {
        if (json)
            text_printf(line, ",\"%s\":%lld", field->key, (long long)field->number);
        else
            text_printf(line, " %s=%lld", field->key, (long long)field->number);
        return;
    }
    add_pair(line, field->key, names_a_secret(field->key) ? "***" : field->text, json);
}

static void emit(const text *line)
{
    size_t done = 0;
    while (done < line->len) {
        ssize_t n = write(out_fd, line->data + done, line->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nowhere left to say it */
        done += (size_t)n;
    }
}

void log_write(log_level level, const char *part, const char *message, const log_field *fields,
               unsigned n_fields)
{
    if ((int)level < out_least)
        return;
    bool json = out_format == LOG_FORMAT_JSON;
    char time[UTC_TEXT_SIZE];
    text line = {0};
    utc_format(clock_wall_us(), time);
    if (json)
        text_add_char(&line, '{');
    add_pair(&line, "time", time, json);
    add_pair(&line, "level", level_names[level], json);
    add_pair(&line, "part", part, json);
    add_pair(&line, "msg", message, json);
    for (unsigned i = 0; i < n_fields; i++)
        add_field(&line, &fields[i], json);
    text_add(&line, json ? "}\n" : "\n");
    emit(&line);
    text_free(&line);
}

void log_status(log_level level, const char *part, const char *message, const status *st)
{
    log_field fields[4] = {LOG_TEXT("class", status_class_name(st->class)), LOG_TEXT("cause", st->text)};
    unsigned n = 2;
    if (st->where[0])
        fields[n++] = LOG_TEXT("where", st->where);
    if (st->hint[0])
        fields[n++] = LOG_TEXT("try", st->hint);
    log_write(level, part, message, fields, n);
}
