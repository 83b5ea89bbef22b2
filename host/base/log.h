/* Structured text logs: one line an event, logfmt or JSON, on standard error. Thread-safe, never blocks on
 * anything but the descriptor. Fields whose key names a secret (password, secret, token, key, authorization,
 * cookie, dsn) are written as "***"; values are escaped, so no input can forge a line. */
#ifndef PENSTOCK_BASE_LOG_H
#define PENSTOCK_BASE_LOG_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR } log_level;
typedef enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON } log_format;

typedef struct log_field {
    const char *key;
    const char *text; /* used unless NULL */
    int64_t number;
} log_field;

static inline log_field log_text(const char *key, const char *text)
{
    return (log_field){.key = key, .text = text ? text : ""};
}
#define LOG_TEXT(k, v) log_text((k), (v))
#define LOG_NUMBER(k, v) ((log_field){.key = (k), .number = (int64_t)(v)})

void log_setup(int fd, log_format format, log_level least);
bool log_level_parse(const char *word, log_level *level_out);
void log_write(log_level level, const char *part, const char *message, const log_field *fields,
               unsigned n_fields);
/* The message and its place, class and hint. */
void log_status(log_level level, const char *part, const char *message, const status *st);

/* log_info("journal", "opened", LOG_NUMBER("bytes", n)); `part` is the module's name. */
#define LOG_CALL(level, part, message, ...)                                            \
    log_write((level), (part), (message), (const log_field[]){{0}, ##__VA_ARGS__} + 1, \
              (unsigned)(sizeof((const log_field[]){{0}, ##__VA_ARGS__}) / sizeof(log_field) - 1))
#define log_debug(part, message, ...) LOG_CALL(LOG_LEVEL_DEBUG, part, message, ##__VA_ARGS__)
#define log_info(part, message, ...) LOG_CALL(LOG_LEVEL_INFO, part, message, ##__VA_ARGS__)
#define log_warn(part, message, ...) LOG_CALL(LOG_LEVEL_WARN, part, message, ##__VA_ARGS__)
#define log_error(part, message, ...) LOG_CALL(LOG_LEVEL_ERROR, part, message, ##__VA_ARGS__)
#endif
