/* One tree after the other, from its root to its leaves; nothing that a page says is believed before it was
 * checked. */
#include "flow/journal_walk.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "flow/journal_leaves.h"

/* ---- damage ---- */

void walk_note(walk *w, uint64_t page, const char *what)
{
    if (w->st && w->st->class == STATUS_OK)
        status_set(w->st, STATUS_INVALID, "page %llu of the journal's file: %s", (unsigned long long)page,
                   what);
}

static void lose(walk *w, uint64_t page, const char *what, page_bytes from, page_bytes to)
{
    walk_note(w, page, what);
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
        once = page_mark_seen(f, first + i) && once;
    w->counted.overflows += pages;
    if (!once)
        return false;
    bool look = w->deep || w->visitor || w->free_list;
    if (look && (!page_read(f, first, head, sizeof head) || get64(head) != first ||
                 get16(head + 10) != FLAG_OVERFLOW))
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
        if (page < w->f->n_pages && !page_mark_seen(w->f, page))
            return "it calls a page free that is in use";
        before = page;
    }
    return NULL;
}

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
            walk_note(w, number, fault);
    } else if (w->visitor) {
        w->visitor->on_entry(w->visitor->arg, w->table, key, value);
    }
}

void walk_leaf(walk *w, uint64_t number, const uint8_t *page, page_bytes from, page_bytes to)
{
    const char *fault = page_fault(w, page, number, true, from, to);
    if (fault) {
        lose(w, number, fault, from, to);
        return;
    }
    w->counted.leaves++;
    for (unsigned i = 0, n = node_count(page); i < n; i++)
        walk_entry(w, number, node_at(page, i), i + 1 < n ? node_key(node_at(page, i + 1)) : to);
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
                      page_bytes to);

static void walk_branch(walk *w, uint64_t number, unsigned level, unsigned depth, page_bytes from,
                        page_bytes to)
{
    const uint8_t *page = w->f->levels + ((size_t)w->nesting * DEPTH_MAX + level) * PAGE;
    const char *fault = page_fault(w, page, number, false, from, to);
    if (fault) {
        lose(w, number, fault, from, to);
        return;
    }
    w->counted.branches++;
    if (!w->later || level + 2 < depth)
        fetch_children(w->f, page);
    for (unsigned i = 0, n = node_count(page); i < n; i++) {
        const uint8_t *node = node_at(page, i);
        walk_page(w, node_child(node), level + 1, depth, i ? node_key(node) : from,
                  i + 1 < n ? node_key(node_at(page, i + 1)) : to);
    }
}

static void walk_page(walk *w, uint64_t number, unsigned level, unsigned depth, page_bytes from,
                      page_bytes to)
{
    page_file *f = w->f;
    uint8_t *page = f->levels + ((size_t)w->nesting * DEPTH_MAX + level) * PAGE;
    bool leaf = level + 1 == depth;
    if (number < HEADS || number > w->of->last_page || number >= f->n_pages || !page_mark_seen(f, number))
        lose(w, number, "it stands at a second place, or outside the file", from, to);
    else if (leaf && w->later && leaf_list_add(w->later, number, from, to))
        return;
    else if (!page_read(f, number, page, PAGE))
        lose(w, number, "it cannot be read from the disk", from, to);
    else if (leaf)
        walk_leaf(w, number, page, from, to);
    else
        walk_branch(w, number, level, depth, from, to);
}

bool walk_is_whole(const tree *counted, const tree *expected)
{
    return counted->branches == expected->branches && counted->leaves == expected->leaves &&
           counted->overflows == expected->overflows && counted->entries == expected->entries;
}

/* False: they are left for later. */
static bool look_at_leaves(walk *w, const tree *t)
{
    status st;
    if (w->rest && !w->rest->leaves && leaf_list_count(w->later) > w->rest->at_once) {
        w->rest->leaves = w->later;
        w->rest->expected = *t;
        w->rest->counted = w->counted;
        return false;
    }
    if (leaf_list_check(w->later, w, LEAF_THREADS, &w->counted, &st) != STATUS_OK &&
        w->st->class == STATUS_OK)
        *w->st = st;
    leaf_list_free(w->later);
    return true;
}

void walk_tree(walk *w, const tree *t)
{
    page_bytes unbound = {0};
    if (t->root == NO_ROOT)
        return;
    if (t->depth == 0 || t->depth > DEPTH_MAX || t->flags != (w->free_list ? TREE_NUMBERS : 0)) {
        lose(w, t->root, "a table's head is damaged", unbound, unbound);
        return;
    }
    bool apart = !w->visitor && !w->free_list && w->nesting > 0;
    w->later = apart ? leaf_list_create() : NULL;
    walk_page(w, t->root, 0, t->depth, unbound, unbound);
    if (apart && !look_at_leaves(w, t))
        return;
    if (!walk_is_whole(&w->counted, t))
        walk_note(w, t->root, WALK_NOT_WHOLE);
}
