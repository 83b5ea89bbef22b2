/* Whole lines are moved, nothing is printed anew: a block is a line that begins with two blanks and a key,
 * and all lines that are indented deeper or blank behind it. */
#include "proposal.h"

#include <string.h>

#include "base/disk.h"
#include "base/text.h"
#include "config/yaml_tree.h"

#define FILE_BYTES_MAX (16U << 20)
static const char heading[] = "datastores:", fresh[] = "apiVersion: penstock/v1\nkind: LocalLayer\n";

static const char *line_after(const char *p)
{
    const char *end = strchr(p, '\n');
    return end ? end + 1 : p + strlen(p);
}

static bool is_key_line(const char *p)
{
    return p[0] == ' ' && p[1] == ' ' && p[2] != ' ' && p[2] != '#' && p[2] != '\n' && p[2];
}

/* The line of the heading itself, or NULL. */
static const char *heading_line(const char *s)
{
    for (; *s; s = line_after(s)) {
        size_t blank =
            strncmp(s, heading, sizeof heading - 1) == 0 ? strspn(s + sizeof heading - 1, " \t\r") : 0;
        if (strncmp(s, heading, sizeof heading - 1) == 0 &&
            (s[sizeof heading - 1 + blank] == '\n' || !s[sizeof heading - 1 + blank]))
            return s;
    }
    return NULL;
}

static bool is_there(const json_t *known, const char *line)
{
    char key[64];
    size_t len = strcspn(line + 2, ":");
    if (len >= sizeof key)
        return false;
    memcpy(key, line + 2, len);
    key[len] = '\0';
    return json_object_get(known, key) != NULL;
}

/* The blocks whose keys are new. */
static void new_blocks(const char *yaml, const json_t *known, text *out, unsigned *added)
{
    const char *p = heading_line(yaml);
    bool take = false;
    for (p = p ? line_after(p) : ""; *p == ' ' || *p == '\n'; p = line_after(p)) {
        if (is_key_line(p)) {
            take = !is_there(known, p);
            *added += take;
        }
        if (take)
            text_add_n(out, p, (size_t)(line_after(p) - p));
    }
}

/* Before what already stands under the heading, or a heading of their own at the end. */
static void merge(const char *old, const text *blocks, text *out)
{
    const char *at = heading_line(old);
    const char *below = at ? line_after(at) : old + strlen(old);
    text_add_n(out, old, (size_t)(below - old));
    if (out->len && out->data[out->len - 1] != '\n')
        text_add_char(out, '\n');
    if (!at)
        text_printf(out, "%s\n", heading);
    text_add_n(out, blocks->data, blocks->len);
    text_add(out, below);
}

static status_class check(const char *file, const text *made, status *st)
{
    yaml_tree *tree = NULL;
    status_class class = yaml_tree_parse(file, made->data, made->len, &tree, st);
    yaml_tree_free(tree);
    if (class == STATUS_OK)
        return class;
    status_wrap(st, "the datastores do not fit into the file");
    return status_hint(st, "print them without --write and paste them");
}

status_class proposal_write(const char *file, const char *yaml, unsigned *added_out, status *st)
{
    text old = {0}, blocks = {0}, made = {0};
    yaml_tree *tree = NULL;
    bool there = disk_exists(file);
    status_class class = there ? disk_read(file, FILE_BYTES_MAX, &old, st) : STATUS_OK;
    if (class == STATUS_OK && !there)
        text_add(&old, fresh);
    if (class == STATUS_OK)
        class = yaml_tree_parse(file, old.data ? old.data : "", old.len, &tree, st);
    if (class == STATUS_OK) {
        new_blocks(yaml, json_object_get(yaml_tree_root(tree), "datastores"), &blocks, added_out);
        merge(text_or_empty(&old), &blocks, &made);
        class = check(file, &made, st);
    }
    if (class == STATUS_OK && *added_out)
        class = disk_write(file, made.data, made.len, 0644, st);
    yaml_tree_free(tree);
    text_free(&old);
    text_free(&blocks);
    text_free(&made);
    return class;
}
