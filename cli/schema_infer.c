#include "schema_infer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "complaint.h"
#include "exit_code.h"
#include "schema/infer_text.h"

const flag schema_infer_flags[] = {
    {"file", 'f', "FILE", "the rows, as the argument"},
    {"key", 0, "KEY", "the datastore's key; default from the file's name"},
    {"sep", 0, "CHAR", "the separator of a CSV file; default: the likeliest of , ; tab |"},
    {0},
};

/* "/data/Pump rows 1.csv" → "pump_rows_1". */
static void key_guess(const char *file, char key[NAME_KEY_MAX + 1])
{
    const char *name = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    name_key_from(name, strcspn(name, "."), "rows", key);
}

int schema_infer_run(invocation *inv)
{
    status st;
    text yaml = {0};
    char guessed[NAME_KEY_MAX + 1];
    const char *file = argument(inv, 0);
    key_guess(file, guessed);
    const char *key = flag_text(inv, "key", guessed), *separator = flag_text(inv, "sep", NULL);
    FILE *from = fopen(file, "re");
    if (!from) {
        status_errno(&st, errno, file);
        return complain("the rows cannot be read", &st);
    }
    status_class class = schema_infer_text(key, from, separator ? *separator : 0, &yaml, &st);
    if (class == STATUS_OK)
        fputs(text_or_empty(&yaml), stdout);
    fclose(from);
    text_free(&yaml);
    return class == STATUS_OK ? EXIT_DONE : complain("no datastore can be proposed", &st);
}
