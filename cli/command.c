/* Parses a command line against the tables: one pass, flags and words in any order, "--" ends the flags.
 * Flags before the noun can only be global ones, because which others there are depends on the command. */
#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"

const flag global_flags[] = {
    {"workspace", 'w', "WS", "the workspace, by its key or ws_ id"},
    {"output", 'o', "FORMAT", "table, json, ndjson or csv"},
    {"columns", 0, "A,B", "the columns to show, in this order"},
    {"no-headers", 0, NULL, "tables and CSV without their first line"},
    {"quiet", 'q', NULL, "print names only"},
    {"context", 0, "NAME", "another context of the configuration file"},
    {"url", 0, "URL", "another server than the context's"},
    {"timeout", 0, "SECONDS", "give up on a request after so long (30)"},
    {"yes", 'y', NULL, "answer questions with yes"},
    {"no-input", 0, NULL, "ask nothing; fail where an answer is needed"},
    {"color", 0, "WHEN", "auto, always or never"},
    {"progress", 0, "HOW", "auto, json or never"},
    {"debug", 0, NULL, "show requests and answers, secrets removed"},
    {"help", 'h', NULL, "what the command does"},
    {0},
};

typedef struct parser {
    invocation *inv;
    const char *noun;
    bool flags_ended, resolved;
    status *st;
} parser;

static const flag *flag_in(const flag *table, const char *name, size_t len, char letter)
{
    for (const flag *f = table; f && f->name; f++) {
        if (letter ? f->letter == letter : strlen(f->name) == len && strncmp(f->name, name, len) == 0)
            return f;
    }
    return NULL;
}

static const flag *flag_find(const invocation *inv, const char *name, size_t len, char letter)
{
    const flag *f = inv->command ? flag_in(inv->command->flags, name, len, letter) : NULL;
    return f ? f : flag_in(global_flags, name, len, letter);
}

/* Where the flags are listed that there are. */
static status_class flags_hint(const parser *p)
{
    const command *c = p->inv->command;
    const char *noun = c && c->noun ? c->noun : p->noun;
    return status_hint(p->st, "`penstock help%s%s%s%s` lists what there is", noun ? " " : "",
                       noun ? noun : "", c ? " " : "", c ? c->verb : "");
}

static status_class flag_unknown(const parser *p, const char *name, size_t len)
{
    const char *names[128];
    size_t n = 0;
    const flag *tables[] = {p->inv->command ? p->inv->command->flags : NULL, global_flags};
    for (size_t t = 0; t < 2; t++) {
        for (const flag *f = tables[t]; f && f->name && n < 128; f++)
            names[n++] = f->name;
    }
    char word[64] = "";
    memcpy(word, name, len < sizeof word ? len : sizeof word - 1);
    const char *near = name_suggest(word, names, n);
    status_set(p->st, STATUS_INVALID, "there is no flag --%s", word);
    return near ? status_hint(p->st, "did you mean --%s?", near) : flags_hint(p);
}

static status_class value_add(const parser *p, const flag *f, const char *value)
{
    invocation *inv = p->inv;
    if (inv->n_values == COMMAND_VALUES_MAX)
        return status_set(p->st, STATUS_INVALID, "more than %d flags", COMMAND_VALUES_MAX);
    inv->values[inv->n_values++] = (flag_value){f, value};
    return STATUS_OK;
}

/* --name, --name=value, --name value. Sets *used_out when the next word was taken. */
static status_class long_flag(const parser *p, const char *word, const char *next, bool *used_out)
{
    const char *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    const flag *f = flag_find(p->inv, word, len, 0);
    if (!f)
        return flag_unknown(p, word, len);
    if (!f->value)
        return equals ? status_set(p->st, STATUS_INVALID, "--%s takes no value", f->name)
                      : value_add(p, f, "");
    if (equals)
        return value_add(p, f, equals + 1);
    if (!next)
        return status_set(p->st, STATUS_INVALID, "--%s needs a value: %s", f->name, f->value);
    *used_out = true;
    return value_add(p, f, next);
}

/* -q, -wWS, -w WS, and switches together: -qy. */
static status_class short_flags(const parser *p, const char *letters, const char *next, bool *used_out)
{
    for (; *letters; letters++) {
        const flag *f = flag_find(p->inv, "", 0, *letters);
        if (!f) {
            status_set(p->st, STATUS_INVALID, "there is no flag -%c", *letters);
            return flags_hint(p);
        }
        if (f->value && !letters[1] && !next)
            return status_set(p->st, STATUS_INVALID, "-%c needs a value: %s", f->letter, f->value);
        if (f->value) {
            *used_out = !letters[1];
            return value_add(p, f, letters[1] ? letters + 1 : next);
        }
        if (value_add(p, f, "") != STATUS_OK)
            return p->st->class;
    }
    return STATUS_OK;
}

static bool ends_something(const char *verb)
{
    return strcmp(verb, "delete") == 0 || strcmp(verb, "remove") == 0 || strcmp(verb, "revoke") == 0;
}

/* `ls` lists, and what ends a thing may be called `rm` or as other nouns call it. */
static bool verb_is(const char *verb, const char *word)
{
    if (strcmp(word, "ls") == 0)
        return strcmp(verb, "list") == 0;
    if (strcmp(word, "rm") == 0 || ends_something(word))
        return ends_something(verb);
    return strcmp(verb, word) == 0;
}

/* Is `word` a noun (noun NULL), or a verb of `noun`? */
static const command *command_find(const char *noun, const char *word)
{
    size_t n;
    const command *const *all = commands_all(&n);
    for (size_t i = 0; i < n; i++) {
        if (!noun && strcmp(all[i]->noun ? all[i]->noun : all[i]->verb, word) == 0)
            return all[i];
        if (noun && all[i]->noun && strcmp(all[i]->noun, noun) == 0 && verb_is(all[i]->verb, word))
            return all[i];
    }
    return NULL;
}

static status_class word_unknown(const parser *p, const char *word)
{
    const char *names[256];
    size_t n, n_names = 0;
    const command *const *all = commands_all(&n);
    for (size_t i = 0; i < n && n_names < 256; i++) {
        if (!p->noun)
            names[n_names++] = all[i]->noun ? all[i]->noun : all[i]->verb;
        else if (all[i]->noun && strcmp(all[i]->noun, p->noun) == 0)
            names[n_names++] = all[i]->verb;
    }
    const char *near = name_suggest(word, names, n_names), *noun = p->noun ? p->noun : "";
    if (p->noun)
        status_set(p->st, STATUS_INVALID, "there is no `penstock %s %s`", noun, word);
    else
        status_set(p->st, STATUS_INVALID, "there is no command `%s`", word);
    const char *blank = p->noun ? " " : "";
    return near ? status_hint(p->st, "did you mean `penstock %s%s%s`?", noun, blank, near)
                : status_hint(p->st, "`penstock help%s%s` lists what there is", blank, noun);
}

static status_class word_take(parser *p, const char *word)
{
    invocation *inv = p->inv;
    if (p->resolved) {
        if (inv->n_args == inv->command->max_args || inv->n_args == COMMAND_ARGS_MAX)
            return status_set(p->st, STATUS_INVALID, "`%s` is one argument too many", word);
        inv->args[inv->n_args++] = word;
        return STATUS_OK;
    }
    const command *found = command_find(p->noun, word);
    if (!found)
        return word_unknown(p, word);
    if (!p->noun && found->noun) {
        p->noun = found->noun;
        return STATUS_OK;
    }
    inv->command = found;
    p->resolved = true;
    return STATUS_OK;
}

/* The last argument, given as -f FILE; NULL if it was not, or if the command's -f is about something else. */
static const char *file_given(const invocation *inv)
{
    const flag *f = inv->command ? flag_in(inv->command->flags, "file", 4, 0) : NULL;
    return f && strstr(inv->command->arguments, f->value) ? flag_text(inv, "file", NULL) : NULL;
}

static status_class file_take(const parser *p)
{
    invocation *inv = p->inv;
    const char *file = file_given(inv);
    if (file && inv->n_args == inv->command->max_args) {
        status_set(p->st, STATUS_INVALID, "there is both `%s` and -f %s", inv->args[inv->n_args - 1], file);
        return status_hint(p->st, "give one of them");
    }
    if (file && inv->n_args + 1 == inv->command->max_args)
        inv->args[inv->n_args++] = file;
    return STATUS_OK;
}

static status_class complete_check(const parser *p)
{
    const invocation *inv = p->inv;
    if (flag_given(inv, "help"))
        return STATUS_OK;
    if (file_take(p) != STATUS_OK)
        return p->st->class;
    if (!inv->command && p->noun) {
        status_set(p->st, STATUS_INVALID, "`penstock %s` needs a verb", p->noun);
        return status_hint(p->st, "`penstock help %s` lists them", p->noun);
    }
    const command *c = inv->command;
    if (c && inv->n_args < c->min_args) {
        const char *noun = c->noun ? c->noun : "", *blank = c->noun ? " " : "";
        status_set(p->st, STATUS_INVALID, "an argument is missing: %s", c->arguments);
        return status_hint(p->st, "penstock %s%s%s %s", noun, blank, c->verb, c->arguments);
    }
    return STATUS_OK;
}

status_class command_parse(int argc, char **argv, invocation *inv, status *st)
{
    parser p = {.inv = inv, .st = st};
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        bool used = false;
        status_class class;
        if (p.flags_ended || word[0] != '-' || word[1] == '\0') {
            class = word_take(&p, word);
        } else if (strcmp(word, "--") == 0) {
            p.flags_ended = true;
            continue;
        } else {
            class = word[1] == '-' ? long_flag(&p, word + 2, next, &used)
                                   : short_flags(&p, word + 1, next, &used);
        }
        if (class != STATUS_OK)
            return class;
        i += used;
    }
    if (!inv->command && p.noun && flag_given(inv, "help"))
        inv->args[inv->n_args++] = p.noun;
    return complete_check(&p);
}

const char *flag_nth(const invocation *inv, const char *name, unsigned i)
{
    for (unsigned v = 0; v < inv->n_values; v++) {
        if (strcmp(inv->values[v].flag->name, name) == 0 && i-- == 0)
            return inv->values[v].value;
    }
    return NULL;
}

const char *flag_text(const invocation *inv, const char *name, const char *otherwise)
{
    for (unsigned v = inv->n_values; v-- > 0;) {
        if (strcmp(inv->values[v].flag->name, name) == 0)
            return inv->values[v].value;
    }
    return otherwise;
}

bool flag_given(const invocation *inv, const char *name)
{
    return flag_text(inv, name, NULL) != NULL;
}

status_class flag_number(const invocation *inv, const char *name, long least, long most, long *number_io,
                         status *st)
{
    const char *given = flag_text(inv, name, NULL);
    if (!given)
        return STATUS_OK;
    char *end;
    errno = 0;
    long number = strtol(given, &end, 10);
    if (errno || end == given || *end || number < least || number > most)
        return status_set(st, STATUS_INVALID, "--%s takes a whole number from %ld to %ld, not `%s`", name,
                          least, most, given);
    *number_io = number;
    return STATUS_OK;
}

const char *argument(const invocation *inv, unsigned i)
{
    return i < inv->n_args ? inv->args[i] : NULL;
}
