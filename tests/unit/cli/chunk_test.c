/* Wherever a stream is cut, the pieces together hold the same records, each whole. */
#include "support/check.h"

#include <jansson.h>
#include <string.h>

#include "chunk.h"

static status st;

static FILE *stream(const char *data)
{
    return fmemopen((void *)data, strlen(data), "r");
}

/* Pieces joined by '|'; NULL if refused. */
static char *pieces(const char *data, chunk_format format, size_t target)
{
    chunk_reader reader;
    text piece = {0}, joined = {0};
    bool more = true;
    FILE *from = stream(data);
    chunk_reader_start(&reader, from, format);
    reader.target = target;
    status_class class;
    while ((class = chunk_next(&reader, &piece, &more, &st)) == STATUS_OK && more) {
        text_add(&joined, joined.len ? "|" : "");
        text_add_n(&joined, piece.data, piece.len);
    }
    chunk_reader_release(&reader);
    text_free(&piece);
    fclose(from);
    if (class == STATUS_OK)
        return text_take(&joined);
    text_free(&joined);
    return NULL;
}

static void pieces_are(const char *data, chunk_format format, size_t target, const char *expected)
{
    char *got = pieces(data, format, target);
    assert_non_null(got);
    assert_string_equal(got, expected);
    free(got);
}

static void records_stay_whole(void **state)
{
    (void)state;
    pieces_are("{\"a\":1}\n{\"a\":2}\n{\"a\":3}", CHUNK_NDJSON, 17, "{\"a\":1}\n{\"a\":2}\n|{\"a\":3}");
    pieces_are("h,i\n1,\"x\ny\"\n2,z\n", CHUNK_CSV, 12, "h,i\n1,\"x\ny\"\n|h,i\n2,z\n");
    pieces_are("[1,[2,3],\"],\\\",\", {\"k\":[4]}]", CHUNK_JSON, 3,
               "[1]|[[2,3]]|[\"],\\\",\"]|[ {\"k\":[4]}]");
    pieces_are("[]", CHUNK_JSON, 10, "[]");
    pieces_are(" [ 1 ] \n", CHUNK_JSON, 100, " [ 1 ]");
    pieces_are("{\"a\":[1,2]}", CHUNK_JSON, 3, "{\"a\":[1,2]}");
    pieces_are("", CHUNK_NDJSON, 10, "");
    pieces_are("a s=\"1\n2\\\"\n\" 1\nb,k=\"x v=1\n  c,k=\\ \"y v=2\n#d e=\"\nf v=1", CHUNK_LINES, 5,
               "a s=\"1\n2\\\"\n\" 1\n|b,k=\"x v=1\n|  c,k=\\ \"y v=2\n|#d e=\"\n|f v=1");
}

static void what_is_broken_still_reaches_the_server(void **state)
{
    (void)state;
    pieces_are("[1,2", CHUNK_JSON, 2, "[1]|[2");
    pieces_are("h\n\"open", CHUNK_CSV, 100, "h\n\"open");
    assert_null(pieces("[1] garbage", CHUNK_JSON, 100));
    assert_int_equal(st.class, STATUS_INVALID);
}

/* Every target gives pieces that are arrays and hold the same elements in order. */
static void any_target_gives_the_same_elements(void **state)
{
    (void)state;
    const char *data = "[{\"a\":\"x,]\\\\\"},\n 2 ,[3,[4,\"\\\"\"]], null,\"\xc3\xa9\",{\"b\":{\"c\":[]}}]";
    json_t *whole = json_loads(data, 0, NULL);
    for (size_t target = 1; target < strlen(data) + 3; target++) {
        json_t *all = json_array();
        char *joined = pieces(data, CHUNK_JSON, target), *save = NULL;
        for (char *one = strtok_r(joined, "|", &save); one; one = strtok_r(NULL, "|", &save)) {
            json_t *piece = json_loads(one, 0, NULL);
            assert_true(json_is_array(piece));
            json_array_extend(all, piece);
            json_decref(piece);
        }
        assert_true(json_equal(all, whole));
        json_decref(all);
        free(joined);
    }
    json_decref(whole);
}

static void a_record_has_a_limit(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        size_t len = over ? CHUNK_RECORD_MAX + 70000 : CHUNK_RECORD_MAX - 1;
        text data = {0}, piece = {0};
        text_reserve(&data, len + 1);
        memset(data.data, 'x', len);
        data.data[len] = '\0';
        FILE *from = stream(data.data);
        chunk_reader reader;
        bool more;
        chunk_reader_start(&reader, from, CHUNK_NDJSON);
        assert_int_equal(chunk_next(&reader, &piece, &more, &st), over ? STATUS_LIMIT : STATUS_OK);
        chunk_reader_release(&reader);
        text_free(&piece);
        text_free(&data);
        fclose(from);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_stay_whole),
        cmocka_unit_test(what_is_broken_still_reaches_the_server),
        cmocka_unit_test(any_target_gives_the_same_elements),
        cmocka_unit_test(a_record_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
