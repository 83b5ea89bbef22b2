/* CRC-32C (Castagnoli), as the parts of journal records carry it. By the processor where it can, by table
 * elsewhere. */
#ifndef PENSTOCK_FLOW_JOURNAL_CRC_H
#define PENSTOCK_FLOW_JOURNAL_CRC_H
#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc`; start with 0. */
uint32_t journal_crc(uint32_t crc, const void *data, size_t len);
/* The same by table only, for the tests. */
uint32_t journal_crc_table(uint32_t crc, const void *data, size_t len);
#endif
