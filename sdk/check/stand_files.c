/* penstock.files on the stand: relative paths lie below the project's folder, and nothing outside of it is
 * given out. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check/stand.h"

/* The real path, if it lies below the folder. */
static pst_status resolve(const pst_host *host, const char *path, char out[4096], pst_error *error)
{
    const stand *t = host->host_data;
    char full[8300];
    project_path(&t->subject->project, path, full, sizeof full);
    char *real = realpath(full, NULL), *folder = realpath(t->subject->project.folder, NULL);
    size_t len = folder ? strlen(folder) : 0;
    pst_status status = PST_OK;
    if (!real)
        status = pst_fail(error, PST_E_CONFIG, NULL, "%s: %s", path, strerror(errno));
    else if (!folder || strncmp(real, folder, len) != 0 || (real[len] && real[len] != '/'))
        status = pst_fail(error, PST_E_CONFIG, NULL, "%s lies outside of the folders that are granted", path);
    else
        snprintf(out, 4096, "%s", real);
    free(real);
    free(folder);
    return status;
}

static bool describe(const char *path, const char *name, pst_file *out)
{
    struct stat s;
    if (stat(path, &s) != 0 || (!S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode)) ||
        strlen(name) >= sizeof out->name)
        return false;
    *out = (pst_file){.kind = S_ISREG(s.st_mode) ? PST_FILE_REGULAR : PST_FILE_FOLDER,
                      .device = s.st_dev,
                      .inode = s.st_ino,
                      .bytes = s.st_size,
                      .modified_us = (int64_t)s.st_mtim.tv_sec * 1000000 + s.st_mtim.tv_nsec / 1000};
    memcpy(out->name, name, strlen(name) + 1);
    return true;
}

static pst_status on_open(const pst_host *host, const pst_call *call, const char *path, int *fd_out,
                          pst_error *error)
{
    (void)call;
    char real[4096];
    pst_status status = resolve(host, path, real, error);
    *fd_out = status == PST_OK ? open(real, O_RDONLY | O_CLOEXEC) : -1;
    return status == PST_OK && *fd_out < 0
               ? pst_fail(error, PST_E_CONFIG, NULL, "%s: %s", path, strerror(errno))
               : status;
}

static pst_status on_find(const pst_host *host, const pst_call *call, const char *path, pst_file *out,
                          pst_error *error)
{
    (void)call;
    char real[4096];
    pst_status status = resolve(host, path, real, error);
    if (status == PST_OK && !describe(real, strrchr(real, '/') + 1, out))
        status = pst_fail(error, PST_E_CONFIG, NULL, "%s is neither a file nor a folder", path);
    return status;
}

static pst_status on_list(const pst_host *host, const pst_call *call, const char *folder, const char *pattern,
                          const char *after, pst_file *out, size_t cap, size_t *n_out, pst_error *error)
{
    (void)call;
    char real[4096], path[4400];
    struct dirent **found = NULL;
    *n_out = 0;
    pst_status status = resolve(host, folder, real, error);
    if (status != PST_OK)
        return status;
    int n = scandir(real, &found, NULL, NULL);
    if (n < 0)
        return pst_fail(error, PST_E_CONFIG, NULL, "%s: %s", folder, strerror(errno));
    for (size_t taken = 0; taken < cap; taken++) { /* the smallest name behind the last one */
        const char *next = NULL;
        for (int i = 0; i < n; i++) {
            const char *name = found[i]->d_name;
            bool fits = fnmatch(pattern ? pattern : "*", name, FNM_PERIOD) == 0 && strcmp(name, ".") != 0 &&
                        strcmp(name, "..") != 0;
            if (fits && (!after || strcmp(name, after) > 0) && (!next || strcmp(name, next) < 0))
                next = name;
        }
        if (!next)
            break;
        after = next;
        snprintf(path, sizeof path, "%s/%s", real, next);
        *n_out += describe(path, next, &out[*n_out]);
    }
    for (int i = 0; i < n; i++)
        free(found[i]);
    free(found);
    return PST_OK;
}

const pst_files stand_files = {
    .struct_size = sizeof(pst_files), .open = on_open, .find = on_find, .list = on_list};
