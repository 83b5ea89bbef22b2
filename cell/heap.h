/* The cell's heap between calls: kept while calls follow one another, so that the same pages serve the next
 * batch without a fault a page; given back once the cell was idle for a moment. */
#ifndef PENSTOCK_CELL_HEAP_H
#define PENSTOCK_CELL_HEAP_H

enum { HEAP_IDLE_MS = 1000 };

void heap_begin(void); /* before the first thread */
void heap_rest(void);  /* nothing was asked for HEAP_IDLE_MS */
#endif
