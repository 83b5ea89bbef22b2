/*   v1 north
 *   north 1700000000000000 0 0 3 3 cursor%20of%20page 0 - -
 * A text that is empty is a minus. */
#include "position.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "v1 "
enum { FIELD_MAX = 3 * POSITION_NEXT_MAX };

void position_begin(const char *last, wording *out)
{
    wording_clear(out);
    wording_add_text(out, WORDING_PLAIN, HEAD);
    wording_add_text(out, WORDING_PLAIN, last);
    wording_add_text(out, WORDING_PLAIN, "\n");
}

bool position_was_last(const char *cursor, const char *site)
{
    size_t len = strlen(site);
    return !strncmp(cursor, HEAD, strlen(HEAD)) && !strncmp(cursor + strlen(HEAD), site, len) &&
           cursor[strlen(HEAD) + len] == '\n';
}

void position_write(const position *p, const char *site, wording *out)
{
    char numbers[160], print[32];
    snprintf(numbers, sizeof numbers, "%s %" PRId64 " %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu32, site,
             p->due_us, p->from_us, p->to_us, p->number, p->pages);
    snprintf(print, sizeof print, " %" PRIu64, p->print);
    wording_add_text(out, WORDING_PLAIN, numbers);
    wording_add_word(out, p->next);
    wording_add_text(out, WORDING_PLAIN, print);
    wording_add_word(out, p->etag);
    wording_add_word(out, p->modified);
    wording_add_text(out, WORDING_PLAIN, "\n");
}

static bool read_line(const char *line, position *out)
{
    static char next[FIELD_MAX], etag[3 * PULL_ETAG_MAX], modified[192];
    position p = {0};
    if (sscanf(line,
               "%*s %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNu64 " %" SCNu32 " %6143s %" SCNu64
               " %599s %191s",
               &p.due_us, &p.from_us, &p.to_us, &p.number, &p.pages, next, &p.print, etag, modified) != 9 ||
        !wording_read_word(next, p.next, sizeof p.next) || !wording_read_word(etag, p.etag, sizeof p.etag) ||
        !wording_read_word(modified, p.modified, sizeof p.modified))
        return false;
    *out = p;
    return true;
}

bool position_read(const char *cursor, const char *site, position *out)
{
    size_t len = strlen(site);
    *out = (position){0};
    if (!*cursor)
        return true;
    if (strncmp(cursor, HEAD, strlen(HEAD)) != 0)
        return false;
    for (const char *end = strchr(cursor, '\n'); end; end = strchr(end + 1, '\n'))
        if (!strncmp(end + 1, site, len) && end[1 + len] == ' ')
            return read_line(end + 1, out);
    return true;
}
