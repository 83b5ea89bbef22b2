/* ECMA-262 expression → PCRE2 expression. One pass over the text; each construct is recognised and written
 * out in a form that means the same in both, and whatever is not recognised is an error, so nothing of
 * PCRE2's own language can be reached from a schema. */
#include "schema/pattern_translate.h"

#include <stdint.h>
#include <string.h>

#define SPACES                                                                                           \
    "\\x09-\\x0d\\x20\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{" \
    "feff}"
#define NOT_SPACES                                                                                         \
    "\\x00-\\x08\\x0e-\\x1f\\x21-\\x9f\\xa1-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{" \
    "202e}"                                                                                                \
    "\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}"
#define REPEAT_MAX 65535U /* PCRE2's own */

typedef struct translator {
    const char *p, *end, *start;
    text *out;
    unsigned depth;
    bool atom; /* something that a quantifier may follow stands before p */
    status *st;
} translator;

static bool fail(translator *t, const char *what)
{
    status_set(t->st, STATUS_INVALID, "regular expression: %s at byte %zu", what, (size_t)(t->p - t->start));
    return false;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly n hexadecimal digits at p. */
static bool read_hex(translator *t, int n, uint32_t *out)
{
    *out = 0;
    if (t->end - t->p < n)
        return false;
    for (int i = 0; i < n; i++) {
        int v = hex_value(t->p[i]);
        if (v < 0)
            return false;
        *out = *out * 16 + (uint32_t)v;
    }
    t->p += n;
    return true;
}

static bool read_braced_hex(translator *t, uint32_t *out)
{
    *out = 0;
    const char *from = ++t->p;
    for (; t->p < t->end && *t->p != '}'; t->p++) {
        int v = hex_value(*t->p);
        if (v < 0 || *out > 0x10ffff)
            return false;
        *out = *out * 16 + (uint32_t)v;
    }
    if (t->p == t->end || t->p == from || *out > 0x10ffff)
        return false;
    t->p++;
    return true;
}

/* p stands after `\u`. */
static bool unicode_escape(translator *t)
{
    uint32_t code, low;
    bool braced = t->p < t->end && *t->p == '{';
    if (!(braced ? read_braced_hex(t, &code) : read_hex(t, 4, &code)))
        return fail(t, "\\u needs four hexadecimal digits or {…}");
    if (!braced && code >= 0xd800 && code < 0xdc00 && t->end - t->p >= 6 && t->p[0] == '\\' &&
        t->p[1] == 'u') {
        t->p += 2;
        if (!read_hex(t, 4, &low) || low < 0xdc00 || low > 0xdfff)
            return fail(t, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code >= 0xd800 && code <= 0xdfff)
        return fail(t, "half of a surrogate pair");
    text_printf(t->out, "\\x{%x}", code);
    return true;
}

typedef struct category {
    const char *name, *pcre;
} category;

/* General categories by ECMA's long names and aliases; PCRE2 knows the short ones. */
static const category categories[] = {
    {"Letter", "L"},
    {"Cased_Letter", "L&"},
    {"LC", "L&"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"Titlecase_Letter", "Lt"},
    {"Modifier_Letter", "Lm"},
    {"Other_Letter", "Lo"},
    {"Mark", "M"},
    {"Combining_Mark", "M"},
    {"Nonspacing_Mark", "Mn"},
    {"Spacing_Mark", "Mc"},
    {"Enclosing_Mark", "Me"},
    {"Number", "N"},
    {"Decimal_Number", "Nd"},
    {"digit", "Nd"},
    {"Letter_Number", "Nl"},
    {"Other_Number", "No"},
    {"Punctuation", "P"},
    {"punct", "P"},
    {"Connector_Punctuation", "Pc"},
    {"Dash_Punctuation", "Pd"},
    {"Open_Punctuation", "Ps"},
    {"Close_Punctuation", "Pe"},
    {"Initial_Punctuation", "Pi"},
    {"Final_Punctuation", "Pf"},
    {"Other_Punctuation", "Po"},
    {"Symbol", "S"},
    {"Math_Symbol", "Sm"},
    {"Currency_Symbol", "Sc"},
    {"Modifier_Symbol", "Sk"},
    {"Other_Symbol", "So"},
    {"Separator", "Z"},
    {"Space_Separator", "Zs"},
    {"Line_Separator", "Zl"},
    {"Paragraph_Separator", "Zp"},
    {"Other", "C"},
    {"Control", "Cc"},
    {"cntrl", "Cc"},
    {"Format", "Cf"},
    {"Surrogate", "Cs"},
    {"Private_Use", "Co"},
    {"Unassigned", "Cn"},
};

static const char *category_find(const char *name)
{
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
        if (strcmp(categories[i].name, name) == 0)
            return categories[i].pcre;
    return name;
}

static const char *after_prefix(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

static void write_property(text *out, char p, const char *name)
{
    const char *value;
    if ((value = after_prefix(name, "Script=")) || (value = after_prefix(name, "sc=")))
        text_printf(out, "\\%c{sc:%s}", p, value);
    else if ((value = after_prefix(name, "Script_Extensions=")) || (value = after_prefix(name, "scx=")))
        text_printf(out, "\\%c{scx:%s}", p, value);
    else if ((value = after_prefix(name, "General_Category=")) || (value = after_prefix(name, "gc=")))
        text_printf(out, "\\%c{%s}", p, category_find(value));
    else if (strcmp(name, "Assigned") == 0)
        text_printf(out, "\\%c{Cn}", p == 'p' ? 'P' : 'p');
    else
        text_printf(out, "\\%c{%s}", p, category_find(name));
}

/* p stands after `\p` or `\P`. */
static bool property_escape(translator *t, char kind)
{
    char name[64];
    size_t n = 0;
    if (t->p == t->end || *t->p != '{')
        return fail(t, "\\p needs {…}");
    for (t->p++; t->p < t->end && *t->p != '}'; t->p++) {
        char c = *t->p, low = (char)(c | 0x20);
        if (!((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '=') ||
            n + 1 == sizeof name)
            return fail(t, "unknown property");
        name[n++] = c;
    }
    if (t->p == t->end || n == 0)
        return fail(t, "\\p needs {…}");
    t->p++;
    name[n] = '\0';
    write_property(t->out, kind, name);
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool control_escape(translator *t)
{
    char low = t->p < t->end ? (char)(*t->p | 0x20) : '\0';
    if (low < 'a' || low > 'z')
        return fail(t, "\\c needs a letter");
    text_printf(t->out, "\\x%02x", (unsigned)(*t->p++ & 0x1f));
    return true;
}

/* Escapes that mean the same inside and outside a class; p stands after the letter. */
static bool common_escape(translator *t, char c)
{
    static const char from[] = "tnvfr0", *const to[] = {"\\x09", "\\x0a", "\\x0b", "\\x0c", "\\x0d", "\\x00"};
    const char *simple = strchr(from, c);
    uint32_t code;
    if (simple) {
        if (c == '0' && t->p < t->end && is_digit(*t->p))
            return fail(t, "octal escapes do not exist");
        text_add(t->out, to[simple - from]);
        return true;
    }
    if (c == 'c')
        return control_escape(t);
    if (c == 'u')
        return unicode_escape(t);
    if (c == 'p' || c == 'P')
        return property_escape(t, c);
    if (c == 'x') {
        if (!read_hex(t, 2, &code))
            return fail(t, "\\x needs two hexadecimal digits");
        text_printf(t->out, "\\x%02x", code);
        return true;
    }
    char low = (char)(c | 0x20);
    if ((low >= 'a' && low <= 'z') || is_digit(c) || (unsigned char)c >= 0x80 || (unsigned char)c < 0x20)
        return fail(t, "unknown escape");
    text_printf(t->out, "\\x%02x", (unsigned)c);
    return true;
}

static bool backreference(translator *t, char first)
{
    unsigned n = (unsigned)(first - '0');
    for (; t->p < t->end && is_digit(*t->p) && n < 1000; t->p++)
        n = n * 10 + (unsigned)(*t->p - '0');
    text_printf(t->out, "\\g{%u}", n);
    return true;
}

/* <name> at p; copied as it is. */
static bool group_name(translator *t)
{
    const char *from = t->p;
    if (t->p == t->end || *t->p != '<')
        return fail(t, "a group's name is needed");
    for (t->p++; t->p < t->end && *t->p != '>'; t->p++) {
        char low = (char)(*t->p | 0x20);
        bool letter = (low >= 'a' && low <= 'z') || *t->p == '_';
        if (!letter && !(is_digit(*t->p) && t->p > from + 1))
            return fail(t, "a group's name takes letters, digits and _");
    }
    if (t->p == t->end || t->p == from + 1 || t->p - from > 32)
        return fail(t, "a group's name has 1 to 31 characters");
    t->p++;
    text_add_n(t->out, from, (size_t)(t->p - from));
    return true;
}

static bool escape(translator *t)
{
    if (++t->p == t->end)
        return fail(t, "ends in a backslash");
    char c = *t->p++;
    t->atom = c != 'b' && c != 'B';
    if (strchr("dDwWbB", c)) {
        text_printf(t->out, "\\%c", c);
        return true;
    }
    if (c == 's' || c == 'S') {
        text_add(t->out, c == 's' ? "[" SPACES "]" : "[^" SPACES "]");
        return true;
    }
    if (c == 'k') {
        text_add(t->out, "\\k");
        return group_name(t);
    }
    return c >= '1' && c <= '9' ? backreference(t, c) : common_escape(t, c);
}

static bool class_escape(translator *t)
{
    if (++t->p == t->end)
        return fail(t, "ends in a backslash");
    char c = *t->p++;
    if (strchr("dDwW", c)) {
        text_printf(t->out, "\\%c", c);
        return true;
    }
    if (c == 's' || c == 'S' || c == 'b') {
        text_add(t->out, c == 's' ? SPACES : c == 'S' ? NOT_SPACES : "\\x08");
        return true;
    }
    return common_escape(t, c);
}

static bool class_members(translator *t)
{
    while (t->p < t->end && *t->p != ']') {
        if (*t->p == '\\') {
            if (!class_escape(t))
                return false;
            continue;
        }
        if (*t->p == '[')
            text_add_char(t->out, '\\');
        text_add_char(t->out, *t->p++);
    }
    if (t->p == t->end)
        return fail(t, "unclosed [");
    t->p++;
    text_add_char(t->out, ']');
    return true;
}

static bool class(translator *t)
{
    t->p++;
    t->atom = true;
    bool negated = t->p < t->end && *t->p == '^';
    t->p += negated;
    if (t->p < t->end && *t->p == ']') {
        t->p++;
        text_add(t->out, negated ? "[\\x00-\\x{10ffff}]" : "(?!)");
        return true;
    }
    text_add(t->out, negated ? "[^" : "[");
    return class_members(t);
}

static bool group_open(translator *t)
{
    if (++t->depth > PATTERN_NESTING_MAX) {
        status_set(t->st, STATUS_LIMIT, "regular expression: groups are nested more than %u deep",
                   PATTERN_NESTING_MAX);
        return false;
    }
    t->p++;
    t->atom = false;
    text_add_char(t->out, '(');
    if (t->p == t->end || *t->p != '?')
        return true;
    text_add_char(t->out, '?');
    t->p++;
    size_t left = (size_t)(t->end - t->p);
    if (left >= 2 && t->p[0] == '<' && (t->p[1] == '=' || t->p[1] == '!')) {
        text_add_n(t->out, t->p, 2);
        t->p += 2;
        return true;
    }
    if (left >= 1 && strchr(":=!", *t->p)) {
        text_add_char(t->out, *t->p++);
        return true;
    }
    return left && *t->p == '<' ? group_name(t) : fail(t, "unknown kind of group");
}

static bool group_close(translator *t)
{
    if (t->depth == 0)
        return fail(t, "unmatched )");
    t->depth--;
    t->p++;
    t->atom = true;
    text_add_char(t->out, ')');
    return true;
}

/* The bytes of {n}, {n,} or {n,m} at p; 0 if it is none. */
static size_t repeat_length(const translator *t, uint32_t bounds[2])
{
    const char *p = t->p + 1;
    int part = 0;
    bool digits = false;
    bounds[0] = bounds[1] = 0;
    for (; p < t->end; p++) {
        if (is_digit(*p)) {
            digits = true;
            if (bounds[part] <= REPEAT_MAX)
                bounds[part] = bounds[part] * 10 + (uint32_t)(*p - '0');
        } else if (*p == ',' && part == 0 && digits) {
            part = 1;
            digits = false;
        } else {
            break;
        }
    }
    if (p == t->end || *p != '}' || (part == 0 && !digits))
        return 0;
    if (part == 0 || !digits)
        bounds[1] = part == 0 ? bounds[0] : REPEAT_MAX;
    return (size_t)(p + 1 - t->p);
}

static bool quantifier(translator *t, size_t len)
{
    if (!t->atom)
        return fail(t, "nothing to repeat");
    text_add_n(t->out, t->p, len);
    t->p += len;
    if (t->p < t->end && *t->p == '?')
        text_add_char(t->out, *t->p++);
    t->atom = false;
    return true;
}

static bool brace(translator *t)
{
    uint32_t bounds[2];
    size_t len = repeat_length(t, bounds);
    if (!len) {
        t->p++;
        t->atom = true;
        text_add(t->out, "\\{");
        return true;
    }
    if (bounds[0] > REPEAT_MAX || bounds[1] > REPEAT_MAX || bounds[0] > bounds[1])
        return fail(t, "a repeat goes from 0 to 65535, lower bound first");
    return quantifier(t, len);
}

static bool step(translator *t)
{
    char c = *t->p;
    switch (c) {
    case '\\':
        return escape(t);
    case '[':
        return class(t);
    case '(':
        return group_open(t);
    case ')':
        return group_close(t);
    case '*':
    case '+':
    case '?':
        return quantifier(t, 1);
    case '{':
        return brace(t);
    case '.':
        text_add(t->out, "[^\\x0a\\x0d\\x{2028}\\x{2029}]");
        break;
    case '}':
    case ']':
        text_printf(t->out, "\\%c", c);
        break;
    case '\0':
        text_add(t->out, "\\x00");
        break;
    default:
        text_add_char(t->out, c);
        break;
    }
    t->atom = !strchr("^$|", c) || c == '\0';
    t->p++;
    return true;
}

status_class pattern_translate_text(const char *s, size_t len, text *out, status *st)
{
    translator t = {.p = s, .start = s, .end = s + len, .out = out, .st = st};
    if (len > PATTERN_BYTES_MAX)
        return status_set(st, STATUS_LIMIT, "regular expression: longer than %u bytes", PATTERN_BYTES_MAX);
    if (!utf8_valid(s, len))
        return status_set(st, STATUS_INVALID, "regular expression: not UTF-8");
    while (t.p < t.end)
        if (!step(&t))
            return st->class;
    if (t.depth)
        return status_set(st, STATUS_INVALID, "regular expression: unclosed (");
    return STATUS_OK;
}
