# Warnings are errors, release is hardened, sanitizers by preset. Assertions stay on in every build (no NDEBUG).
# Cut-off text in bounded fields (status, names) is meant, so -Wformat-truncation is off.
add_compile_definitions(_GNU_SOURCE)
add_compile_options(-Wall -Wextra -Wshadow=local -Wpointer-arith -Wcast-align -Wwrite-strings -Wstrict-prototypes
  -Wmissing-prototypes -Wold-style-definition -Wvla -Wformat=2 -Wimplicit-fallthrough -Wundef
  -Wno-format-truncation -Werror -fno-common -fvisibility=hidden -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
set(CMAKE_C_FLAGS_DEBUG "-O1 -g3 -fno-omit-frame-pointer")
# gcc cannot see at -O2 that a failed status means "not written"; clang-tidy's analyzer and ASan look after that.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1 -Wno-maybe-uninitialized -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
  string(APPEND CMAKE_C_FLAGS_RELEASE " -fcf-protection")
endif()
add_link_options(-Wl,-z,relro,-z,now -Wl,--as-needed)
set(CMAKE_EXE_LINKER_FLAGS_RELEASE "-pie")
if(PENSTOCK_SANITIZE)
  string(REPLACE ";" "," penstock_sanitizers "${PENSTOCK_SANITIZE}")
  add_compile_options(-fsanitize=${penstock_sanitizers} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${penstock_sanitizers})
  add_compile_definitions(PENSTOCK_SANITIZED=1)
endif()
if(PENSTOCK_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
if(PENSTOCK_FAULTS)
  add_compile_definitions(PENSTOCK_FAULTS=1)
endif()

# Coverage for libFuzzer: clang, which does not know all of the warnings above; the targets are tests/fuzz/<name>_fuzz.
if(PENSTOCK_LIBFUZZER)
  add_compile_options(-fsanitize=fuzzer-no-link -Wno-error -Wno-unknown-warning-option)
endif()
