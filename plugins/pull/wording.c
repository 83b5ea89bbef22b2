#include "wording.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 256 };

void wording_clear(wording *w)
{
    if (w->data)
        explicit_bzero(w->data, w->len);
    w->len = 0;
    w->failed = false;
}

void wording_free(wording *w)
{
    wording_clear(w);
    free(w->data);
    *w = (wording){0};
}

/* Not realloc: what is left behind would not be wiped. */
static bool room(wording *w, size_t more)
{
    if (w->failed || w->len + more < w->cap)
        return !w->failed;
    size_t cap = w->cap ? w->cap * 2 : FIRST_BYTES;
    cap = cap <= w->len + more ? w->len + more + 1 : cap;
    char *longer = malloc(cap);
    w->failed = !longer;
    if (!longer)
        return false;
    if (w->data) {
        memcpy(longer, w->data, w->len);
        explicit_bzero(w->data, w->len);
        free(w->data);
    }
    w->data = longer;
    w->cap = cap;
    return true;
}

static void add_bytes(wording *w, const char *bytes, size_t len)
{
    if (!room(w, len))
        return;
    if (len)
        memcpy(w->data + w->len, bytes, len);
    w->len += len;
    w->data[w->len] = '\0';
}

/* RFC 3986, 2.3 */
static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~", c));
}

static void add_byte(wording *w, wording_as as, char c)
{
    char coded[8];
    int n = 0;
    if (as == WORDING_URL && !is_unreserved(c))
        n = snprintf(coded, sizeof coded, "%%%02X", (unsigned char)c);
    else if (as == WORDING_JSON && (unsigned char)c < ' ')
        n = snprintf(coded, sizeof coded, "\\u%04x", (unsigned char)c);
    else if (as == WORDING_JSON && (c == '"' || c == '\\'))
        n = snprintf(coded, sizeof coded, "\\%c", c);
    if (n)
        add_bytes(w, coded, (size_t)n);
    else
        add_bytes(w, &c, 1);
}

void wording_add(wording *w, wording_as as, const char *text, size_t len)
{
    if (as == WORDING_PLAIN)
        add_bytes(w, text, len);
    for (size_t i = 0; as != WORDING_PLAIN && i < len; i++)
        add_byte(w, as, text[i]);
}

void wording_add_text(wording *w, wording_as as, const char *text)
{
    wording_add(w, as, text, strlen(text));
}

void wording_add_query(wording *w, const char *name, const char *value)
{
    wording_add_text(w, WORDING_PLAIN, strchr(wording_text(w), '?') ? "&" : "?");
    wording_add_text(w, WORDING_URL, name);
    wording_add_text(w, WORDING_PLAIN, "=");
    wording_add_text(w, WORDING_URL, value);
}

void wording_add_word(wording *w, const char *text)
{
    bool minus = !strcmp(text, "-"); /* which stands for an empty text */
    wording_add_text(w, WORDING_PLAIN, minus ? " %2D" : *text ? " " : " -");
    if (!minus)
        wording_add_text(w, WORDING_URL, text);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool wording_read_word(const char *word, char *out, size_t cap)
{
    size_t n = 0;
    for (const char *p = strcmp(word, "-") ? word : ""; *p; p++) {
        bool coded = *p == '%';
        if (n + 1 >= cap || (coded && (digit(p[1]) < 0 || digit(p[2]) < 0)))
            return false;
        out[n++] = coded ? (char)(digit(p[1]) * 16 + digit(p[2])) : *p;
        p += coded ? 2 : 0;
    }
    out[n] = '\0';
    return true;
}

const char *wording_text(const wording *w)
{
    return w->data && w->len ? w->data : "";
}
