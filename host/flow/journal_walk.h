/* Walking the trees of a journal's file, page by page. Private to journal_pages.c, journal_walk.c,
 * journal_leaves.c and journal_doubts.c. */
#ifndef PENSTOCK_FLOW_JOURNAL_WALK_H
#define PENSTOCK_FLOW_JOURNAL_WALK_H
#include <string.h>

#include "flow/journal_pages.h"

enum { PAGE = 4096, PAGE_HEAD = 16, NODE_HEAD = 8, DEPTH_MAX = 32, HEADS = 2, TABLE_NAME_MAX = 32 };
enum { FLAG_BRANCH = 1, FLAG_LEAF = 2, FLAG_OVERFLOW = 4, FLAG_META = 8 };
enum { NODE_BIG = 1, NODE_TABLE = 2 };
enum { TREE_NUMBERS = 8 }; /* its keys are numbers in the machine's order */
#define NO_ROOT UINT64_MAX

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

typedef struct leaf_list leaf_list;

/* Leaves that were not looked at, because there are many. */
struct page_rest {
    size_t at_once; /* so many are looked at */
    leaf_list *leaves;
    tree expected, counted;
};

typedef struct walk {
    page_file *f;
    const head_page *of;
    const page_visitor *visitor; /* NULL: only check */
    char table[TABLE_NAME_MAX + 1];
    bool free_list, deep;
    unsigned nesting;
    tree counted;     /* what was found */
    leaf_list *later; /* leaves of this table, looked at when its branches have been; NULL = at once */
    page_rest *rest;  /* where a large table's leaves are left; NULL = nothing is left */
    status *st;       /* the first damage */
} walk;

static inline uint16_t get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

bool page_read(const page_file *f, uint64_t page, void *out, size_t len);
/* False: it was seen before. Any thread. */
bool page_mark_seen(page_file *f, uint64_t page);

void walk_tree(walk *w, const tree *t);
/* Was that what the table says it has? */
#define WALK_NOT_WHOLE "the table below it has more or fewer pages or entries than it says"
bool walk_is_whole(const tree *counted, const tree *expected);
/* The first damage counts. */
void walk_note(walk *w, uint64_t page, const char *what);
/* One leaf, which must hold keys in [from, to) only, is in `page`. Without a visitor any thread with a walk
 * of its own. */
void walk_leaf(walk *w, uint64_t number, const uint8_t *page, page_bytes from, page_bytes to);
#endif
