/* A table of the functions, filled by dlsym. The library stays loaded until the process ends: it does not
 * forget its threads and tables when it is unloaded. The sandbox lets a cell read the system's libraries at
 * any time, so nothing is opened for this. */
#include "late.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>

#define EACH_FUNCTION(X)        \
    X(curl_easy_cleanup)        \
    X(curl_easy_getinfo)        \
    X(curl_easy_init)           \
    X(curl_easy_setopt)         \
    X(curl_easy_strerror)       \
    X(curl_free)                \
    X(curl_mime_addpart)        \
    X(curl_mime_data)           \
    X(curl_mime_encoder)        \
    X(curl_mime_filename)       \
    X(curl_mime_free)           \
    X(curl_mime_headers)        \
    X(curl_mime_init)           \
    X(curl_mime_subparts)       \
    X(curl_mime_type)           \
    X(curl_multi_add_handle)    \
    X(curl_multi_cleanup)       \
    X(curl_multi_info_read)     \
    X(curl_multi_init)          \
    X(curl_multi_perform)       \
    X(curl_multi_poll)          \
    X(curl_multi_remove_handle) \
    X(curl_slist_append)        \
    X(curl_slist_free_all)      \
    X(curl_url)                 \
    X(curl_url_cleanup)         \
    X(curl_url_get)             \
    X(curl_url_set)

/* What tools that look for dependencies find in the file instead of a NEEDED entry
 * (https://uapi-group.org/specifications/specs/elf_dlopen_metadata/). */
#define NOTE                     \
    "[{\"soname\":[\"" LATE_CURL \
    "\"],\"feature\":\"transport\",\"description\":\"HTTP and SMTP\",\"priority\":\"required\"}]"
enum { NOTE_DLOPEN = 0x407c0c0a };
__attribute__((used, section(".note.dlopen"), aligned(4))) static const struct {
    uint32_t name_len, text_len, type;
    char name[4];
    _Alignas(4) char text[sizeof NOTE];
} note = {4, sizeof NOTE, NOTE_DLOPEN, "FDO", NOTE};

/* The headers turn some calls into macros that check types; here the functions are meant. */
#undef curl_easy_setopt
#undef curl_easy_getinfo

#define FIELD(name) __typeof__(name) *(name);
static struct {
    EACH_FUNCTION(FIELD)
} late;

pst_status late_bind(const char *library, pst_error *error)
{
#define ENTRY(name) {#name, (void *)&late.name},
    static const struct {
        const char *name;
        void *place; /* of the pointer to it */
    } functions[] = {EACH_FUNCTION(ENTRY)};
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return pst_fail(error, PST_E_UNAVAILABLE, NULL, "%s is needed: %s", library, dlerror());
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *found = dlsym(handle, functions[i].name);
        if (!found) {
            dlclose(handle);
            return pst_fail(error, PST_E_UNAVAILABLE, NULL, "%s is too old: it lacks %s", library,
                            functions[i].name);
        }
        memcpy(functions[i].place, &found, sizeof found);
    }
    return PST_OK;
}

/* ---- Easy ---- */

CURL *curl_easy_init(void)
{
    return late.curl_easy_init();
}

void curl_easy_cleanup(CURL *curl)
{
    if (curl)
        late.curl_easy_cleanup(curl);
}

const char *curl_easy_strerror(CURLcode code)
{
    return late.curl_easy_strerror(code);
}

/* The number of an option says what type its argument has. */
CURLcode curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
    va_list more;
    CURLcode code;
    va_start(more, option);
    /* NOLINTBEGIN(bugprone-branch-clone) only the types differ */
    if ((int)option < CURLOPTTYPE_OBJECTPOINT)
        code = late.curl_easy_setopt(curl, option, va_arg(more, long));
    else if ((int)option < CURLOPTTYPE_FUNCTIONPOINT)
        code = late.curl_easy_setopt(curl, option, va_arg(more, void *));
    else if ((int)option < CURLOPTTYPE_OFF_T)
        code = late.curl_easy_setopt(curl, option, va_arg(more, void (*)(void)));
    else if ((int)option < CURLOPTTYPE_BLOB)
        code = late.curl_easy_setopt(curl, option, va_arg(more, curl_off_t));
    else
        code = late.curl_easy_setopt(curl, option, va_arg(more, struct curl_blob *));
    /* NOLINTEND(bugprone-branch-clone) */
    va_end(more);
    return code;
}

CURLcode curl_easy_getinfo(CURL *curl, CURLINFO info, ...)
{
    va_list more;
    va_start(more, info);
    CURLcode code = late.curl_easy_getinfo(curl, info, va_arg(more, void *)); /* always a place for it */
    va_end(more);
    return code;
}

/* ---- Multi ---- */

CURLM *curl_multi_init(void)
{
    return late.curl_multi_init();
}

CURLMcode curl_multi_add_handle(CURLM *multi, CURL *curl)
{
    return late.curl_multi_add_handle(multi, curl);
}

CURLMcode curl_multi_remove_handle(CURLM *multi, CURL *curl)
{
    return late.curl_multi_remove_handle(multi, curl);
}

CURLMcode curl_multi_perform(CURLM *multi, int *running)
{
    return late.curl_multi_perform(multi, running);
}

CURLMcode curl_multi_poll(CURLM *multi, struct curl_waitfd *fds, unsigned n, int timeout_ms, int *ready)
{
    return late.curl_multi_poll(multi, fds, n, timeout_ms, ready);
}

CURLMsg *curl_multi_info_read(CURLM *multi, int *left)
{
    return late.curl_multi_info_read(multi, left);
}

CURLMcode curl_multi_cleanup(CURLM *multi)
{
    return multi ? late.curl_multi_cleanup(multi) : CURLM_OK;
}

/* ---- Lists, URLs ---- */

struct curl_slist *curl_slist_append(struct curl_slist *list, const char *text)
{
    return late.curl_slist_append(list, text);
}

void curl_slist_free_all(struct curl_slist *list)
{
    if (list)
        late.curl_slist_free_all(list);
}

void curl_free(void *p)
{
    if (p)
        late.curl_free(p);
}

CURLU *curl_url(void)
{
    return late.curl_url();
}

CURLUcode curl_url_set(CURLU *url, CURLUPart part, const char *text, unsigned flags)
{
    return late.curl_url_set(url, part, text, flags);
}

CURLUcode curl_url_get(CURLU *url, CURLUPart part, char **out, unsigned flags)
{
    return late.curl_url_get(url, part, out, flags);
}

void curl_url_cleanup(CURLU *url)
{
    if (url)
        late.curl_url_cleanup(url);
}

/* ---- MIME ---- */

curl_mime *curl_mime_init(CURL *curl)
{
    return late.curl_mime_init(curl);
}

curl_mimepart *curl_mime_addpart(curl_mime *mime)
{
    return late.curl_mime_addpart(mime);
}

CURLcode curl_mime_data(curl_mimepart *part, const char *data, size_t len)
{
    return late.curl_mime_data(part, data, len);
}

CURLcode curl_mime_type(curl_mimepart *part, const char *type)
{
    return late.curl_mime_type(part, type);
}

CURLcode curl_mime_encoder(curl_mimepart *part, const char *encoding)
{
    return late.curl_mime_encoder(part, encoding);
}

CURLcode curl_mime_filename(curl_mimepart *part, const char *name)
{
    return late.curl_mime_filename(part, name);
}

CURLcode curl_mime_headers(curl_mimepart *part, struct curl_slist *headers, int owned)
{
    return late.curl_mime_headers(part, headers, owned);
}

CURLcode curl_mime_subparts(curl_mimepart *part, curl_mime *parts)
{
    return late.curl_mime_subparts(part, parts);
}

void curl_mime_free(curl_mime *mime)
{
    if (mime)
        late.curl_mime_free(mime);
}
