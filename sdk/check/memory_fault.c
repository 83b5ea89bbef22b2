/* The loader has put the addresses of imported functions into a table of the object. The relocations say
 * where; the entries of the allocating functions are exchanged there. So it works beside a sanitizer, too. */
#include "check/memory_fault.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check/verdict.h"

static unsigned until; /* allocations up to the one that fails; 0 = none does */
static bool fired;

static bool fails(void)
{
    if (!until || --until)
        return false;
    fired = true;
    return true;
}

static void *on_malloc(size_t size)
{
    return fails() ? NULL : malloc(size);
}

static void *on_calloc(size_t n, size_t size)
{
    return fails() ? NULL : calloc(n, size);
}

static void *on_realloc(void *old, size_t size)
{
    return fails() ? NULL : realloc(old, size);
}

static char *on_strdup(const char *s)
{
    return fails() ? NULL : strdup(s);
}

typedef struct import {
    const char *name;
    void *ours;
} import;

static void *ours_for(const char *name)
{
    const import imports[] = {{"malloc", (void *)on_malloc},
                              {"calloc", (void *)on_calloc},
                              {"realloc", (void *)on_realloc},
                              {"strdup", (void *)on_strdup}};
    for (size_t i = 0; i < sizeof imports / sizeof *imports; i++)
        if (!strcmp(name, imports[i].name))
            return imports[i].ours;
    return NULL;
}

/* The loader tells where its tables are in numbers. */
static void *place(uintptr_t at)
{
    return (void *)at; /* NOLINT(performance-no-int-to-ptr) */
}

/* The table is read-only since the object is bound at load. */
static void slot_set(void **slot, void *value)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)slot / page * page;
    if (mprotect(place(at), page, PROT_READ | PROT_WRITE) != 0)
        verdict_fail(NULL, "its import table cannot be written");
    *slot = value;
}

static void table_patch(const struct link_map *map, const Elf64_Rela *r, size_t n, const Elf64_Sym *symbols,
                        const char *names)
{
    for (size_t i = 0; r && i < n; i++) {
        const Elf64_Sym *s = &symbols[ELF64_R_SYM(r[i].r_info)];
        void *ours = ELF64_R_SYM(r[i].r_info) ? ours_for(names + s->st_name) : NULL;
        if (ours)
            slot_set(place(map->l_addr + r[i].r_offset), ours);
    }
}

void memory_fault_install(void *handle)
{
    struct link_map *map = NULL;
    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0)
        verdict_fail(NULL, "the loader does not say where it is");
    uintptr_t at[DT_NUM] = {0};
    for (const Elf64_Dyn *d = map->l_ld; d->d_tag != DT_NULL; d++)
        if (d->d_tag > 0 && d->d_tag < DT_NUM)
            at[d->d_tag] = d->d_un.d_ptr;
    const Elf64_Sym *symbols = place(at[DT_SYMTAB]);
    const char *names = place(at[DT_STRTAB]);
    table_patch(map, place(at[DT_JMPREL]), at[DT_PLTRELSZ] / sizeof(Elf64_Rela), symbols, names);
    table_patch(map, place(at[DT_RELA]), at[DT_RELASZ] / sizeof(Elf64_Rela), symbols, names);
}

void memory_fault_arm(unsigned nth)
{
    until = nth;
    fired = false;
}

bool memory_fault_fired(void)
{
    return fired;
}
