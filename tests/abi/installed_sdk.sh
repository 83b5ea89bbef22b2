# Installs the SDK into a folder of its own and builds the skeleton with it, by CMake and by pkg-config alone; a cell must
# be able to describe both.  usage: installed_sdk.sh BUILD SKELETON CELL SANITIZERS
set -eu
build=$1 skeleton=$2 cell=$3
flags=
[ -z "$4" ] || flags="-fsanitize=$(echo "$4" | tr ';' ',')"
work=$(mktemp -d "${TMPDIR:-/tmp}/penstock-sdk-XXXXXX")
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --component dev --prefix "$work/sdk" > "$work/log"
config=$(find "$work/sdk" -name PenstockConfig.cmake)
pc=$(find "$work/sdk" -name penstock-sdk.pc)

cp -r "$skeleton/connector" "$work/thing"
cmake -G Ninja -S "$work/thing" -B "$work/build" -DPenstock_DIR="$(dirname "$config")" -DCMAKE_C_FLAGS="$flags" >> "$work/log" 2>&1 &&
  cmake --build "$work/build" >> "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$cell" --probe "$(find "$work/build" -name my-thing.so)" 3> "$work/by-cmake.json"

export PKG_CONFIG_PATH="$(dirname "$pc")"
cd "$work/thing"
{ printf 'const char config_schema[] ='; sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$/\\n"/' config.schema.json; echo ';'; } > schema.c
cc -std=c17 $flags my_thing.c schema.c $(pkg-config --define-variable=prefix="$work/sdk" --cflags --libs penstock-sdk) -o "$work/my-thing.so"
"$cell" --probe "$work/my-thing.so" 3> "$work/by-pkg-config.json"

for said in "$work/by-cmake.json" "$work/by-pkg-config.json"; do
  grep -q '"id":"org.example.connector.my-thing"' "$said" || { echo "not a plugin: $(cat "$said")"; exit 1; }
done
