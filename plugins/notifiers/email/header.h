/* Values of mail headers that cannot break out of their line. */
#ifndef EMAIL_HEADER_H
#define EMAIL_HEADER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEADER_VALUE_MAX 4096u

/* Free text for a header: as it is if printable ASCII, else encoded words (RFC 2047, UTF-8, base64), folded.
 * Control characters become blanks; text beyond what fits is cut at a character. */
void header_text(const char *text, char *out, size_t cap);
/* One mailbox, local@domain, ASCII, nothing that means something to SMTP or to a header. */
bool header_is_address(const char *text);
/* "Thu, 01 Jan 2026 12:00:00 +0000" */
void header_date(int64_t wall_us, char *out, size_t cap);
#endif
