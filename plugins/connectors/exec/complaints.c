#include "complaints.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SECOND_US = 1000000, SECRET_LEAST = 4, SECRET_MAX = 4096, PATH_LEN = 128 };

void complaints_begin(complaints *c, const pst_host *host, int fd)
{
    complaints_close(c);
    *c = (complaints){.host = host, .fd = fd};
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

void complaints_close(complaints *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->len = 0;
}

/* One that is shorter than SECRET_LEAST would blot out half of all texts, and is none. */
static void blot_out(char *line, const char *secret)
{
    size_t len = strlen(secret);
    if (len < SECRET_LEAST)
        return;
    for (char *at = line; (at = strstr(at, secret)); at++)
        memset(at, '*', len);
}

static void blot_secrets(const complaints *c, const pst_call *call, char *line)
{
    static const char list[] = "/secrets";
    char path[PATH_LEN], secret[SECRET_MAX];
    pst_error ignored = {.struct_size = sizeof ignored};
    for (size_t i = 0; i < c->host->config_count(c->host, list); i++) {
        size_t len = 0;
        snprintf(path, sizeof path, "%s/%s", list, c->host->config_key(c->host, list, i));
        if (c->host->secret(c->host, call, path, secret, sizeof secret, &len, &ignored) == PST_OK)
            blot_out(line, secret);
        explicit_bzero(secret, sizeof secret);
    }
}

static void end_line(complaints *c, const pst_call *call, uint32_t metric)
{
    int64_t now_us = c->host->now_us(c->host);
    if (!c->len)
        return;
    c->line[c->len] = '\0';
    c->len = 0;
    c->host->observe(c->host, metric, 1);
    if (now_us - c->second_us >= SECOND_US) {
        c->second_us = now_us;
        c->told = 0;
    }
    bool tell = c->told++ < COMPLAINTS_LINES;
    if (tell)
        blot_secrets(c, call, c->line);
    c->bare = !tell;
    memcpy(c->last, c->line, sizeof c->last);
    pst_field field = {"line", c->line};
    if (tell)
        c->host->log(c->host, PST_LOG_WARN, "the program says", &field, 1);
}

/* Bytes of a line; what is too long, and what a text cannot hold, is left out. */
static void add(complaints *c, const pst_call *call, uint32_t metric, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n')
            end_line(c, call, metric);
        else if (c->len < COMPLAINTS_LINE_BYTES && (unsigned char)data[i] >= ' ')
            c->line[c->len++] = data[i];
    }
}

void complaints_take(complaints *c, const pst_call *call, uint32_t metric)
{
    char data[16384];
    size_t taken = 0;
    while (c->fd >= 0 && !c->at_end && taken < COMPLAINTS_READ_BYTES) {
        ssize_t n = read(c->fd, data, sizeof data);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        c->at_end = n <= 0;
        add(c, call, metric, data, n > 0 ? (size_t)n : 0);
        taken += n > 0 ? (size_t)n : 0;
    }
    if (c->at_end)
        end_line(c, call, metric);
    if (c->bare)
        blot_secrets(c, call, c->last);
    c->bare = false;
}
