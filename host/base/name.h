/* Names that people choose, and help when they mistype one. */
#ifndef PENSTOCK_BASE_NAME_H
#define PENSTOCK_BASE_NAME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_KEY_MAX 40
/* Keys of stores, metrics, columns …: [a-z](_?[a-z0-9])*, at most NAME_KEY_MAX long. Never holds "__". */
bool name_is_key(const char *s);
/* Keys of templates and workspaces: the same with `-` for `_`. */
bool name_is_slug(const char *s);
/* A key out of a name that is none: "plant/Hall 2" → "plant_hall_2"; `otherwise` (a key) if nothing is left
 * of it. */
void name_key_from(const char *name, size_t len, const char *otherwise, char key_out[NAME_KEY_MAX + 1]);
/* The candidate nearest to `word` (edit distance ≤ 1 + len/4), or NULL. */
const char *name_suggest(const char *word, const char *const *candidates, size_t n);
/* 64-bit FNV-1a with a final mix: stable across versions and machines (shards are chosen by it). */
uint64_t name_hash(const void *data, size_t len);
#endif
