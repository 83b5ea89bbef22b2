/* What the dynamic section of a shared object says, read without loading it. */
#ifndef PENSTOCK_CHECK_ELF_FACTS_H
#define PENSTOCK_CHECK_ELF_FACTS_H
#include <stdbool.h>
#include <stddef.h>

typedef struct elf_facts {
    bool readable, rpath, bind_now, executable_stack;
    char imports[16384]; /* names of undefined symbols, one a line, without versions */
} elf_facts;

void elf_facts_read(const char *path, elf_facts *out);
bool elf_facts_import(const elf_facts *f, const char *name);
#endif
