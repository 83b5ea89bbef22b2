/* With a CMakeLists.txt and CMake: that. Else the compiler itself, with the flags that the SDK's macro uses.
 * Either way the object file lies in <folder>/build. The SDK is the one beside this program, or the one that
 * pkg-config knows. */
#include "plugin_build.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk.h"
#include "complaint.h"
#include "exit_code.h"
#include "process.h"
#include "tool.h"

#define PATH_SIZE 4096
#define SOURCES_MAX 48

const flag plugin_test_flags[] = {
    {"case", 0, "NAME", "only this case of penstock-check"},
    {"report", 0, "text|json", "what penstock-check prints; default text"},
    {"write", 0, NULL, "take what comes out now as what is expected"},
    {0},
};

typedef struct project {
    char folder[PATH_SIZE], build[PATH_SIZE + 8], object[PATH_SIZE * 2];
    char sdk[PATH_SIZE]; /* prefix */
} project;

static bool is_sdk(const char *prefix)
{
    char path[PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/lib/cmake/Penstock/PenstockConfig.cmake", prefix);
    return disk_exists(path);
}

/* Beside this program: <prefix>/bin/penstock. */
static bool sdk_beside(char out[PATH_SIZE])
{
    char program[PATH_SIZE];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    for (int up = 0; n > 0 && up < 2; up++) {
        program[n] = '\0';
        char *slash = strrchr(program, '/');
        n = slash ? slash - program : 0;
    }
    snprintf(out, PATH_SIZE, "%.*s", (int)(n > 0 ? n : 0), program);
    return n > 0 && is_sdk(out);
}

static status_class sdk_find(char out[PATH_SIZE], status *st)
{
    static const char *const ask[] = {"pkg-config", "--variable=prefix", "penstock-sdk", NULL};
    text said = {0};
    int code = 1;
    status ignored;
    if (sdk_beside(out))
        return STATUS_OK;
    if (tool_run(ask, NULL, &said, &code, &ignored) == STATUS_OK && code == 0)
        snprintf(out, PATH_SIZE, "%.*s", (int)strcspn(said.data, "\n"), said.data);
    text_free(&said);
    if (code == 0 && is_sdk(out))
        return STATUS_OK;
    status_set(st, STATUS_NOT_FOUND, "the SDK is not installed");
    return status_hint(st, "install penstock-dev, or set PKG_CONFIG_PATH to the folder of penstock-sdk.pc");
}

/* The newest object file in the build folder. */
static status_class object_find(project *p, status *st)
{
    DIR *d = opendir(p->build);
    struct timespec newest = {0};
    p->object[0] = '\0';
    for (const struct dirent *e; d && (e = readdir(d));) {
        struct stat facts;
        char path[PATH_SIZE + 300];
        size_t len = strlen(e->d_name);
        snprintf(path, sizeof path, "%s/%s", p->build, e->d_name);
        if (len < 4 || strcmp(e->d_name + len - 3, ".so") != 0 || stat(path, &facts) != 0 ||
            (facts.st_mtim.tv_sec < newest.tv_sec ||
             (facts.st_mtim.tv_sec == newest.tv_sec && facts.st_mtim.tv_nsec < newest.tv_nsec)))
            continue;
        newest = facts.st_mtim;
        snprintf(p->object, sizeof p->object, "%s", path);
    }
    if (d)
        closedir(d);
    return p->object[0] ? STATUS_OK
                        : status_set(st, STATUS_NOT_FOUND, "%s has no object file after the build", p->build);
}

/* Runs one step; what it says is shown when it failed or warned. */
static status_class step(const char *const *argv, const project *p, status *st)
{
    text said = {0};
    int code = 0;
    status_class class = tool_run(argv, p->folder, &said, &code, st);
    if (class == STATUS_OK && (code != 0 || strstr(text_or_empty(&said), "warning:")))
        fputs(text_or_empty(&said), stderr);
    text_free(&said);
    if (class == STATUS_OK && code != 0)
        class = status_set(st, STATUS_INVALID, "%s ended with %d", argv[0], code);
    return class;
}

static status_class build_by_cmake(project *p, status *st)
{
    char sdk[PATH_SIZE + 64];
    snprintf(sdk, sizeof sdk, "-DPenstock_DIR=%s/lib/cmake/Penstock", p->sdk);
    const char *const configure[] = {
        "cmake", "-S", ".", "-B", "build", sdk, "-DCMAKE_BUILD_TYPE=RelWithDebInfo", NULL};
    const char *const make[] = {"cmake", "--build", "build", NULL};
    status_class class = step(configure, p, st);
    return class == STATUS_OK ? step(make, p, st) : class;
}

/* Every .c file of the folder, sorted by nobody: the linker does not mind. */
static size_t sources_find(const char *folder, char names[SOURCES_MAX][256])
{
    DIR *d = opendir(folder);
    size_t n = 0;
    for (const struct dirent *e; d && (e = readdir(d)) && n < SOURCES_MAX;) {
        size_t len = strlen(e->d_name);
        if (len > 2 && !strcmp(e->d_name + len - 2, ".c"))
            snprintf(names[n++], 256, "%s", e->d_name);
    }
    if (d)
        closedir(d);
    return n;
}

/* The words of CFLAGS, as make has them; `line` is cut up. */
static size_t words_add(char *line, const char **argv, size_t n)
{
    for (char *word; (word = strsep(&line, " \t")) && n < TOOL_WORDS_MAX / 2;)
        if (*word)
            argv[n++] = word;
    return n;
}

static status_class build_by_cc(project *p, status *st)
{
    static char names[SOURCES_MAX][256];
    char include[PATH_SIZE + 16], map[PATH_SIZE + 96], library[PATH_SIZE + 64], object[PATH_SIZE];
    char own[1024];
    size_t n = 0, sources = sources_find(p->folder, names);
    const char *argv[TOOL_WORDS_MAX], *compiler = getenv("CC"), *slash = strrchr(p->folder, '/');
    snprintf(own, sizeof own, "%s", getenv("CFLAGS") ? getenv("CFLAGS") : "");
    if (!sources)
        return status_set(st, STATUS_NOT_FOUND, "%s has neither CMakeLists.txt nor C sources", p->folder);
    snprintf(include, sizeof include, "-I%s/include", p->sdk);
    snprintf(map, sizeof map, "-Wl,--version-script=%s/lib/cmake/Penstock/plugin.map", p->sdk);
    snprintf(library, sizeof library, "%s/lib/libpenstock-sdk.a", p->sdk);
    snprintf(object, sizeof object, "build/%.200s.so", slash && slash[1] ? slash + 1 : "plugin");
    const char *const flags[] = {"-g",
                                 "-O2",
                                 "-Wall",
                                 "-Wextra",
                                 "-Wno-unused-parameter",
                                 "-fPIC",
                                 "-fvisibility=hidden",
                                 "-shared",
                                 "-Wl,-z,defs",
                                 "-Wl,-z,now"};
    argv[n++] = compiler && *compiler ? compiler : "cc";
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        argv[n++] = flags[i];
    n = words_add(own, argv, n);
    argv[n++] = include;
    argv[n++] = map;
    for (size_t i = 0; i < sources; i++)
        argv[n++] = names[i];
    argv[n++] = library;
    argv[n++] = "-lm";
    argv[n++] = "-o";
    argv[n++] = object;
    argv[n] = NULL;
    if (disk_make_folder(p->build, 0755, st) != STATUS_OK)
        return st->class;
    if (step(argv, p, st) == STATUS_OK)
        return STATUS_OK;
    return st->class == STATUS_NOT_FOUND ? status_hint(st, "install a C compiler (gcc or clang), or set CC")
                                         : st->class;
}

static status_class project_build(const char *folder, project *p, status *st)
{
    char lists[PATH_SIZE + 32];
    char *real = realpath(folder, NULL);
    if (!real)
        return status_set(st, STATUS_NOT_FOUND, "%s: %s", folder, strerror(errno));
    snprintf(p->folder, sizeof p->folder, "%s", real);
    snprintf(p->build, sizeof p->build, "%s/build", real);
    free(real);
    if (sdk_find(p->sdk, st) != STATUS_OK)
        return st->class;
    snprintf(lists, sizeof lists, "%s/CMakeLists.txt", p->folder);
    bool by_cmake = disk_exists(lists) && tool_is_there("cmake");
    status_class class = by_cmake ? build_by_cmake(p, st) : build_by_cc(p, st);
    return class == STATUS_OK ? object_find(p, st) : class;
}

int plugin_build(invocation *inv)
{
    status st;
    project p = {0};
    const char *folder = argument(inv, 0);
    if (project_build(folder ? folder : ".", &p, &st) != STATUS_OK)
        return complain("the plugin was not built", &st);
    printf("%s\n", p.object);
    return EXIT_DONE;
}

/* penstock-check takes over: its report and its exit code are ours. */
static int check_run(invocation *inv, const char *object, const char *folder)
{
    status st;
    char program[PATH_SIZE];
    const char *argv[12];
    int n = 0, code = 0;
    if (program_find("penstock-check", program, sizeof program, &st) != STATUS_OK) {
        status_hint(&st, "it comes with the SDK: install penstock-dev");
        return complain("the plugin was not tested", &st);
    }
    argv[n++] = program;
    argv[n++] = object;
    static const char *const passed[] = {"case", "report"};
    static const char *const words[] = {"--case", "--report"};
    for (size_t i = 0; i < 2; i++)
        if (flag_given(inv, passed[i])) {
            argv[n++] = words[i];
            argv[n++] = flag_text(inv, passed[i], "");
        }
    if (folder) {
        argv[n++] = "--project";
        argv[n++] = folder;
    }
    argv[n] = NULL;
    if (flag_given(inv, "write"))
        setenv("PENSTOCK_CHECK_WRITE", "1", 1); /* NOLINT(concurrency-mt-unsafe) one thread */
    if (tool_run(argv, NULL, NULL, &code, &st) != STATUS_OK)
        return complain("the plugin was not tested", &st);
    return code;
}

int plugin_test(invocation *inv)
{
    status st;
    project p = {0};
    const char *what = argument(inv, 0) ? argument(inv, 0) : ".";
    size_t len = strlen(what);
    if (len > 3 && !strcmp(what + len - 3, ".so"))
        return check_run(inv, what, NULL);
    if (project_build(what, &p, &st) != STATUS_OK)
        return complain("the plugin was not built", &st);
    return check_run(inv, p.object, p.folder);
}
