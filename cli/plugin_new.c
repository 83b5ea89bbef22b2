/* Copies a skeleton with its names put in place: my-thing, my_thing, My thing, org.example. Everything is
 * checked before the first file is written, and nothing is ever overwritten. */
#include "plugin_new.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/name.h"
#include "complaint.h"
#include "exit_code.h"
#include "skeleton.h"

#define PATH_SIZE 4096
#define VENDOR_MAX 80

const flag plugin_new_flags[] = {
    {"folder", 0, "DIR", "write it there; default ./NAME"},
    {"vendor", 0, "DOMAIN", "your domain, reversed, for the plugin's id; default org.example"},
    {0},
};

typedef struct naming {
    const char *kind, *name, *vendor;
    char symbol[NAME_KEY_MAX + 1], title[NAME_KEY_MAX + 1];
} naming;

static status_class kind_check(const char *kind, status *st)
{
    static const char *const kinds[] = {"connector", "sink", "notifier", "metric", "model"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kind, kinds[i]))
            return STATUS_OK;
    const char *near = name_suggest(kind, kinds, sizeof kinds / sizeof *kinds);
    status_set(st, STATUS_INVALID, "%s is no kind of plugin", kind);
    return near ? status_hint(st, "did you mean %s?", near)
                : status_hint(st, "the kinds are connector, sink, notifier, metric and model");
}

/* Lower-case words with dots between them: "org.example". */
static bool is_domain(const char *s)
{
    if (strlen(s) > VENDOR_MAX || !strchr(s, '.') || !islower((unsigned char)*s))
        return false;
    for (const char *c = s; *c; c++)
        if ((!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '-' && *c != '.') ||
            (*c == '.' && (c[1] == '.' || !c[1])))
            return false;
    return true;
}

static status_class naming_make(const invocation *inv, naming *out, status *st)
{
    *out = (naming){argument(inv, 0), argument(inv, 1), flag_text(inv, "vendor", "org.example"), {0}, {0}};
    if (kind_check(out->kind, st) != STATUS_OK)
        return st->class;
    if (!name_is_slug(out->name)) {
        status_set(st, STATUS_INVALID, "%s is no name of a plugin", out->name);
        return status_hint(st, "lower-case letters, digits and single hyphens, at most %d: tide-gauge",
                           NAME_KEY_MAX);
    }
    if (!is_domain(out->vendor)) {
        status_set(st, STATUS_INVALID, "--vendor %s is no domain", out->vendor);
        return status_hint(st, "the reversed domain of whoever makes the plugin: org.example");
    }
    for (size_t i = 0; out->name[i]; i++) {
        out->symbol[i] = (char)(out->name[i] == '-' ? '_' : out->name[i]);
        out->title[i] = (char)(out->name[i] == '-' ? ' ' : out->name[i]);
    }
    out->title[0] = (char)toupper((unsigned char)out->title[0]);
    return STATUS_OK;
}

static void names_put(const naming *n, const char *from, text *out)
{
    const char *const words[][2] = {
        {"my-thing", n->name}, {"my_thing", n->symbol}, {"My thing", n->title}, {"org.example.", n->vendor}};
    while (*from) {
        size_t i = 0;
        while (i < 4 && strncmp(from, words[i][0], strlen(words[i][0])) != 0)
            i++;
        if (i == 4) {
            text_add_char(out, *from++);
            continue;
        }
        text_add(out, words[i][1]);
        from += strlen(words[i][0]);
        if (i == 3)
            text_add_char(out, '.');
    }
}

static bool folder_is_free(const char *folder)
{
    DIR *d = opendir(folder);
    if (!d)
        return errno == ENOENT;
    bool empty = true;
    for (const struct dirent *e; (e = readdir(d));)
        empty = empty && (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."));
    closedir(d);
    return empty;
}

static status_class file_write(const naming *n, const char *folder, const skeleton_file *f, status *st)
{
    text path = {0}, content = {0};
    char name[PATH_SIZE];
    names_put(n, f->path, &path);
    names_put(n, f->data, &content);
    snprintf(name, sizeof name, "%s/%s", folder, path.data);
    char *slash = strrchr(name, '/');
    *slash = '\0';
    status_class class = disk_make_folder(name, 0755, st);
    *slash = '/';
    if (class == STATUS_OK)
        class = disk_write(name, text_or_empty(&content), content.len, 0644, st);
    text_free(&path);
    text_free(&content);
    return class;
}

static status_class project_write(const naming *n, const char *folder, status *st)
{
    if (!folder_is_free(folder)) {
        status_set(st, STATUS_CONFLICT, "%s is there and not empty", folder);
        return status_hint(st, "choose another place with --folder, or another name");
    }
    status_class class = STATUS_OK;
    for (size_t i = 0; i < skeleton_files_n && class == STATUS_OK; i++)
        if (!strcmp(skeleton_files[i].kind, n->kind))
            class = file_write(n, folder, &skeleton_files[i], st);
    return class;
}

int plugin_new(invocation *inv)
{
    status st;
    naming n;
    char folder[PATH_SIZE], here[PATH_SIZE];
    if (naming_make(inv, &n, &st) != STATUS_OK)
        return complain_usage(&st);
    const char *given = flag_text(inv, "folder", n.name);
    if (!getcwd(here, sizeof here)) {
        status_errno(&st, errno, "the current folder");
        return complain("the project was not made", &st);
    }
    int len = *given == '/' ? snprintf(folder, sizeof folder, "%s", given)
                            : snprintf(folder, sizeof folder, "%s/%s", here, given);
    if (len >= PATH_SIZE - NAME_KEY_MAX * 2)
        status_set(&st, STATUS_INVALID, "the name of the folder is too long");
    else if (project_write(&n, folder, &st) == STATUS_OK) {
        printf("%s\n", given);
        say("%s.%s.%s is begun: cd %s && penstock plugin test", n.vendor, n.kind, n.name, given);
        return EXIT_DONE;
    }
    return complain("the project was not made", &st);
}
