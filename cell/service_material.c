/* penstock.material/1: the ways to text, secrets and files put together. It uses nothing but pst_host, so
 * penstock-check has it too. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cell/services.h"
#include "penstock/batch.h"

enum { SECRET_MAX = 16384, POINTER_MAX = 1024 };

static void on_release(pst_blob *blob)
{
    if (blob->data)
        explicit_bzero(blob->data, blob->len);
    free(blob->data);
    blob->data = NULL;
    blob->len = 0;
}

static pst_status allocate(pst_blob *out, size_t len, const char *path, pst_error *error)
{
    if (len > PST_MATERIAL_MAX)
        return pst_fail(error, PST_E_RESOURCE, path, "it has %zu bytes, the limit is %d", len,
                        PST_MATERIAL_MAX);
    out->data = calloc(1, len + 1);
    out->len = len;
    out->release = on_release;
    return out->data ? PST_OK : pst_fail(error, PST_E_RESOURCE, path, "no memory for %zu bytes", len);
}

static pst_status from_text(const char *text, const char *path, pst_blob *out, pst_error *error)
{
    pst_status st = allocate(out, strlen(text), path, error);
    if (!st)
        memcpy(out->data, text, out->len);
    return st;
}

static pst_status from_secret(const pst_host *host, const pst_call *call, const char *path, pst_blob *out,
                              pst_error *error)
{
    size_t len = 0;
    pst_status st = allocate(out, SECRET_MAX + 1, path, error);
    if (!st)
        st = host->secret(host, call, path, out->data, SECRET_MAX + 1, &len, error);
    if (!st)
        out->len = len;
    return st;
}

static pst_status read_whole(int fd, const char *path, pst_blob *out, pst_error *error)
{
    struct stat s;
    if (fstat(fd, &s))
        return pst_fail(error, PST_E_UNAVAILABLE, path, "the file cannot be read: %s", strerror(errno));
    pst_status st = allocate(out, (size_t)s.st_size, path, error);
    size_t got = 0;
    for (ssize_t n = 1; !st && n > 0 && got < out->len; got += (size_t)n) {
        n = read(fd, (char *)out->data + got, out->len - got);
        if (n < 0)
            return pst_fail(error, PST_E_UNAVAILABLE, path, "the file cannot be read: %s", strerror(errno));
    }
    out->len = got;
    return st;
}

static pst_status from_file(const pst_host *host, const pst_call *call, const char *path, pst_blob *out,
                            pst_error *error)
{
    const pst_files *files = host->get_service(host, PST_SERVICE_FILES);
    int fd;
    if (!files)
        return pst_fail(error, PST_E_UNSUPPORTED, path, "this host opens no files for plugins");
    pst_status st = files->open(host, call, host->config_text(host, path), &fd, error);
    if (st) {
        snprintf(error->where, sizeof error->where, "%s", path);
        return st;
    }
    st = read_whole(fd, path, out, error);
    close(fd);
    return st;
}

static pst_status on_fetch(const pst_host *host, const pst_call *call, const char *path, pst_blob *out,
                           pst_error *error)
{
    static const char *const ways[] = {"pem", "secret", "file"};
    char at[POINTER_MAX];
    size_t way = 0;
    for (; way < 3; way++) {
        snprintf(at, sizeof at, "%s/%s", path, ways[way]);
        if (host->config_text(host, at))
            break;
    }
    pst_status st = way == 0   ? from_text(host->config_text(host, at), at, out, error)
                    : way == 1 ? from_secret(host, call, at, out, error)
                    : way == 2
                        ? from_file(host, call, at, out, error)
                        : pst_fail(error, PST_E_CONFIG, path, "one of pem, secret and file is expected");
    if (st && out->data)
        on_release(out);
    return st;
}

const pst_material_service service_material = {.struct_size = sizeof(pst_material_service),
                                               .fetch = on_fetch};
