/* penstock.files as a plugin sees it, answered in the test process by the system calls themselves. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "plugin_bench.h"

static pst_status failed(pst_error *error, const char *path)
{
    error->vendor_code = errno;
    return pst_fail(error, errno == ENOENT ? PST_E_UNAVAILABLE : PST_E_CONFIG, NULL, "%s: %s", path,
                    strerror(errno));
}

static pst_status on_open(const pst_host *host, const pst_call *call, const char *path, int *fd_out,
                          pst_error *error)
{
    (void)host, (void)call;
    *fd_out = open(path, O_RDONLY | O_CLOEXEC);
    return *fd_out < 0 ? failed(error, path) : PST_OK;
}

static pst_status on_find(const pst_host *host, const pst_call *call, const char *path, pst_file *out,
                          pst_error *error)
{
    (void)host, (void)call;
    struct stat s;
    const char *slash = strrchr(path, '/');
    if (stat(path, &s))
        return failed(error, path);
    *out = (pst_file){.kind = S_ISREG(s.st_mode)   ? PST_FILE_REGULAR
                              : S_ISDIR(s.st_mode) ? PST_FILE_FOLDER
                                                   : 0,
                      .device = s.st_dev,
                      .inode = s.st_ino,
                      .bytes = s.st_size};
    snprintf(out->name, sizeof out->name, "%s", slash ? slash + 1 : path);
    return PST_OK;
}

/* Fewer than `cap` would mean that there are no more, so names are taken in order. */
static pst_status on_list(const pst_host *host, const pst_call *call, const char *folder, const char *pattern,
                          const char *after, pst_file *out, size_t cap, size_t *n_out, pst_error *error)
{
    struct dirent **names;
    char path[4096];
    int n = scandir(folder, &names, NULL, alphasort);
    *n_out = 0;
    if (n < 0)
        return failed(error, folder);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (*n_out < cap && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
            !fnmatch(pattern, name, FNM_PERIOD) && (!after || strcmp(name, after) > 0) &&
            on_find(host, call, path, &out[*n_out], error) == PST_OK)
            ++*n_out;
        free(names[i]);
    }
    free(names);
    return PST_OK;
}

const pst_files *plugin_bench_files(void)
{
    static const pst_files files = {
        .struct_size = sizeof files, .open = on_open, .find = on_find, .list = on_list};
    return &files;
}
