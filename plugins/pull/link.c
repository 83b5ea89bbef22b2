/*   <target>; name=value; name="quoted \" value", <target>; …  */
#include "link.h"

#include <string.h>
#include <strings.h>

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t");
}

/* Does the value (a word, or several between quotes) have the word "next"? */
static bool names_next(const char *value, size_t len)
{
    for (size_t from = 0; from < len;) {
        size_t word = strcspn(value + from, " \t\"");
        if (from + word > len)
            word = len - from;
        if (word == 4 && !strncasecmp(value + from, "next", 4))
            return true;
        from += word + 1;
    }
    return false;
}

/* Behind a parameter's value, which begins at `p`; its length without the quotes is *len_out. */
static const char *skip_value(const char *p, const char **value_out, size_t *len_out)
{
    bool quoted = *p == '"';
    const char *from = p += quoted;
    while (*p && (quoted ? *p != '"' : !strchr(";, \t", *p)))
        p += quoted && *p == '\\' && p[1] ? 2 : 1;
    *value_out = from;
    *len_out = (size_t)(p - from);
    return quoted && *p ? p + 1 : p;
}

/* The parameters behind a target; *next_out: one of them says rel=next. The first `rel` counts. */
static const char *skip_parameters(const char *p, bool *next_out)
{
    bool seen = false;
    *next_out = false;
    for (p = skip_blanks(p); *p == ';'; p = skip_blanks(p)) {
        const char *name = skip_blanks(p + 1), *value;
        size_t name_len = strcspn(name, "=;, \t"), len;
        p = skip_blanks(name + name_len);
        if (*p != '=')
            continue;
        p = skip_value(skip_blanks(p + 1), &value, &len);
        if (!seen && name_len == 3 && !strncasecmp(name, "rel", 3)) {
            seen = true;
            *next_out = names_next(value, len);
        }
    }
    return p;
}

bool link_next(const char *value, char *out, size_t cap)
{
    const char *p = value;
    while ((p = strchr(p, '<'))) {
        const char *target = p + 1, *end = strchr(target, '>');
        bool next;
        if (!end)
            return false;
        p = skip_parameters(end + 1, &next);
        if (next && (size_t)(end - target) < cap) {
            memcpy(out, target, (size_t)(end - target));
            out[end - target] = '\0';
            return true;
        }
        if (next)
            return false;
    }
    return false;
}
