/* First line: an expression; the rest: what it is matched against; both also as every format. */
#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "schema/format.h"
#include "schema/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    status st;
    const char *s = (const char *)data, *end = size ? memchr(s, '\n', size) : NULL;
    size_t len = end ? (size_t)(end - s) : size;
    for (int kind = 1; kind < FORMAT_COUNT; kind++)
        format_check((format_kind)kind, s, len);
    pattern *p = pattern_compile(s, len, &st);
    if (p && end && utf8_valid(end + 1, size - len - 1))
        pattern_match(p, end + 1, size - len - 1);
    pattern_free(p);
    return 0;
}
