#include "schema/format_net.h"

#include <string.h>

#include "schema/idna.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'z';
}

static bool is_hex(char c)
{
    char low = (char)(c | 0x20);
    return is_digit(c) || (low >= 'a' && low <= 'f');
}

static bool is_beyond_ascii(char c)
{
    return (unsigned char)c >= 0x80;
}

/* ---- addresses ---- */

static bool is_octet(const char *s, size_t len)
{
    unsigned value = 0;
    if (len == 0 || len > 3 || (len > 1 && s[0] == '0'))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(s[i]))
            return false;
        value = value * 10 + (unsigned)(s[i] - '0');
    }
    return value <= 255;
}

bool format_is_ipv4(const char *s, size_t len)
{
    int parts = 0;
    for (size_t from = 0, i = 0; i <= len; i++) {
        if (i < len && s[i] != '.')
            continue;
        if (++parts > 4 || !is_octet(s + from, i - from))
            return false;
        from = i + 1;
    }
    return parts == 4;
}

/* Groups of a part without "::": how many 16-bit groups, -1 on nonsense. */
static int ipv6_groups(const char *s, size_t len, bool last)
{
    int groups = 0;
    if (len == 0)
        return 0;
    for (size_t from = 0, i = 0; i <= len; i++) {
        if (i < len && s[i] != ':')
            continue;
        size_t size = i - from;
        if (i == len && last && memchr(s + from, '.', size))
            return format_is_ipv4(s + from, size) ? groups + 2 : -1;
        if (size == 0 || size > 4)
            return -1;
        for (size_t k = from; k < i; k++)
            if (!is_hex(s[k]))
                return -1;
        groups++;
        from = i + 1;
    }
    return groups;
}

bool format_is_ipv6(const char *s, size_t len)
{
    if (len > 45)
        return false;
    for (size_t i = 0; i + 1 < len; i++) {
        if (s[i] != ':' || s[i + 1] != ':')
            continue;
        int before = ipv6_groups(s, i, false), after = ipv6_groups(s + i + 2, len - i - 2, true);
        return before >= 0 && after >= 0 && before + after <= 7;
    }
    return ipv6_groups(s, len, true) == 8;
}

/* ---- host names and mail ---- */

static bool is_label(const char *s, size_t len, bool ascii)
{
    if (len == 0 || len > 63 || s[0] == '-' || s[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_letter(s[i]) && !is_digit(s[i]) && s[i] != '-' && (ascii || !is_beyond_ascii(s[i])))
            return false;
    return true;
}

static bool is_a_label(const char *s, size_t len)
{
    return len >= 4 && (s[0] | 0x20) == 'x' && (s[1] | 0x20) == 'n' && s[2] == '-' && s[3] == '-';
}

static bool is_host(const char *s, size_t len, bool ascii)
{
    if (len == 0 || len > 253)
        return false;
    for (size_t from = 0, i = 0; i <= len; i++) {
        if (i < len && s[i] != '.')
            continue;
        const char *label = s + from;
        size_t size = i - from;
        if (!is_label(label, size, ascii) || (is_a_label(label, size) && !idna_is_a_label(label, size)))
            return false;
        from = i + 1;
    }
    return true;
}

bool format_is_hostname(const char *s, size_t len)
{
    return is_host(s, len, true);
}

static bool is_atom_text(char c, bool ascii)
{
    return is_letter(c) || is_digit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c)) ||
           (!ascii && is_beyond_ascii(c));
}

static bool is_dot_atom(const char *s, size_t len, bool ascii)
{
    for (size_t i = 0; i < len; i++) {
        bool dot = s[i] == '.' && i > 0 && i + 1 < len && s[i - 1] != '.';
        if (!dot && !is_atom_text(s[i], ascii))
            return false;
    }
    return len > 0;
}

static bool is_quoted(const char *s, size_t len, bool ascii)
{
    if (len < 2 || s[0] != '"' || s[len - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < len; i++) {
        bool escaped = s[i] == '\\';
        if (escaped && ++i + 1 >= len)
            return false;
        if ((s[i] == '"' && !escaped) || (unsigned char)s[i] < 0x20 || s[i] == 0x7f ||
            (ascii && is_beyond_ascii(s[i])))
            return false;
    }
    return true;
}

static bool is_mail_domain(const char *s, size_t len, bool ascii)
{
    if (len < 2 || s[0] != '[' || s[len - 1] != ']')
        return is_host(s, len, ascii);
    s++;
    len -= 2;
    bool six = len > 5 && memcmp(s, "IPv6:", 5) == 0;
    return six ? format_is_ipv6(s + 5, len - 5) : format_is_ipv4(s, len);
}

static bool is_mail(const char *s, size_t len, bool ascii)
{
    size_t at = len;
    while (at > 0 && s[at - 1] != '@')
        at--;
    if (at < 2 || at - 1 > 64)
        return false;
    return (is_dot_atom(s, at - 1, ascii) || is_quoted(s, at - 1, ascii)) &&
           is_mail_domain(s + at, len - at, ascii);
}

bool format_is_email(const char *s, size_t len)
{
    return is_mail(s, len, true);
}

bool format_is_idn_email(const char *s, size_t len)
{
    return is_mail(s, len, false);
}

/* ---- URIs (RFC 3986) and IRIs (RFC 3987) */

typedef struct uri_scan {
    const char *p, *end;
    bool ascii;
} uri_scan;

/* One character of pchar, of `more`, or an escape; moves on. */
static bool uri_character(uri_scan *u, const char *more)
{
    char c = *u->p;
    if (c == '%') {
        if (u->end - u->p < 3 || !is_hex(u->p[1]) || !is_hex(u->p[2]))
            return false;
        u->p += 3;
        return true;
    }
    bool fine = is_letter(c) || is_digit(c) || (c && strchr("-._~!$&'()*+,;=", c)) ||
                (c && strchr(more, c)) || (!u->ascii && is_beyond_ascii(c));
    u->p += fine;
    return fine;
}

static bool uri_run(uri_scan *u, const char *stop, const char *more)
{
    while (u->p < u->end && !strchr(stop, *u->p))
        if (!uri_character(u, more))
            return false;
    return true;
}

/* "[…]" at p. */
static bool uri_literal(uri_scan *u)
{
    const char *close = memchr(u->p, ']', (size_t)(u->end - u->p));
    if (!close)
        return false;
    const char *from = u->p + 1;
    u->p = close + 1;
    if (format_is_ipv6(from, (size_t)(close - from)))
        return true;
    if (close - from < 4 || (*from | 0x20) != 'v' || !is_hex(from[1]))
        return false;
    for (from++; from < close && is_hex(*from);)
        from++;
    if (from == close || *from != '.' || ++from == close)
        return false;
    uri_scan rest = {.p = from, .end = close, .ascii = true};
    while (rest.p < close)
        if (*rest.p == '%' || !uri_character(&rest, ":"))
            return false;
    return true;
}

static bool uri_authority(uri_scan *u)
{
    uri_scan user = *u;
    if (uri_run(&user, "@/?#", ":") && user.p < user.end && *user.p == '@')
        u->p = user.p + 1;
    if (u->p < u->end && *u->p == '[') {
        if (!uri_literal(u))
            return false;
    } else if (!uri_run(u, ":/?#", "")) {
        return false;
    }
    if (u->p < u->end && *u->p == ':')
        for (u->p++; u->p < u->end && is_digit(*u->p);)
            u->p++;
    return u->p == u->end || strchr("/?#", *u->p);
}

static bool uri_rest(uri_scan *u)
{
    if (u->end - u->p >= 2 && u->p[0] == '/' && u->p[1] == '/') {
        u->p += 2;
        if (!uri_authority(u))
            return false;
    }
    if (!uri_run(u, "?#", ":@/"))
        return false;
    if (u->p < u->end && *u->p == '?') {
        u->p++;
        if (!uri_run(u, "#", ":@/?"))
            return false;
    }
    if (u->p < u->end && *u->p == '#') {
        u->p++;
        return uri_run(u, "", ":@/?");
    }
    return true;
}

/* The bytes of "scheme:" or 0. */
static size_t uri_scheme(const char *s, size_t len)
{
    if (len == 0 || !is_letter(s[0]))
        return 0;
    for (size_t i = 1; i < len; i++) {
        if (s[i] == ':')
            return i + 1;
        if (!is_letter(s[i]) && !is_digit(s[i]) && s[i] != '+' && s[i] != '-' && s[i] != '.')
            return 0;
    }
    return 0;
}

static bool is_uri(const char *s, size_t len, bool ascii, bool relative)
{
    if (memchr(s, '\0', len))
        return false;
    size_t scheme = uri_scheme(s, len);
    if (!scheme && !relative)
        return false;
    if (!scheme) { /* the first segment of a relative path holds no colon */
        for (size_t i = 0; i < len && !strchr("/?#", s[i]); i++)
            if (s[i] == ':')
                return false;
    }
    uri_scan u = {.p = s + scheme, .end = s + len, .ascii = ascii};
    return uri_rest(&u) && u.p == u.end;
}

bool format_is_uri(const char *s, size_t len)
{
    return is_uri(s, len, true, false);
}

bool format_is_uri_reference(const char *s, size_t len)
{
    return is_uri(s, len, true, true);
}

bool format_is_iri(const char *s, size_t len)
{
    return is_uri(s, len, false, false);
}

bool format_is_iri_reference(const char *s, size_t len)
{
    return is_uri(s, len, false, true);
}

/* ---- URI templates (RFC 6570) */

/* name(.name)* with an optional modifier; p stands at its begin. */
static bool template_variable(uri_scan *u)
{
    const char *from = u->p;
    for (; u->p < u->end; u->p++) {
        char c = *u->p;
        if (c == '%') {
            if (u->end - u->p < 3 || !is_hex(u->p[1]) || !is_hex(u->p[2]))
                return false;
            u->p += 2;
        } else if (c == '.' ? u->p == from || u->p[-1] == '.' : !is_letter(c) && !is_digit(c) && c != '_') {
            break;
        }
    }
    if (u->p == from || u->p[-1] == '.')
        return false;
    if (u->p < u->end && *u->p == '*') {
        u->p++;
    } else if (u->p < u->end && *u->p == ':') {
        const char *digits = ++u->p;
        while (u->p < u->end && is_digit(*u->p))
            u->p++;
        return u->p > digits && u->p - digits <= 4 && *digits != '0';
    }
    return true;
}

/* "{…}" at p. */
static bool template_expression(uri_scan *u)
{
    if (++u->p < u->end && *u->p && strchr("+#./;?&", *u->p))
        u->p++;
    while (template_variable(u)) {
        if (u->p < u->end && *u->p == '}') {
            u->p++;
            return true;
        }
        if (u->p == u->end || *u->p++ != ',')
            return false;
    }
    return false;
}

bool format_is_uri_template(const char *s, size_t len)
{
    uri_scan u = {.p = s, .end = s + len};
    while (u.p < u.end) {
        char c = *u.p;
        if (c == '{') {
            if (!template_expression(&u))
                return false;
            continue;
        }
        if ((unsigned char)c <= 0x20 || c == 0x7f || strchr("\"<>\\^`|}", c))
            return false;
        if (c == '%' && (u.end - u.p < 3 || !is_hex(u.p[1]) || !is_hex(u.p[2])))
            return false;
        u.p++;
    }
    return true;
}
