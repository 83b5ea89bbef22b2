/* Which symbols a shared object exports, read from its dynamic symbol table without loading it: loading would
 * run its constructors. */
#ifndef PENSTOCK_CELL_ELF_EXPORTS_H
#define PENSTOCK_CELL_ELF_EXPORTS_H
#include <stdbool.h>
#include <stddef.h>

/* True if the file is a shared object for this machine that exports exactly `symbol`; else `why` says what is
 * wrong. */
bool elf_exports_only(const char *path, const char *symbol, char *why, size_t why_size);
#endif
