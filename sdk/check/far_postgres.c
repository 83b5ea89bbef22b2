/* A PostgreSQL with one table of two columns, id and name, and rows 1 to 40: it understands what a reader by
 * a server-side cursor sends (docs "Message Formats" of the protocol, version 3), not SQL. A parameter is
 * where the next cursor begins. Its refusal is "password authentication failed". */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check/far_talk.h"

enum { ROWS = 40, BODY_MAX = 65536, ANSWER_MAX = 65536, BIGINT = 20, TEXT = 25, PROTOCOL_3 = 196608 };

typedef struct answer {
    uint8_t data[ANSWER_MAX];
    size_t len, begin; /* begin: of the message that is open */
} answer;

static void put(answer *a, const void *data, size_t len)
{
    if (a->len + len > sizeof a->data)
        return;
    memcpy(a->data + a->len, data, len);
    a->len += len;
}

static void put_number(answer *a, uint32_t n, size_t bytes)
{
    uint8_t out[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    put(a, out + 4 - bytes, bytes);
}

static void put_text(answer *a, const char *text)
{
    put(a, text, strlen(text) + 1);
}

static void begin(answer *a, char type)
{
    put(a, &type, 1);
    a->begin = a->len;
    put_number(a, 0, 4);
}

static void end(answer *a)
{
    uint32_t len = (uint32_t)(a->len - a->begin);
    for (int i = 0; i < 4; i++)
        a->data[a->begin + (size_t)i] = (uint8_t)(len >> (24 - 8 * i));
}

static void say_one(answer *a, char type, const char *text)
{
    begin(a, type);
    if (text)
        put_text(a, text);
    end(a);
}

static void say_ready(answer *a)
{
    begin(a, 'Z');
    put(a, "I", 1);
    end(a);
}

static void say_column(answer *a, const char *name, uint32_t type, uint32_t size)
{
    put_text(a, name);
    put_number(a, 0, 4);
    put_number(a, 0, 2);
    put_number(a, type, 4);
    put_number(a, size, 2);
    put_number(a, UINT32_MAX, 4);
    put_number(a, 0, 2);
}

static void say_columns(answer *a)
{
    begin(a, 'T');
    put_number(a, 2, 2);
    say_column(a, "id", BIGINT, 8);
    say_column(a, "name", TEXT, 0xffff);
    end(a);
}

static void say_row(answer *a, unsigned id)
{
    char number[16], name[16];
    int n = snprintf(number, sizeof number, "%u", id), m = snprintf(name, sizeof name, "row %u", id);
    begin(a, 'D');
    put_number(a, 2, 2);
    put_number(a, (uint32_t)n, 4);
    put(a, number, (size_t)n);
    put_number(a, (uint32_t)m, 4);
    put(a, name, (size_t)m);
    end(a);
}

/* The type of the next message, 0 at the end; its body, NUL-terminated, in `body`. */
static int take(far_peer *p, bool typed, uint8_t body[BODY_MAX + 1], size_t *len)
{
    uint8_t head[4];
    int type = typed ? fgetc(p->in) : 1;
    if (type <= 0 || fread(head, 1, 4, p->in) != 4)
        return 0;
    *len = ((size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3]) - 4;
    if (*len > BODY_MAX || fread(body, 1, *len, p->in) != *len)
        return 0;
    body[*len] = '\0';
    return type;
}

/* The first parameter of a Bind; 1 if it has none. */
static unsigned parameter(const uint8_t *body, size_t len)
{
    size_t at = strlen((const char *)body) + 1;
    at += strlen((const char *)body + at) + 1;
    if (at + 4 > len)
        return 1;
    at += 2 + 2 * ((size_t)body[at] << 8 | body[at + 1]); /* formats */
    if (at + 6 > len || !(body[at] << 8 | body[at + 1]))
        return 1;
    return (unsigned)strtoul((const char *)body + at + 6, NULL, 10);
}

static void answer_query(answer *a, const char *sql, unsigned *next)
{
    unsigned most = !strncmp(sql, "FETCH FORWARD ", 14) ? (unsigned)strtoul(sql + 14, NULL, 10) : 0;
    if (most)
        say_columns(a);
    for (; most && *next <= ROWS; most--)
        say_row(a, (*next)++);
    say_one(a, 'C', "DONE");
    say_ready(a);
}

static bool greet(far_peer *p, uint8_t *body, answer *a)
{
    size_t len;
    while (take(p, false, body, &len) && len >= 4) {
        uint32_t code = (uint32_t)body[0] << 24 | (uint32_t)body[1] << 16 | (uint32_t)body[2] << 8 | body[3];
        if (code != PROTOCOL_3) {
            far_say(p, "N", 1); /* no TLS */
            continue;
        }
        if (p->refuses) {
            static const char refusal[] = "SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0";
            begin(a, 'E');
            put(a, refusal, sizeof refusal);
        } else {
            begin(a, 'R');
            put_number(a, 0, 4);
            end(a);
            begin(a, 'S');
            put(a, "server_version\00015.0", 20);
            end(a);
            say_ready(a);
        }
        if (p->refuses)
            end(a);
        far_say(p, a->data, a->len);
        return !p->refuses;
    }
    return false;
}

void far_talk_postgres(far_peer *p)
{
    static uint8_t body[BODY_MAX + 1];
    static answer a;
    unsigned next = 1;
    size_t len;
    int type;
    a.len = 0;
    if (!greet(p, body, &a))
        return;
    while ((type = take(p, true, body, &len))) {
        a.len = 0;
        fprintf(p->told, "%c %s\n", type, type == 'Q' ? (const char *)body : "");
        fflush(p->told);
        if (type == 'Q')
            answer_query(&a, (const char *)body, &next);
        else if (type == 'P')
            say_one(&a, '1', NULL);
        else if (type == 'B')
            next = parameter(body, len), say_one(&a, '2', NULL);
        else if (type == 'D' && *body == 'S')
            begin(&a, 't'), put_number(&a, 0, 2), end(&a), say_columns(&a);
        else if (type == 'D')
            say_one(&a, 'n', NULL);
        else if (type == 'E')
            say_one(&a, 'C', "DECLARE CURSOR");
        else if (type == 'S')
            say_ready(&a);
        else if (type == 'X')
            return;
        far_say(p, a.data, a.len);
    }
}
