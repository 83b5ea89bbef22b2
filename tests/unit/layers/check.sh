#!/bin/sh
# Checks every #include "folder/…" against the direction in which dependencies may point, and that libpq and ltdl stay
# where they belong. Usage: check.sh SOURCE_DIR, or check.sh --self-test SOURCE_DIR: breaks a copy of each rule once.
set -eu

# folder: what it may include beside itself (host/app*.c and host/main.c know everybody)
rules='
host/base:
host/loop: base wire
host/config: base loop
host/schema: base loop config
host/store: base loop config
host/plugin: base loop config schema penstock wire
host/control: base loop config schema store
host/flow: base loop config schema store plugin control
host/serve: base loop config control flow
cell: base schema penstock wire
cli: base loop config schema plugin control flow store check penstock
sdk: penstock wire
sdk/check: base cell check penstock plugin
plugins: penstock
'

check() {
    root=$1
    # "file:line:#include "folder/" of every #include with a slash in it
    (cd "$root" && grep -rnoE '^[[:space:]]*#[[:space:]]*include "[a-z_]+/' \
        --include='*.c' --include='*.h' host cell cli sdk plugins 2>/dev/null) | awk -F: -v rules="$rules" '
        BEGIN {
            n = split(rules, line, "\n")
            for (i = 1; i <= n; i++)
                if (split(line[i], rule, ":") == 2)
                    allowed[rule[1]] = " " rule[2] " "
        }
        $1 ~ /^host\/(app|main)/ { next }
        {
            split($1, part, "/")
            own = part[1] == "host" || $1 ~ /^sdk\/check\// ? part[1] "/" part[2] : part[1]
            self = own
            sub(/.*\//, "", self)
            folder = $3
            sub(/.*"/, "", folder)
            sub(/\/$/, "", folder)
            if (folder != self && index(allowed[own], " " folder " ") == 0)
                print $1 ":" $2 ": " own " may not include " folder "/"
        }'
    (cd "$root" && grep -rlE '#[[:space:]]*include <(libpq-fe|libpq/)' --include='*.[ch]' host cell cli plugins 2>/dev/null |
        grep -vE '^(host/store|plugins/connectors/sql)/' | sed 's|$|: only host/store, and the plugin whose protocol it is, include libpq|') || true
    (cd "$root" && grep -rlE '#[[:space:]]*include <ltdl' --include='*.[ch]' host cell cli plugins sdk 2>/dev/null |
        grep -v '^cell/' | sed 's|$|: only the cell includes ltdl|') || true
}

self_test() {
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    mkdir -p "$folder/host/base" "$folder/host/control" "$folder/host/serve" "$folder/plugins/x"
    for case in 'host/base/a.c|#include "store/pool.h"' 'host/control/a.c|#include "flow/flow.h"' \
        'host/serve/a.h|#include "store/pool.h"' 'plugins/x/a.c|#include "base/text.h"' \
        'host/serve/a.c|#include <libpq-fe.h>' 'host/control/b.c|#include <ltdl.h>'; do
        echo "${case#*|}" > "$folder/${case%%|*}"
        [ -n "$(check "$folder")" ] || { echo "not noticed: $case"; exit 1; }
        rm "$folder/${case%%|*}"
    done
    echo '#include "store/pool.h"' > "$folder/host/control/a.c"
    echo '#include "store/pool.h"' > "$folder/host/app.c"
    [ -z "$(check "$folder")" ] || { echo "a right include was refused"; exit 1; }
}

if [ "$1" = --self-test ]; then
    self_test
    exit 0
fi
problems=$(check "$1")
[ -z "$problems" ] || { echo "$problems"; exit 1; }
