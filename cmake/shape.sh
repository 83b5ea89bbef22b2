#!/bin/sh
# Prints how long functions and files are, beside what we want: function median ≤ 18 lines, 90 % ≤ 45, none over 80;
# files 90 % ≤ 450 lines, none over 700; at least 8 assertions in 1,000 lines. Usage: shape.sh SOURCE_DIR [--strict]
set -eu
cd "$1"
command -v ctags >/dev/null || { echo "shape needs universal-ctags"; exit 77; }
sources=$(git ls-files 'host/*.c' 'host/*.h' 'cell/*.c' 'cell/*.h' 'cli/*.c' 'cli/*.h' 'sdk/*.c' 'sdk/*.h' \
    'plugins/*.c' 'plugins/*.h')
[ -n "$sources" ] || { echo "no sources"; exit 1; }

functions=$(echo "$sources" | ctags -L - --languages=C --langmap=C:.c.h --kinds-C=f --fields=+ne -x \
    --_xformat='%n %{end} %F %N' | awk '$2 ~ /^[0-9]+$/ {print $2 - $1 + 1, $3 ":" $1, $4}' | sort -n)
files=$(echo "$sources" | xargs wc -l | awk '$2 != "total" {print $1, $2}' | sort -n)
lines=$(echo "$files" | awk '{n += $1} END {print n}')
asserts=$(echo "$sources" | xargs grep -hoE '\b(assert|CHECKED|static_assert)[[:space:]]*\(' | wc -l)

quantile() { awk -v q="$1" '{v[NR] = $1} END {i = int(q * NR + 0.999); print v[i < 1 ? 1 : i]}'; }
median=$(echo "$functions" | quantile 0.5) nine=$(echo "$functions" | quantile 0.9) most=$(echo "$functions" | quantile 1)
file_nine=$(echo "$files" | quantile 0.9) file_most=$(echo "$files" | quantile 1)
per_thousand=$((asserts * 1000 / lines))

bad=0
row() { # what, value, want, 1 = at least
    if [ "$4" = 1 ]; then fine=$(($2 >= $3)); else fine=$(($2 <= $3)); fi
    mark=' '
    [ "$fine" = 1 ] || { mark='!' bad=1; }
    printf '%s %-34s %6s  (want %s %s)\n' "$mark" "$1" "$2" "$([ "$4" = 1 ] && echo '>=' || echo '<=')" "$3"
}
row "function lines, median" "$median" 18 0
row "function lines, 90 %" "$nine" 45 0
row "function lines, longest" "$most" 80 0
row "file lines, 90 %" "$file_nine" 450 0
row "file lines, longest" "$file_most" 700 0
row "assertions in 1,000 lines" "$per_thousand" 8 1
echo "$(echo "$functions" | wc -l) functions, $(echo "$files" | wc -l) files, $lines lines"
echo "$functions" | awk '$1 > 80 {print "  too long: " $3 " " $2 ", " $1 " lines"}'
echo "$files" | awk '$1 > 700 {print "  too long: " $2 ", " $1 " lines"}'
[ "${2:-}" != --strict ] || exit $bad
