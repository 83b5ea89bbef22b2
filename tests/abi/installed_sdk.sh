#!/bin/sh
# Installs the SDK into a folder of its own and builds each skeleton with it, by CMake and by pkg-config alone; a cell must
# be able to describe all of them, and no skeleton is longer than a page.
# usage: installed_sdk.sh BUILD SKELETON CELL SANITIZERS
set -eu
build=$1 skeleton=$2 cell=$3
flags=
[ -z "$4" ] || flags="-fsanitize=$(echo "$4" | tr ';' ',')"
work=$(mktemp -d "${TMPDIR:-/tmp}/penstock-sdk-XXXXXX")
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --component dev --prefix "$work/sdk" > "$work/log"
config=$(find "$work/sdk" -name PenstockConfig.cmake)
pc=$(find "$work/sdk" -name penstock-sdk.pc)
for file in bin/penstock-check include/penstock/define.h include/penstock/sink.h share/penstock/skeleton/model/my_thing.c share/man/man1/penstock-check.1 \
    share/man/man7/penstock-plugin.7; do
  [ -s "$work/sdk/$file" ] || { echo "the SDK is installed without $file"; exit 1; }
done

PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH

described() { # FILE KIND
  "$cell" --probe "$1" 3> "$work/said.json"
  grep -q "\"id\":\"org.example.$2.my-thing\"" "$work/said.json" || { echo "not a plugin: $(cat "$work/said.json")"; exit 1; }
}

for kind in connector sink notifier metric model; do
  cp -r "$skeleton/$kind" "$work/$kind"
  cd "$work/$kind"
  [ "$(wc -l < my_thing.c)" -le 100 ] || { echo "the $kind is longer than 100 lines"; exit 1; }
  [ "$(wc -l < CMakeLists.txt)" -le 10 ] || { echo "the CMakeLists.txt of the $kind is longer than 10 lines"; exit 1; }
  if ! { cmake -G Ninja -S . -B build -DPenstock_DIR="$(dirname "$config")" -DCMAKE_C_FLAGS="$flags -Werror" &&
    cmake --build build; } >> "$work/log" 2>&1; then
    cat "$work/log"
    exit 1
  fi
  described "$work/$kind/build/my-thing.so" $kind
  # shellcheck disable=SC2046,SC2086  # lists of flags
  cc -Werror $flags my_thing.c $(pkg-config --cflags --libs penstock-sdk) -lm -o my-thing.so
  described "$work/$kind/my-thing.so" $kind
done
