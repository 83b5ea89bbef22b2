/* Compiled expressions. Matching needs scratch memory, kept once a thread, so a match allocates nothing. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "schema/pattern.h"

#include <assert.h>
#include <pcre2.h>
#include <pthread.h>

#include "base/arena.h"
#include "schema/pattern_translate.h"

struct pattern {
    pcre2_code *code;
};

typedef struct scratch {
    pcre2_match_data *data;
    pcre2_match_context *limits;
} scratch;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t scratch_key;

static void scratch_free(void *object)
{
    scratch *s = object;
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->limits);
    free(s);
}

/* Threads that end clean up by the key; the main thread by this, as leak checkers want to see it. */
static void scratch_free_at_exit(void)
{
    void *mine = pthread_getspecific(scratch_key);
    if (mine) {
        pthread_setspecific(scratch_key, NULL);
        scratch_free(mine);
    }
}

static void scratch_setup(void)
{
    int error = pthread_key_create(&scratch_key, scratch_free);
    assert(error == 0);
    (void)error;
    atexit(scratch_free_at_exit);
}

static scratch *scratch_get(void)
{
    pthread_once(&once, scratch_setup);
    scratch *s = pthread_getspecific(scratch_key);
    if (s)
        return s;
    s = memory_alloc(sizeof *s);
    s->data = pcre2_match_data_create(1, NULL);
    s->limits = pcre2_match_context_create(NULL);
    if (!s->data || !s->limits)
        abort();
    pcre2_set_match_limit(s->limits, PATTERN_MATCH_MAX);
    pcre2_set_depth_limit(s->limits, PATTERN_DEPTH_MAX);
    pcre2_set_heap_limit(s->limits, PATTERN_HEAP_KIB_MAX);
    pthread_setspecific(scratch_key, s);
    return s;
}

static pcre2_code *compile_code(const text *translated, status *st)
{
    int error;
    PCRE2_SIZE at, size = 0;
    PCRE2_UCHAR message[160];
    uint32_t flags = PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_UNSET_BACKREF |
                     PCRE2_NEVER_BACKSLASH_C;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)text_or_empty(translated), translated->len, flags, &error, &at, NULL);
    if (!code) {
        pcre2_get_error_message(error, message, sizeof message);
        status_set(st, STATUS_INVALID, "regular expression: %s", (const char *)message);
        return NULL;
    }
    pcre2_pattern_info(code, PCRE2_INFO_SIZE, &size);
    if (size > PATTERN_COMPILED_MAX) {
        status_set(st, STATUS_LIMIT, "regular expression: %zu bytes when compiled, at most %u", size,
                   PATTERN_COMPILED_MAX);
        pcre2_code_free(code);
        return NULL;
    }
    return code;
}

pattern *pattern_compile(const char *s, size_t len, status *st)
{
    text translated = {0};
    pattern *p = NULL;
    pcre2_code *code = NULL;
    if (pattern_translate_text(s, len, &translated, st) == STATUS_OK)
        code = compile_code(&translated, st);
    if (code) {
        p = memory_alloc(sizeof *p);
        p->code = code;
    }
    text_free(&translated);
    return p;
}

void pattern_free(pattern *p)
{
    if (!p)
        return;
    pcre2_code_free(p->code);
    free(p);
}

void pattern_speed_up(pattern *p)
{
    /* Without JIT on this machine the interpreter does the same work. */
    (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
}

pattern_result pattern_match(const pattern *p, const char *s, size_t len)
{
    scratch *mine = scratch_get();
    int found = pcre2_match(p->code, (PCRE2_SPTR)s, len, 0, PCRE2_NO_UTF_CHECK, mine->data, mine->limits);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT)
        found = pcre2_match(p->code, (PCRE2_SPTR)s, len, 0, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, mine->data,
                            mine->limits);
    if (found >= 0)
        return PATTERN_YES;
    return found == PCRE2_ERROR_NOMATCH ? PATTERN_NO : PATTERN_LIMIT;
}

bool pattern_is_valid(const char *s, size_t len)
{
    status st;
    pattern *p = pattern_compile(s, len, &st);
    pattern_free(p);
    return p != NULL;
}

char *pattern_translate(const char *s, size_t len, status *st)
{
    text out = {0};
    if (pattern_translate_text(s, len, &out, st) == STATUS_OK)
        return text_take(&out);
    text_free(&out);
    return NULL;
}
