/* What is asked for a position of a site, and where an answer leads. */
#ifndef HTTP_POLL_PAGING_H
#define HTTP_POLL_PAGING_H
#include "position.h"

typedef enum paging_by { PAGING_NONE, PAGING_PAGE, PAGING_OFFSET, PAGING_CURSOR, PAGING_LINK } paging_by;

typedef struct paging {
    const pst_host *host;
    const pst_json_service *json;
    paging_by by;
    bool keep, windows;
    int64_t size, most, every_us, offset_us;
} paging;

typedef struct page { /* what an answer says about itself */
    bool last;        /* nothing comes behind it in this poll */
    bool empty;       /* it is known to have no records */
} page;

pst_status paging_open(paging *g, const pst_host *host, pst_error *error);
/* A poll begins: its window, the first page. */
void paging_begin(const paging *g, position *p, int64_t now_us);
/* The poll ends without a page: what is there is known. */
void paging_end(const paging *g, position *p, int64_t now_us);
/* The URL and the body (empty = GET) of the page that `p` is at. */
pst_status paging_ask(const paging *g, const char *site, const position *p, wording *url, wording *body,
                      pst_error *error);
/* Moves `p` behind the page that was answered; at the end of a poll to the next one. PST_E_UNAVAILABLE: the
 * answer cannot be understood, and p is as it was. */
pst_status paging_advance(const paging *g, const pull_client *c, position *p, int64_t now_us, page *out,
                          pst_error *error);
#endif
