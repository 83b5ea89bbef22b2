/* LMDB's file format 1 on 64-bit machines: pages of 4096 bytes; the first two are heads (meta pages), of
 * which the one with the higher transaction counts; each names the root of the list of free pages and of the
 * main table, whose values may be the roots of named tables. A walk keeps a bitmap of the pages it has seen:
 * a page that two parents claim, or that is free as well, is damage like any other. */
#include "flow/journal_pages.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"

enum { PAGE = 4096, PAGE_HEAD = 16, NODE_HEAD = 8, DEPTH_MAX = 32, HEADS = 2, TABLE_NAME_MAX = 32 };
enum { FLAG_BRANCH = 1, FLAG_LEAF = 2, FLAG_OVERFLOW = 4, FLAG_META = 8 };
enum { NODE_BIG = 1, NODE_TABLE = 2 };
enum { TREE_NUMBERS = 8 }; /* its keys are numbers in the machine's order */
static const uint64_t NO_ROOT = UINT64_MAX;
static const uint32_t META_MAGIC = 0xBEEFC0DE, META_VERSION = 1;

typedef struct tree { /* as on disk */
    uint32_t pad;
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
} tree;

typedef struct head_page { /* as on disk, behind the page's own head */
    uint32_t magic, version;
    uint64_t address, map_size;
    tree free_pages, main;
    uint64_t last_page, transaction;
} head_page;

struct page_file {
    int fd;
    uint64_t n_pages; /* that the file has */
    head_page snapshots[HEADS];
    unsigned n_snapshots;
    bool heads_whole; /* both can be read */
    uint8_t *seen;    /* bitmap */
    uint8_t *levels; /* a page for each level of a walk, twice: a named table is walked inside the main one */
    uint8_t *value;  /* of an entry on pages of its own */
    size_t value_cap;
};

typedef struct walk {
    page_file *f;
    const head_page *of;
    const page_visitor *visitor; /* NULL: only check */
    char table[TABLE_NAME_MAX + 1];
    bool free_list, deep;
    unsigned nesting;
    tree counted; /* what was found */
    status *st;   /* the first damage */
} walk;

/* ---- numbers out of pages ---- */

static uint16_t get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static bool read_at(const page_file *f, uint64_t page, void *out, size_t len)
{
    return pread(f->fd, out, len, (off_t)(page * PAGE)) == (ssize_t)len;
}

static bool mark_seen(page_file *f, uint64_t page)
{
    uint8_t bit = (uint8_t)(1U << (page & 7));
    bool first = !(f->seen[page >> 3] & bit);
    f->seen[page >> 3] |= bit;
    return first;
}

/* ---- opening ---- */

static bool head_is_sound(const page_file *f, const uint8_t *page, uint64_t number, head_page *out)
{
    memcpy(out, page + PAGE_HEAD, sizeof *out);
    return get64(page) == number && get16(page + 10) & FLAG_META && out->magic == META_MAGIC &&
           out->version == META_VERSION && out->free_pages.pad == PAGE && out->last_page >= 1 &&
           (out->main.root == NO_ROOT || out->main.root < f->n_pages) &&
           (out->free_pages.root == NO_ROOT || out->free_pages.root < f->n_pages);
}

static status_class read_heads(page_file *f, status *st)
{
    uint8_t page[PAGE];
    bool foreign = false;
    for (uint64_t i = 0; i < HEADS; i++) {
        head_page *to = &f->snapshots[f->n_snapshots];
        if (!read_at(f, i, page, sizeof page))
            continue;
        if (head_is_sound(f, page, i, to))
            f->n_snapshots++;
        else if (to->magic == META_MAGIC && (to->version != META_VERSION || to->free_pages.pad != PAGE))
            foreign = true;
    }
    f->heads_whole = f->n_snapshots == HEADS;
    if (f->heads_whole && f->snapshots[1].transaction > f->snapshots[0].transaction) {
        head_page older = f->snapshots[0];
        f->snapshots[0] = f->snapshots[1];
        f->snapshots[1] = older;
    }
    if (f->n_snapshots > 0)
        return STATUS_OK;
    return foreign ? status_set(st, STATUS_UNSUPPORTED, "the journal's file is of another LMDB format")
                   : status_set(st, STATUS_INVALID, "neither head of the journal's file can be read");
}

status_class page_file_open(const char *path, page_file **out, status *st)
{
    struct stat s;
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? status_set(st, STATUS_NOT_FOUND, "no journal yet")
                               : status_errno(st, errno, path);
    if (fstat(fd, &s) != 0 || s.st_size == 0) {
        close(fd);
        return status_set(st, STATUS_NOT_FOUND, "no journal yet");
    }
    page_file *f = memory_zero(1, sizeof *f);
    f->fd = fd;
    f->n_pages = (uint64_t)s.st_size / PAGE;
    f->seen = memory_zero(f->n_pages / 8 + 1, 1);
    f->levels = memory_alloc(2 * (size_t)DEPTH_MAX * PAGE);
    status_class class = read_heads(f, st);
    if (class == STATUS_OK)
        *out = f;
    else
        page_file_close(f);
    return class;
}

void page_file_close(page_file *f)
{
    if (!f)
        return;
    close(f->fd);
    free(f->seen);
    free(f->levels);
    free(f->value);
    free(f);
}

unsigned page_file_snapshots(const page_file *f)
{
    return f->n_snapshots;
}

bool page_file_newest_known(const page_file *f)
{
    return f->heads_whole;
}

/* ---- damage ---- */

static void note(walk *w, uint64_t page, const char *what)
{
    if (w->st && w->st->class == STATUS_OK)
        status_set(w->st, STATUS_INVALID, "page %llu of the journal's file: %s", (unsigned long long)page,
                   what);
}

static void lose(walk *w, uint64_t page, const char *what, page_bytes from, page_bytes to)
{
    note(w, page, what);
    if (w->visitor && !w->free_list)
        w->visitor->on_damage(w->visitor->arg, w->table, from, to);
}

/* ---- one page ---- */

static unsigned node_count(const uint8_t *page)
{
    return (unsigned)(get16(page + 12) - PAGE_HEAD) / 2;
}

static const uint8_t *node_at(const uint8_t *page, unsigned i)
{
    return page + get16(page + PAGE_HEAD + (size_t)2 * i);
}

static page_bytes node_key(const uint8_t *node)
{
    return (page_bytes){node + NODE_HEAD, get16(node + 6)};
}

static uint64_t node_value_len(const uint8_t *node)
{
    return get16(node) | (uint64_t)get16(node + 2) << 16;
}

static uint64_t node_child(const uint8_t *node)
{
    return get16(node) | (uint64_t)get16(node + 2) << 16 | (uint64_t)get16(node + 4) << 32;
}

static int compare_keys(const walk *w, page_bytes a, page_bytes b)
{
    if (w->free_list) { /* numbers in the machine's order */
        uint64_t x = a.len == 8 ? get64(a.data) : 0, y = b.len == 8 ? get64(b.data) : 0;
        return x < y ? -1 : x > y;
    }
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

static bool node_fits(const uint8_t *page, unsigned i, bool leaf)
{
    size_t at = get16(page + PAGE_HEAD + (size_t)2 * i);
    if (at < get16(page + 14) || at % 2 || at + NODE_HEAD > PAGE)
        return false;
    const uint8_t *node = page + at;
    uint16_t key_len = get16(node + 6), flags = get16(node + 4);
    uint64_t value = !leaf ? 0 : flags & NODE_BIG ? 8 : node_value_len(node);
    return key_len <= PAGES_KEY_MAX && at + NODE_HEAD + key_len + value <= PAGE &&
           (!leaf || (flags & ~(NODE_BIG | NODE_TABLE)) == 0);
}

/* What is wrong with the page, or NULL. Its keys lie in [from, to) and ascend; a branch's first key is empty.
 */
static const char *page_fault(const walk *w, const uint8_t *page, uint64_t number, bool leaf, page_bytes from,
                              page_bytes to)
{
    unsigned lower = get16(page + 12), upper = get16(page + 14);
    if (get64(page) != number)
        return "it is another page";
    if (get16(page + 10) != (leaf ? FLAG_LEAF : FLAG_BRANCH))
        return "it is of another kind";
    if (lower < PAGE_HEAD || lower % 2 || lower > upper || upper > PAGE || node_count(page) < (leaf ? 1 : 2))
        return "its head is damaged";
    page_bytes before = from;
    for (unsigned i = 0; i < node_count(page); i++) {
        if (!node_fits(page, i, leaf))
            return "an entry does not fit into it";
        page_bytes key = node_key(node_at(page, i));
        if (!leaf && i == 0)
            continue;
        bool ascends = key.len && (!before.len || compare_keys(w, before, key) < (leaf && i == 0 ? 1 : 0));
        if (!ascends || (to.len && compare_keys(w, key, to) >= 0))
            return "its keys are out of order";
        before = key;
    }
    return NULL;
}

/* ---- values on pages of their own ---- */

/* The value of an entry; false if it cannot be read. Without a visitor only its pages are looked at. */
static bool big_value(walk *w, const uint8_t *node, page_bytes *out)
{
    page_file *f = w->f;
    uint8_t head[PAGE_HEAD];
    uint64_t len = node_value_len(node), pages = (PAGE_HEAD + len + PAGE - 1) / PAGE;
    uint64_t first = get64(node + NODE_HEAD + get16(node + 6));
    if (first < HEADS || first > w->of->last_page || pages > f->n_pages || first + pages > f->n_pages)
        return false;
    bool once = true;
    for (uint64_t i = 0; i < pages; i++)
        once = mark_seen(f, first + i) && once;
    w->counted.overflows += pages;
    if (!once)
        return false;
    bool look = w->deep || w->visitor || w->free_list;
    if (look &&
        (!read_at(f, first, head, sizeof head) || get64(head) != first || get16(head + 10) != FLAG_OVERFLOW))
        return false;
    uint32_t said = 0;
    memcpy(&said, head + 12, look ? sizeof said : 0);
    if (look && said != pages)
        return false;
    if (!w->visitor && !w->free_list)
        return true;
    if (len > f->value_cap) {
        f->value_cap = len;
        f->value = memory_grow(f->value, len);
    }
    *out = (page_bytes){f->value, len};
    return pread(f->fd, f->value, len, (off_t)(first * PAGE + PAGE_HEAD)) == (ssize_t)len;
}

/* ---- a tree ---- */

/* An entry of the list of free pages: how many, then their numbers, descending. */
static const char *free_pages_fault(walk *w, page_bytes key, page_bytes value)
{
    if (key.len != 8 || get64(key.data) == 0 || get64(key.data) > w->of->transaction)
        return "its list of free pages names a commit that never was";
    uint64_t n = value.len >= 8 ? get64(value.data) : UINT64_MAX, before = UINT64_MAX;
    if (n > value.len / 8 || value.len != (n + 1) * 8)
        return "its list of free pages is damaged";
    for (uint64_t i = 1; i <= n; i++) {
        uint64_t page = get64(value.data + 8 * i);
        if (page >= before || page < HEADS || page > w->of->last_page)
            return "its list of free pages is damaged";
        if (page < w->f->n_pages && !mark_seen(w->f, page))
            return "it calls a page free that is in use";
        before = page;
    }
    return NULL;
}

static void walk_tree(walk *w, const tree *t);

static void enter_table(const walk *outer, page_bytes name, page_bytes value)
{
    tree t;
    walk w = *outer;
    memcpy(&t, value.data, sizeof t);
    memcpy(w.table, name.data, name.len);
    w.table[name.len] = '\0';
    w.counted = (tree){0};
    w.nesting++;
    walk_tree(&w, &t);
}

static void walk_entry(walk *w, uint64_t number, const uint8_t *node, page_bytes end)
{
    uint16_t flags = get16(node + 4);
    page_bytes key = node_key(node), value = {node + NODE_HEAD + key.len, node_value_len(node)};
    w->counted.entries++;
    if (flags & NODE_BIG && !big_value(w, node, &value)) {
        lose(w, number, "the pages of a value are damaged", key, end);
        return;
    }
    if (flags & NODE_TABLE) {
        if (w->nesting == 0 && !(flags & NODE_BIG) && value.len == sizeof(tree) && key.len <= TABLE_NAME_MAX)
            enter_table(w, key, value);
        else
            lose(w, number, "a table's entry is damaged", key, end);
    } else if (w->free_list) {
        const char *fault = free_pages_fault(w, key, value);
        if (fault)
            note(w, number, fault);
    } else if (w->visitor) {
        w->visitor->on_entry(w->visitor->arg, w->table, key, value);
    }
}

/* The children of a branch lie all over the file: the disk may bring them side by side while the first ones
 * are looked at, not one after the other. */
static void fetch_children(const page_file *f, const uint8_t *page)
{
    for (unsigned i = 0, n = node_count(page); i < n; i++) {
        uint64_t child = node_child(node_at(page, i));
        if (child < f->n_pages)
            posix_fadvise(f->fd, (off_t)(child * PAGE), PAGE, POSIX_FADV_WILLNEED);
    }
}

static void walk_page(walk *w, uint64_t number, unsigned level, unsigned depth, page_bytes from,
                      page_bytes to)
{
    page_file *f = w->f;
    uint8_t *page = f->levels + ((size_t)w->nesting * DEPTH_MAX + level) * PAGE;
    bool leaf = level + 1 == depth;
    if (number < HEADS || number > w->of->last_page || number >= f->n_pages || !mark_seen(f, number)) {
        lose(w, number, "it stands at a second place, or outside the file", from, to);
        return;
    }
    const char *fault = read_at(f, number, page, PAGE) ? page_fault(w, page, number, leaf, from, to)
                                                       : "it cannot be read from the disk";
    if (fault) {
        lose(w, number, fault, from, to);
        return;
    }
    *(leaf ? &w->counted.leaves : &w->counted.branches) += 1;
    if (!leaf)
        fetch_children(f, page);
    for (unsigned i = 0, n = node_count(page); i < n; i++) {
        const uint8_t *node = node_at(page, i);
        page_bytes end = i + 1 < n ? node_key(node_at(page, i + 1)) : to;
        if (leaf)
            walk_entry(w, number, node, end);
        else
            walk_page(w, node_child(node), level + 1, depth, i ? node_key(node) : from, end);
    }
}

static void walk_tree(walk *w, const tree *t)
{
    page_bytes unbound = {0};
    if (t->root == NO_ROOT)
        return;
    if (t->depth == 0 || t->depth > DEPTH_MAX || t->flags != (w->free_list ? TREE_NUMBERS : 0)) {
        lose(w, t->root, "a table's head is damaged", unbound, unbound);
        return;
    }
    walk_page(w, t->root, 0, t->depth, unbound, unbound);
    const tree *c = &w->counted;
    if (c->branches != t->branches || c->leaves != t->leaves || c->overflows != t->overflows ||
        c->entries != t->entries)
        note(w, t->root, "the table below it has more or fewer pages or entries than it says");
}

/* ---- asking ---- */

static void walk_snapshot(page_file *f, const head_page *of, const page_visitor *visitor, bool deep,
                          status *st)
{
    memset(f->seen, 0, f->n_pages / 8 + 1);
    walk w = {.f = f, .of = of, .visitor = visitor, .deep = deep, .st = st};
    walk_tree(&w, &of->main);
    walk free_list = {.f = f, .of = of, .free_list = true, .deep = deep, .st = st};
    if (!visitor)
        walk_tree(&free_list, &of->free_pages);
}

status_class page_file_check(page_file *f, bool deep, status *st)
{
    assert(f->n_snapshots > 0);
    st->class = STATUS_OK;
    if (!f->heads_whole)
        return status_set(st, STATUS_INVALID, "a head of the journal's file is damaged");
    walk_snapshot(f, &f->snapshots[0], NULL, deep, st);
    return st->class;
}

void page_file_visit(page_file *f, unsigned snapshot, const page_visitor *visitor)
{
    assert(snapshot < f->n_snapshots);
    walk_snapshot(f, &f->snapshots[snapshot], visitor, true, NULL);
}
