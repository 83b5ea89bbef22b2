/* penstock-check(1), made from the table of the cases. */
#ifndef PENSTOCK_CHECK_MAN_H
#define PENSTOCK_CHECK_MAN_H
#include <stdio.h>

void man_print(FILE *to);
#endif
