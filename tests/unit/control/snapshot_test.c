/* The signed snapshot: what was changed, signed by another stack or grew old is refused by name; keys in it
 * are good as long as it is. */
#include "support/check.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/disk.h"
#include "control/snapshot.h"

#define KEY "psk_abcdefghijkmnpqrstuvwxyz23456789"
static const int64_t written_us = INT64_C(1767225600000000), second = 1000000;

typedef struct stage {
    char *folder;
    char path[4096];
    secret_key *key;
} stage;

static void write_signed(const stage *s, const char *body)
{
    uint8_t mac[SECRET_MAC_BYTES];
    char hex[2 * SECRET_MAC_BYTES + 1];
    text file = {0};
    status st;
    secret_sign(s->key, "penstock snapshot", body, strlen(body), mac);
    sodium_bin2hex(hex, sizeof hex, mac, sizeof mac);
    text_printf(&file, "penstock-snapshot 1 %s\n%s", hex, body);
    assert_int_equal(disk_write(s->path, file.data, file.len, 0600, &st), STATUS_OK);
    text_free(&file);
}

static void write_good(const stage *s)
{
    char body[600], hash[KEY_HASH_TEXT_SIZE];
    key_hash_text(KEY, hash);
    snprintf(body, sizeof body,
             "{\"stack\":\"6f1c0e9a\",\"written_us\":%lld,\"workspaces\":[],\"keys\":[{\"id\":\"key_1\","
             "\"name\":\"a\","
             "\"hash\":\"%s\",\"scopes\":[{\"wid\":1,\"verbs\":[\"write\"]}],\"expires_us\":%lld}]}",
             (long long)written_us, hash, (long long)(written_us + 60 * second));
    write_signed(s, body);
}

static int set_up(void **state)
{
    stage *s = memory_zero(1, sizeof *s);
    status st;
    s->folder = test_folder();
    snprintf(s->path, sizeof s->path, "%s/snapshot", s->folder);
    assert_int_equal(secret_key_open(s->folder, &s->key, &st), STATUS_OK);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    stage *s = *state;
    secret_key_free(s->key);
    test_folder_remove(s->folder);
    free(s);
    return 0;
}

static void refused(const stage *s, const secret_key *k, int64_t now_us, const char *word)
{
    snapshot *out = NULL;
    status st;
    assert_int_not_equal(snapshot_read(k, s->path, now_us, &out, &st), STATUS_OK);
    assert_null(out);
    if (!strstr(st.text, word))
        fail_msg("\"%s\" does not say %s", st.text, word);
}

static void what_is_missing_changed_or_foreign_is_refused(void **state)
{
    const stage *s = *state;
    status st;
    text file = {0};
    refused(s, s->key, written_us, "snapshot_missing");
    write_good(s);
    assert_int_equal(disk_read(s->path, 4096, &file, &st), STATUS_OK);
    for (size_t i = 0; i < file.len; i++) {
        file.data[i] ^= 1;
        assert_int_equal(disk_write(s->path, file.data, file.len, 0600, &st), STATUS_OK);
        refused(s, s->key, written_us, "snapshot_tampered");
        file.data[i] ^= 1;
        if (i > 120)
            i += 7; /* a sync each */
    }
    assert_int_equal(disk_write(s->path, file.data, file.len - 1, 0600, &st), STATUS_OK);
    refused(s, s->key, written_us, "snapshot_tampered");
    assert_int_equal(disk_write(s->path, file.data, 20, 0600, &st), STATUS_OK);
    refused(s, s->key, written_us, "snapshot_tampered");
    text_free(&file);
    char *other_folder = test_folder();
    secret_key *other;
    assert_int_equal(secret_key_open(other_folder, &other, &st), STATUS_OK);
    write_good(s);
    refused(s, other, written_us, "snapshot_tampered");
    secret_key_free(other);
    test_folder_remove(other_folder);
}

static void it_is_good_for_a_quarter_of_an_hour(void **state)
{
    const stage *s = *state;
    snapshot *out = NULL;
    key_record found = {0};
    status st;
    write_good(s);
    refused(s, s->key, written_us + SNAPSHOT_LIFE_US, "snapshot_too_old");
    refused(s, s->key, written_us - 61 * second, "snapshot_too_old");
    assert_int_equal(snapshot_read(s->key, s->path, written_us + SNAPSHOT_LIFE_US - 1, &out, &st), STATUS_OK);
    assert_string_equal(snapshot_stack(out), "6f1c0e9a");
    assert_int_equal(snapshot_verify(out, KEY, written_us + 59 * second, &found, &st), STATUS_OK);
    assert_string_equal(found.id, "key_1");
    json_decref(found.scopes);
    assert_int_equal(snapshot_verify(out, KEY, written_us + 60 * second, &found, &st), STATUS_DENIED);
    assert_int_equal(snapshot_verify(out, "psk_other", written_us, &found, &st), STATUS_DENIED);
    assert_int_equal(snapshot_verify(out, KEY, written_us + SNAPSHOT_LIFE_US, &found, &st), STATUS_TIMEOUT);
    snapshot_free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_missing_changed_or_foreign_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_good_for_a_quarter_of_an_hour, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
