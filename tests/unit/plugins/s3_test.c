/* The parts of the s3 connector that need no server: signatures by published vectors, the XML of listings,
 * what a cursor holds, and what is settled when. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "listing.h"
#include "position.h"
#include "queue.h"
#include "sign.h"

/* ---- Signatures ---- */

typedef struct vector {
    const char *name, *method, *path, *query, *payload, *time, *service, *access, *secret;
    sign_header headers[6];
    const char *signature;
} vector;

#define S3_TIME "20130524T000000Z"
#define S3_KEY "s3", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define S3_HOST                                  \
    {                                            \
        "host", "examplebucket.s3.amazonaws.com" \
    }
#define NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define WELCOME "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
#define SUITE_TIME "20150830T123600Z"
#define SUITE_KEY "service", "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define SUITE_HEADERS                  \
    {"host", "example.amazonaws.com"}, \
    {                                  \
        "x-amz-date", SUITE_TIME       \
    }

/* "Examples: Signature Calculations", Amazon S3 API reference (Authenticating Requests: Using the
 * Authorization Header); those of the service "service": the Signature Version 4 test suite of AWS. */
static const vector vectors[] = {
    {"GET object",
     "GET",
     "/test.txt",
     "",
     "",
     S3_TIME,
     S3_KEY,
     {S3_HOST, {"range", "bytes=0-9"}, {"x-amz-content-sha256", NOTHING}, {"x-amz-date", S3_TIME}},
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"PUT object",
     "PUT",
     "/test%24file.text",
     "",
     "Welcome to Amazon S3.",
     S3_TIME,
     S3_KEY,
     {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
      S3_HOST,
      {"x-amz-content-sha256", WELCOME},
      {"x-amz-date", S3_TIME},
      {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"GET bucket lifecycle",
     "GET",
     "/",
     "lifecycle",
     "",
     S3_TIME,
     S3_KEY,
     {S3_HOST, {"x-amz-content-sha256", NOTHING}, {"x-amz-date", S3_TIME}},
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"GET bucket (list objects)",
     "GET",
     "/",
     "max-keys=2&prefix=J",
     "",
     S3_TIME,
     S3_KEY,
     {S3_HOST, {"x-amz-content-sha256", NOTHING}, {"x-amz-date", S3_TIME}},
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
    {"get-vanilla",
     "GET",
     "/",
     "",
     "",
     SUITE_TIME,
     SUITE_KEY,
     {SUITE_HEADERS},
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-query-order-key-case",
     "GET",
     "/",
     "Param1=value1&Param2=value2",
     "",
     SUITE_TIME,
     SUITE_KEY,
     {SUITE_HEADERS},
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-unreserved",
     "GET",
     "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
     "",
     "",
     SUITE_TIME,
     SUITE_KEY,
     {SUITE_HEADERS},
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-header-value-trim",
     "GET",
     "/",
     "",
     "",
     SUITE_TIME,
     SUITE_KEY,
     {{"host", "example.amazonaws.com"},
      {"my-header1", " value1"},
      {"my-header2", " \"a   b   c\""},
      {"x-amz-date", SUITE_TIME}},
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"post-vanilla",
     "POST",
     "/",
     "",
     "",
     SUITE_TIME,
     SUITE_KEY,
     {SUITE_HEADERS},
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
};

static void signatures_are_those_that_were_published(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const vector *v = &vectors[i];
        char hash[SIGN_HASH_MAX], out[SIGN_OUT_MAX];
        size_t n = 0;
        while (n < 6 && v->headers[n].name)
            n++;
        sign_hash(v->payload, strlen(v->payload), hash);
        sign_request r = {v->method, v->path, v->query, v->headers, n, hash};
        sign_key key = {v->access, v->secret, "us-east-1", v->service};
        assert_true(sign_authorize(&r, &key, v->time, out));
        const char *signature = strstr(out, "Signature=");
        assert_non_null(signature);
        if (strcmp(signature + 10, v->signature) != 0)
            fail_msg("%s: %s", v->name, signature);
    }
}

static void a_signature_is_written_as_documented(void **state)
{
    (void)state;
    char out[SIGN_OUT_MAX], hash[SIGN_HASH_MAX], time[SIGN_TIME_MAX], long_secret[600];
    const vector *v = &vectors[0];
    sign_time(1369353600000000, time);
    assert_string_equal(time, S3_TIME);
    sign_hash("", 0, hash);
    assert_string_equal(hash, NOTHING);
    sign_request r = {v->method, v->path, v->query, v->headers, 4, hash};
    sign_key key = {v->access, v->secret, "us-east-1", "s3"};
    assert_true(sign_authorize(&r, &key, time, out));
    assert_string_equal(out,
                        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
                        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    memset(long_secret, 'x', sizeof long_secret);
    long_secret[sizeof long_secret - 1] = '\0';
    key.secret = long_secret;
    assert_false(sign_authorize(&r, &key, time, out));
}

/* ---- Listings ---- */

typedef struct seen {
    char text[2000];
} seen;

static void on_object(void *arg, const listing_object *o)
{
    char *text = ((seen *)arg)->text;
    size_t len = strlen(text);
    snprintf(text + len, 2000 - len, "%s|%s|%lld|%llu\n", o->key, o->etag, (long long)o->modified_us,
             (unsigned long long)o->bytes);
}

static void on_prefix(void *arg, const char *prefix)
{
    char *text = ((seen *)arg)->text;
    size_t len = strlen(text);
    snprintf(text + len, 2000 - len, "%s>\n", prefix);
}

static pst_status read_listing(const char *xml, listing_page *page, seen *s)
{
    pst_error error = {.struct_size = sizeof error};
    memset(s, 0, sizeof *s);
    *page = (listing_page){.on_object = on_object, .on_prefix = on_prefix, .arg = s};
    return listing_read((pst_bytes){xml, strlen(xml)}, page, &error);
}

#define HEAD                                                         \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult " \
    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
#define CONTENTS(key)                                                      \
    "<Contents><Key>" key "</Key><LastModified>2026-03-01T00:00:01.500Z</" \
    "LastModified><ETag>&quot;e1&quot;</ETag><Size>12</Size></Contents>"

static void a_page_tells_its_objects(void **state)
{
    (void)state;
    static listing_page page;
    seen s;
    assert_int_equal(
        read_listing(HEAD "<IsTruncated>true</IsTruncated>" CONTENTS("a%2Fb+c%C3%A4%2B") CONTENTS(
                         "plain") "<CommonPrefixes><Prefix>x%2F</Prefix></"
                                  "CommonPrefixes><NextContinuationToken>t&amp;1</NextContinuationToken>"
                                  "<EncodingType>url</EncodingType></ListBucketResult>",
                     &page, &s),
        PST_OK);
    assert_string_equal(s.text,
                        "a/b c\xc3\xa4+|\"e1\"|1772323201500000|12\nplain|\"e1\"|1772323201500000|12\nx/>\n");
    assert_true(page.more);
    assert_string_equal(page.token, "t&1");
    assert_int_equal(read_listing(HEAD CONTENTS("a%2Fb+c") "</ListBucketResult>", &page, &s),
                     PST_OK); /* not coded */
    assert_string_equal(s.text, "a%2Fb+c|\"e1\"|1772323201500000|12\n");
    assert_false(page.more);
}

static void what_is_no_listing_is_refused(void **state)
{
    (void)state;
    static listing_page page;
    seen s;
    static const char *const odd[] = {
        "",
        "<html><body>Sorry</body></html>",
        "<ListBucketResult>",
        HEAD "<Contents><Key>a</Key></Contents></ListBucketResult>",
        HEAD "<IsTruncated>true</IsTruncated></ListBucketResult>",
        "<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult></ListBucketResult>",
        HEAD "<a><b><c><d><e><f><g><h></h></g></f></e></d></c></b></a></ListBucketResult>",
        HEAD "<Contents><Key>a</Key><LastModified>yesterday</LastModified><Size>1</Size></Contents></"
             "ListBucketResult>",
        HEAD "<Contents><Key>a</Key><LastModified>2026-03-01T00:00:01Z</LastModified><Size>-1</Size></"
             "Contents></ListBucketResult>",
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        if (read_listing(odd[i], &page, &s) != PST_E_DATA)
            fail_msg("taken: %s", odd[i]);
}

static void a_key_has_its_limit(void **state)
{
    (void)state;
    static listing_page page;
    static char xml[3000], key[1100];
    seen s;
    for (size_t len = LISTING_KEY_MAX - 2; len <= LISTING_KEY_MAX; len++) { /* with its end: one more */
        memset(key, 'k', len);
        key[len] = '\0';
        snprintf(xml, sizeof xml, HEAD CONTENTS("%s") "</ListBucketResult>", key);
        assert_int_equal(read_listing(xml, &page, &s), len < LISTING_KEY_MAX ? PST_OK : PST_E_DATA);
    }
}

static void an_error_tells_its_code(void **state)
{
    (void)state;
    listing_fault f;
    static const char xml[] = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong</"
                              "Message><Region>eu-west-1</Region></Error>";
    listing_fault_read((pst_bytes){xml, sizeof xml - 1}, &f);
    assert_string_equal(f.code, "AuthorizationHeaderMalformed");
    assert_string_equal(f.message, "wrong");
    assert_string_equal(f.region, "eu-west-1");
    listing_fault_read((pst_bytes){"<html>", 6}, &f);
    assert_string_equal(f.code, "");
    listing_fault_read((pst_bytes){NULL, 0}, &f);
    assert_string_equal(f.code, "");
}

/* ---- The position ---- */

static void a_cursor_gives_back_what_it_was_made_of(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "-", "a b\n", "%2D", "\xc3\xa4 +/ \x01"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        position was, is;
        wording cursor = {0};
        assert_true(position_open(&was) && position_open(&is));
        position_clear(&was, 7);
        position_settle_time(&was, -5, texts[i]);
        position_settle_key(&was, texts[i]);
        snprintf(was.key, sizeof was.key, "%s", texts[i]);
        snprintf(was.etag, sizeof was.etag, "%s", texts[i]);
        was.offset = UINT64_MAX;
        for (uint64_t n = 0; n < 10 * i; n++)
            position_add(&was, position_print("k", (char[]){(char)('a' + n), 0}));
        position_write(&was, &cursor);
        assert_false(cursor.failed);
        assert_true(position_read(&is, (pst_bytes){cursor.data, cursor.len}));
        assert_int_equal(is.until_us, -5);
        assert_string_equal(is.until, texts[i]);
        assert_string_equal(is.floor, texts[i]);
        assert_string_equal(is.key, texts[i]);
        assert_string_equal(is.etag, texts[i]);
        assert_true(is.offset == UINT64_MAX && is.print == 7);
        assert_int_equal(is.n_seen, was.n_seen);
        assert_memory_equal(is.seen, was.seen, was.n_seen * sizeof *was.seen);
        wording_free(&cursor);
        position_close(&was);
        position_close(&is);
    }
}

static void the_fullest_cursor_fits(void **state)
{
    (void)state;
    position p, is;
    wording cursor = {0};
    assert_true(position_open(&p) && position_open(&is));
    position_clear(&p, UINT64_MAX);
    memset(p.until, ' ', sizeof p.until - 1);
    memset(p.floor, ' ', sizeof p.floor - 1);
    memset(p.key, ' ', sizeof p.key - 1);
    memset(p.etag, ' ', sizeof p.etag - 1);
    for (int i = 0; i < POSITION_SEEN_MAX + POSITION_SEEN_SPARE; i++) {
        assert_int_equal(position_has_room(&p), i < POSITION_SEEN_MAX);
        position_add(&p, (uint64_t)i * 0x9e3779b97f4a7c15u);
    }
    assert_int_equal(p.n_seen, POSITION_SEEN_MAX + POSITION_SEEN_SPARE);
    position_write(&p, &cursor);
    assert_true(cursor.len <= POSITION_CURSOR_MAX);
    assert_true(position_read(&is, (pst_bytes){cursor.data, cursor.len}));
    assert_int_equal(is.n_seen, p.n_seen);
    wording_free(&cursor);
    position_close(&p);
    position_close(&is);
}

static void no_cursor_of_ours_is_refused(void **state)
{
    (void)state;
    static const char *const odd[] = {"",
                                      "v2 1 2 3 - - - -\n",
                                      "v1 1 2 3 - - -\n",
                                      "v1 1 2 3 - - - %zz\n",
                                      "v1 1 2 3 - - - -\nAAA",
                                      "v1 1 2 3 - - - -\n!!",
                                      "v1 1 2 3 - - - - -\n"};
    position p;
    assert_true(position_open(&p));
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        position_clear(&p, 0);
        if (position_read(&p, (pst_bytes){odd[i], strlen(odd[i])}))
            fail_msg("taken: %s", odd[i]);
    }
    position_close(&p);
}

static void the_settled_place_never_goes_back(void **state)
{
    (void)state;
    position p;
    assert_true(position_open(&p));
    position_clear(&p, 0);
    assert_false(position_is_settled(&p, INT64_MIN + 1, "a"));
    position_settle_time(&p, 10, "m");
    position_settle_time(&p, 10, "b");
    position_settle_time(&p, 9, "z");
    assert_true(position_is_settled(&p, 10, "m") && position_is_settled(&p, 9, "zz"));
    assert_false(position_is_settled(&p, 10, "n") || position_is_settled(&p, 11, "a"));
    position_settle_key(&p, "x");
    position_settle_key(&p, "c");
    assert_true(position_is_settled(&p, 99, "x"));
    assert_false(position_is_settled(&p, 99, "y"));
    position_close(&p);
}

static void what_a_listing_does_not_show_is_forgotten(void **state)
{
    (void)state;
    position p;
    uint64_t a = position_print("a", "1"), b = position_print("b", "1");
    assert_true(a != b && a != position_print("a", "2") &&
                position_print("ab", "c") != position_print("a", "bc"));
    assert_true(position_open(&p));
    position_clear(&p, 0);
    position_add(&p, a);
    position_add(&p, b);
    position_add(&p, b);
    assert_int_equal(p.n_seen, 2);
    position_listing_begins(&p);
    assert_true(position_find(&p, b));
    position_listing_ends(&p);
    assert_int_equal(p.n_seen, 1);
    assert_false(position_find(&p, a));
    assert_true(position_find(&p, b));
    position_close(&p);
}

/* ---- The round ---- the server's clock stands at 1000 s, and what is older than 900 s is late enough */

typedef struct round_of {
    position at;
    queue q;
} round_of;

static void round_begin(round_of *r, bool by_key, const char *const *keys, const int *seconds, size_t n)
{
    assert_true(position_open(&r->at));
    position_clear(&r->at, 0);
    r->q = (queue){.at = &r->at, .by_key = by_key, .late_us = 100000000, .clock_us = 1000000000};
    r->q.items = calloc(n, sizeof *r->q.items);
    assert_non_null(r->q.items);
    for (size_t i = 0; i < n; i++) {
        queued *o = malloc(sizeof *o + strlen(keys[i]) + 1);
        assert_non_null(o);
        *o = (queued){.modified_us = seconds[i] * 1000000LL, .bytes = 1, .etag = "e"};
        memcpy(o->key, keys[i], strlen(keys[i]) + 1);
        r->q.items[r->q.n++] = o;
    }
}

static void round_end(round_of *r)
{
    queue_clear(&r->q);
    position_close(&r->at);
}

static queued *next(round_of *r)
{
    bool crowded;
    return queue_next(&r->q, &crowded);
}

static bool is_read(round_of *r, int64_t seconds, const char *key)
{
    return position_is_settled(&r->at, seconds * 1000000, key) ||
           position_find(&r->at, position_print(key, "e"));
}

static void what_may_have_late_neighbours_is_remembered_alone(void **state)
{
    (void)state;
    static const char *const keys[] = {"b", "d", "a", "c"};
    static const int seconds[] = {100, 899, 900, 950};
    round_of r;
    round_begin(&r, false, keys, seconds, 4);
    for (queued *o; (o = next(&r));)
        queue_done(&r.q, o, "e");
    assert_int_equal(r.at.n_seen, 2);
    assert_true(is_read(&r, 100, "b") && is_read(&r, 899, "d") && is_read(&r, 900, "a") &&
                is_read(&r, 950, "c"));
    assert_false(is_read(&r, 900, "late") || is_read(&r, 940, "0"));
    assert_false(queue_end(&r.q));
    assert_true(is_read(&r, 899, "z")); /* it would be later than is promised */
    assert_false(is_read(&r, 900, "late"));
    round_end(&r);
}

static void an_object_that_fails_holds_the_place_and_not_the_others(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b", "c"};
    static const int seconds[] = {100, 200, 300};
    round_of r;
    round_begin(&r, false, keys, seconds, 3);
    queue_done(&r.q, next(&r), "e");
    next(&r)->mark = QUEUE_FAILED;
    queue_done(&r.q, next(&r), "e");
    assert_null(next(&r));
    queue_end(&r.q);
    assert_true(is_read(&r, 100, "a") && is_read(&r, 300, "c"));
    assert_false(is_read(&r, 200, "b"));
    round_end(&r);
}

static void another_version_than_was_listed_is_remembered_by_itself(void **state)
{
    (void)state;
    static const char *const keys[] = {"a"};
    static const int seconds[] = {100};
    round_of r;
    round_begin(&r, false, keys, seconds, 1);
    queue_done(&r.q, next(&r), "newer");
    queue_end(&r.q);
    assert_true(position_find(&r.at, position_print("a", "newer"))); /* it will be listed with a later time */
    round_end(&r);
}

static void without_room_newer_objects_wait(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b"};
    static const int seconds[] = {100, 950};
    bool crowded = true;
    round_of r;
    round_begin(&r, false, keys, seconds, 2);
    for (uint64_t i = 0; i < POSITION_SEEN_MAX - 1; i++)
        position_add(&r.at, i);
    queue_done(&r.q, queue_next(&r.q, &crowded), "e"); /* is settled by the place */
    assert_non_null(queue_next(&r.q, &crowded));
    assert_false(crowded);
    position_add(&r.at, UINT64_MAX);
    assert_null(queue_next(&r.q, &crowded));
    assert_true(crowded);
    queue_end(&r.q);
    assert_false(is_read(&r, 950, "b"));
    round_end(&r);
}

static void sorted_keys_settle_by_key(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b", "c"};
    static const int seconds[] = {200, 100, 950};
    round_of r;
    round_begin(&r, true, keys, seconds, 3);
    for (queued *o; (o = next(&r));)
        queue_done(&r.q, o, "e");
    assert_string_equal(r.at.floor, "b");
    assert_int_equal(r.at.n_seen, 1);
    queue_end(&r.q);
    assert_false(is_read(&r, 950, "bb")); /* c is not older than late_s yet */
    round_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_those_that_were_published),
        cmocka_unit_test(a_signature_is_written_as_documented),
        cmocka_unit_test(a_page_tells_its_objects),
        cmocka_unit_test(what_is_no_listing_is_refused),
        cmocka_unit_test(a_key_has_its_limit),
        cmocka_unit_test(an_error_tells_its_code),
        cmocka_unit_test(a_cursor_gives_back_what_it_was_made_of),
        cmocka_unit_test(the_fullest_cursor_fits),
        cmocka_unit_test(no_cursor_of_ours_is_refused),
        cmocka_unit_test(the_settled_place_never_goes_back),
        cmocka_unit_test(what_a_listing_does_not_show_is_forgotten),
        cmocka_unit_test(what_may_have_late_neighbours_is_remembered_alone),
        cmocka_unit_test(an_object_that_fails_holds_the_place_and_not_the_others),
        cmocka_unit_test(another_version_than_was_listed_is_remembered_by_itself),
        cmocka_unit_test(without_room_newer_objects_wait),
        cmocka_unit_test(sorted_keys_settle_by_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
