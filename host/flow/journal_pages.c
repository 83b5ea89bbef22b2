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
#include "flow/journal_leaves.h"

static const uint32_t META_MAGIC = 0xBEEFC0DE, META_VERSION = 1;

/* ---- pages ---- */

bool page_read(const page_file *f, uint64_t page, void *out, size_t len)
{
    return pread(f->fd, out, len, (off_t)(page * PAGE)) == (ssize_t)len;
}

bool page_mark_seen(page_file *f, uint64_t page)
{
    uint8_t bit = (uint8_t)(1U << (page & 7));
    return !(__atomic_fetch_or(&f->seen[page >> 3], bit, __ATOMIC_RELAXED) & bit);
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
        if (!page_read(f, i, page, sizeof page))
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

/* ---- asking ---- */

/* The free pages come first where leaves are left for later: who finds that one of them is in use does not
 * matter. */
static void check_newest(page_file *f, bool deep, page_rest *rest, status *st)
{
    const head_page *of = &f->snapshots[0];
    memset(f->seen, 0, f->n_pages / 8 + 1);
    walk w = {.f = f, .of = of, .deep = deep, .rest = rest, .st = st};
    walk_tree(&w, &of->main);
    walk free_list = {.f = f, .of = of, .free_list = true, .deep = deep, .st = st};
    walk_tree(&free_list, &of->free_pages);
}

void page_rest_free(page_rest *r)
{
    if (!r)
        return;
    leaf_list_free(r->leaves);
    free(r);
}

status_class page_file_check(page_file *f, bool deep, size_t at_once, page_rest **rest_out, status *st)
{
    assert(f->n_snapshots > 0);
    st->class = STATUS_OK;
    if (rest_out)
        *rest_out = NULL;
    if (!f->heads_whole)
        return status_set(st, STATUS_INVALID, "a head of the journal's file is damaged");
    page_rest *rest = rest_out ? memory_zero(1, sizeof *rest) : NULL;
    if (rest)
        rest->at_once = at_once;
    check_newest(f, deep, rest, st);
    if (st->class == STATUS_OK && rest && rest->leaves)
        *rest_out = rest;
    else
        page_rest_free(rest);
    return st->class;
}

void page_file_visit(page_file *f, unsigned snapshot, const page_visitor *visitor)
{
    assert(snapshot < f->n_snapshots);
    const head_page *of = &f->snapshots[snapshot];
    memset(f->seen, 0, f->n_pages / 8 + 1);
    walk w = {.f = f, .of = of, .visitor = visitor, .deep = true};
    walk_tree(&w, &of->main);
}
