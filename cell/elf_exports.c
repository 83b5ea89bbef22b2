/* Maps the file and walks its SHT_DYNSYM section. Every offset comes from the file and is checked against its
 * size. */
#include "cell/elf_exports.h"

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#else
#error "this machine is not supported"
#endif

typedef struct object {
    const uint8_t *data;
    size_t size;
    const Elf64_Sym *symbols;
    size_t n_symbols;
    const char *names; /* NUL-terminated as a whole */
    size_t names_size;
} object;

/* The table [offset, offset+size) as a pointer, or NULL if it is not inside the file. */
static const void *inside(const object *o, uint64_t offset, uint64_t size, size_t align)
{
    if (offset > o->size || size > o->size - offset || offset % align)
        return NULL;
    return o->data + offset;
}

static const char *find_symbols(object *o)
{
    const Elf64_Ehdr *head = inside(o, 0, sizeof *head, 8);
    if (!head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0)
        return "not a shared object";
    if (head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_machine != MACHINE || head->e_type != ET_DYN)
        return "not a shared object for this machine";
    const Elf64_Shdr *sections = inside(o, head->e_shoff, (uint64_t)head->e_shnum * sizeof *sections, 8);
    if (!sections || head->e_shentsize != sizeof *sections)
        return "broken section table";
    for (uint32_t i = 0; i < head->e_shnum; i++) {
        const Elf64_Shdr *s = &sections[i];
        if (s->sh_type != SHT_DYNSYM || s->sh_link >= head->e_shnum)
            continue;
        const Elf64_Shdr *names = &sections[s->sh_link];
        o->symbols = inside(o, s->sh_offset, s->sh_size, 8);
        o->n_symbols = s->sh_size / sizeof *o->symbols;
        o->names = inside(o, names->sh_offset, names->sh_size, 1);
        o->names_size = names->sh_size;
        if (o->symbols && o->names && o->names_size && !o->names[o->names_size - 1])
            return NULL;
        return "broken symbol table";
    }
    return "no dynamic symbols";
}

/* What a linker adds by itself, and the address sanitizer for each global. */
static bool is_linkers_own(const char *name)
{
    static const char *const own[] = {"_init", "_fini", "_edata", "_end", "__bss_start"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (!strcmp(name, own[i]))
            return true;
    return !strncmp(name, "__odr_asan.", 11);
}

static bool is_exported(const Elf64_Sym *s)
{
    unsigned bind = ELF64_ST_BIND(s->st_info), visibility = ELF64_ST_VISIBILITY(s->st_other);
    return s->st_shndx != SHN_UNDEF && s->st_shndx != SHN_ABS && bind != STB_LOCAL &&
           (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

static bool check_symbols(const object *o, const char *symbol, char *why, size_t why_size)
{
    bool found = false;
    for (size_t i = 0; i < o->n_symbols; i++) {
        if (!is_exported(&o->symbols[i]) || o->symbols[i].st_name >= o->names_size)
            continue;
        const char *name = o->names + o->symbols[i].st_name;
        if (!strcmp(name, symbol)) {
            found = true;
        } else if (!is_linkers_own(name)) {
            snprintf(why, why_size, "exports %.100s beside %s: build it with -fvisibility=hidden", name,
                     symbol);
            return false;
        }
    }
    if (!found)
        snprintf(why, why_size, "does not export %s: not a Penstock plugin", symbol);
    return found;
}

bool elf_exports_only(const char *path, const char *symbol, char *why, size_t why_size)
{
    struct stat facts;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &facts) != 0 || facts.st_size <= 0) {
        snprintf(why, why_size, "cannot be read, or is empty");
        if (fd >= 0)
            close(fd);
        return false;
    }
    object o = {.size = (size_t)facts.st_size};
    void *data = mmap(NULL, o.size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data == MAP_FAILED) {
        snprintf(why, why_size, "cannot be mapped");
        return false;
    }
    o.data = data;
    const char *wrong = find_symbols(&o);
    if (wrong)
        snprintf(why, why_size, "%s", wrong);
    bool fine = !wrong && check_symbols(&o, symbol, why, why_size);
    munmap(data, o.size);
    return fine;
}
