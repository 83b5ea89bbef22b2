/* A shared object whose constructor does harm: HOSTILE_CRASH, HOSTILE_HANG or HOSTILE_EXIT says which;
 * HOSTILE_LATE behaves while it is described and crashes in a cell. HOSTILE_KIND and HOSTILE_ID say what it
 * pretends to be; a connector unless said otherwise. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "penstock/plugin.h"

#ifndef HOSTILE_KIND
#define HOSTILE_KIND PST_KIND_CONNECTOR
#define HOSTILE_ID "org.penstock.test.hostile"
#endif

extern const char config_schema[];

__attribute__((constructor)) static void on_load(int argc, char **argv)
{
    (void)argc, (void)argv;
#if defined(HOSTILE_CRASH)
    raise(SIGSEGV);
#elif defined(HOSTILE_LATE)
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--profile"))
            raise(SIGSEGV);
#elif defined(HOSTILE_HANG)
    for (;;)
        pause();
#else
    _exit(0);
#endif
}

static const void *get_interface(const char *id)
{
    (void)id;
    return NULL;
}

static pst_status create(const pst_host *host, void **self, pst_error *error)
{
    (void)host, (void)self, (void)error;
    return PST_OK;
}

static void destroy(void *self)
{
    (void)self;
}

PST_EXPORT const pst_plugin penstock_plugin_v1 = {.struct_size = sizeof(pst_plugin),
                                                  .id = HOSTILE_ID,
                                                  .kind = HOSTILE_KIND,
                                                  .version = "1",
                                                  .title = "Hostile",
                                                  .licence = "none",
                                                  .config_schema = config_schema,
                                                  .get_interface = get_interface,
                                                  .create = create,
                                                  .destroy = destroy};
