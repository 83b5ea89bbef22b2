/* The man pages, made from the command tables: penstock(1) and one penstock-NOUN(1) a noun. */
#ifndef PENSTOCK_CLI_MAN_PAGE_H
#define PENSTOCK_CLI_MAN_PAGE_H
#include <stdio.h>

/* `noun` NULL = penstock(1). */
void man_page_print(FILE *to, const char *noun);
#endif
