/* What do 500 idle cells weigh? A third each of the csv connector, the webhook notifier and the anomaly
 * model, configured and left alone. Counted as what nobody else would have to hold: Pss_Anon + Pss_Shmem. */
#include <stdlib.h>

#include "tests/unit/plugin/stand.h"

enum { CELLS = 500, KINDS = 3 };

typedef struct weight {
    long anon_kb, shmem_kb, pss_kb;
    pid_t example;
    int n;
} weight;

static const struct {
    const char *file, *id, *config;
} kinds[KINDS] = {
    {CSV_CONNECTOR, "org.penstock.connector.csv", "{\"path\": \"nothing.csv\"}"},
    {WEBHOOK_NOTIFIER, "org.penstock.notifier.webhook", "{\"url\": \"http://127.0.0.1:9/\"}"},
    {ANOMALY_MODEL, "org.penstock.model.anomaly", "{}"},
};

static long field(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? strtol(at + strlen(name), NULL, 10) : 0;
}

static void on_state(const instance_state *state, void *arg)
{
    char path[64], text[4096];
    weight *w = arg;
    for (int i = 0; i < KINDS; i++)
        if (!strcmp(state->plugin_id, kinds[i].id))
            w += i;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)state->pid);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = '\0';
    if (f)
        fclose(f);
    w->anon_kb += field(text, "Pss_Anon:");
    w->shmem_kb += field(text, "Pss_Shmem:");
    w->pss_kb += field(text, "Pss:");
    w->example = state->pid;
    w->n++;
}

static void drop_in(const stand *at, const char *file, int i)
{
    status st;
    char to[4200];
    snprintf(to, sizeof to, "%s/%d.so", at->plugins, i);
    must(disk_copy(file, to, 0644, &st), &st);
}

int main(int argc, char **argv)
{
    status st;
    stand at;
    static instance *cells[CELLS];
    weight w[KINDS] = {0}, all = {0};
    nursery *spawner = nursery_start(&st);
    stand_up(&at, spawner, NULL);
    for (int i = 0; i < KINDS; i++)
        drop_in(&at, kinds[i].file, i);
    catalog_scan(at.catalog);
    for (int i = 0; i < CELLS; i++) {
        cells[i] = stand_instance(&at, kinds[i % KINDS].id, kinds[i % KINDS].config);
        must(instance_start(cells[i], NULL, &st), &st);
    }
    sleep(argc > 1 ? (unsigned)atoi(argv[1]) : 2); /* an idle cell gives memory back after a second */
    plugin_states(at.set, on_state, w);
    for (int i = 0; i < KINDS; i++) {
        printf(
            "%-30s %3d cells: anon %4ld KiB, shmem %4ld KiB each (with file pages %ld KiB); such as pid %d\n",
            kinds[i].id, w[i].n, w[i].anon_kb / w[i].n, w[i].shmem_kb / w[i].n, w[i].pss_kb / w[i].n,
            (int)w[i].example);
        all.anon_kb += w[i].anon_kb + w[i].shmem_kb;
    }
    printf("%d idle cells: %.1f MB in sum (bar 250)\n", CELLS, (double)all.anon_kb * 1024 / 1e6);
    if (argc > 2)
        getchar(); /* time to look at them */
    for (int i = 0; i < CELLS; i++)
        instance_free(cells[i]);
    stand_down(&at);
    nursery_stop(spawner);
    return 0;
}
