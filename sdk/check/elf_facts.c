/* Every offset is checked against the size of the file. 64-bit objects only, as everywhere. */
#include "check/elf_facts.h"

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct image {
    const uint8_t *data;
    size_t size;
} image;

static const void *inside(const image *o, uint64_t offset, uint64_t size)
{
    return offset <= o->size && size <= o->size - offset && offset % 8 == 0 ? o->data + offset : NULL;
}

static void dynamic_read(const Elf64_Dyn *d, size_t n, elf_facts *out)
{
    for (size_t i = 0; i < n && d[i].d_tag != DT_NULL; i++) {
        out->rpath = out->rpath || d[i].d_tag == DT_RPATH || d[i].d_tag == DT_RUNPATH;
        out->bind_now = out->bind_now || d[i].d_tag == DT_BIND_NOW ||
                        (d[i].d_tag == DT_FLAGS && d[i].d_un.d_val & DF_BIND_NOW) ||
                        (d[i].d_tag == DT_FLAGS_1 && d[i].d_un.d_val & DF_1_NOW);
    }
}

static void segments_read(const image *o, const Elf64_Ehdr *head, elf_facts *out)
{
    const Elf64_Phdr *p = inside(o, head->e_phoff, (uint64_t)head->e_phnum * sizeof *p);
    out->executable_stack = true; /* without the segment the kernel assumes the worst */
    for (int i = 0; p && i < head->e_phnum; i++) {
        if (p[i].p_type == PT_GNU_STACK)
            out->executable_stack = p[i].p_flags & PF_X;
        const Elf64_Dyn *d = p[i].p_type == PT_DYNAMIC ? inside(o, p[i].p_offset, p[i].p_filesz) : NULL;
        if (d)
            dynamic_read(d, p[i].p_filesz / sizeof *d, out);
    }
}

static void imports_read(const image *o, const Elf64_Shdr *symbols, const Elf64_Shdr *names, elf_facts *out)
{
    const Elf64_Sym *s = inside(o, symbols->sh_offset, symbols->sh_size);
    const char *text = names->sh_offset <= o->size && names->sh_size <= o->size - names->sh_offset
                           ? (const char *)o->data + names->sh_offset
                           : NULL;
    size_t at = 0, n = symbols->sh_size / sizeof *s;
    out->imports[at++] = '\n';
    for (size_t i = 0; s && text && names->sh_size && !text[names->sh_size - 1] && i < n; i++) {
        if (s[i].st_shndx != SHN_UNDEF || s[i].st_name >= names->sh_size)
            continue;
        size_t len = strlen(text + s[i].st_name);
        if (at + len + 2 > sizeof out->imports)
            break;
        memcpy(out->imports + at, text + s[i].st_name, len);
        at += len;
        out->imports[at++] = '\n';
    }
}

static void image_read(const image *o, elf_facts *out)
{
    const Elf64_Ehdr *head = inside(o, 0, sizeof *head);
    if (!head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_ident[EI_CLASS] != ELFCLASS64)
        return;
    out->readable = true;
    segments_read(o, head, out);
    const Elf64_Shdr *s = inside(o, head->e_shoff, (uint64_t)head->e_shnum * sizeof *s);
    for (int i = 0; s && i < head->e_shnum; i++)
        if (s[i].sh_type == SHT_DYNSYM && s[i].sh_link < head->e_shnum)
            imports_read(o, &s[i], &s[s[i].sh_link], out);
}

void elf_facts_read(const char *path, elf_facts *out)
{
    struct stat facts;
    memset(out, 0, sizeof *out);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &facts) == 0 && facts.st_size > 0) {
        image o = {.size = (size_t)facts.st_size};
        void *data = mmap(NULL, o.size, PROT_READ, MAP_PRIVATE, fd, 0);
        o.data = data;
        if (data != MAP_FAILED) {
            image_read(&o, out);
            munmap(data, o.size);
        }
    }
    if (fd >= 0)
        close(fd);
}

bool elf_facts_import(const elf_facts *f, const char *name)
{
    char line[128];
    snprintf(line, sizeof line, "\n%s\n", name);
    return strstr(f->imports, line) != NULL;
}
