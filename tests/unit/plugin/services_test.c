/* What a plugin may ask its host, from a real cell: services by name, files below the folders that the
 * platform grants and no others. */
#include <fcntl.h>
#include <sys/stat.h>

#include "config/settings.h"
#include "penstock/plugin.h"
#include "plugin/services.h"
#include "stand.h"
#include "wire/service.h"

static nursery *spawner;
static stand s;
static char granted[4200];

static void put(const char *name, const char *content)
{
    status st;
    char path[4400];
    snprintf(path, sizeof path, "%s/%s", granted, name);
    must(disk_write(path, content, strlen(content), 0600, &st), &st);
}

static void link_to(const char *name, const char *target)
{
    char path[4400];
    snprintf(path, sizeof path, "%s/%s", granted, name);
    assert_int_equal(symlink(target, path), 0);
}

/* The granted folder has a file, a folder with one, a FIFO, links that stay and links that lead out, and the
 * state folder of the host. Beside it lies a file that is not granted. */
static int setup(void **state)
{
    (void)state;
    status st;
    char path[4400];
    spawner = nursery_start(&st);
    const char *plugins[] = {"asker", NULL};
    stand_up(&s, spawner, plugins);
    snprintf(granted, sizeof granted, "%s/granted", s.folder);
    snprintf(path, sizeof path, "%s/sub", granted);
    must(disk_make_folder(path, 0755, &st), &st);
    snprintf(path, sizeof path, "%s/own", granted);
    must(disk_make_folder(path, 0755, &st), &st);
    put("a.csv", "hello");
    put("sub/b.csv", "deep");
    put("own/key", "secret");
    put(".hidden", "");
    snprintf(path, sizeof path, "%s/fifo", granted);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(path, sizeof path, "%s/outside", s.folder);
    must(disk_write(path, "no", 2, 0600, &st), &st);
    link_to("stays", "sub/b.csv");
    link_to("leaves", "/etc/passwd");
    link_to("leaves_too", "../outside");
    link_to("magic", "/proc/self/root");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stand_down(&s);
    nursery_stop(spawner);
    return 0;
}

static settings *settings_of(const char *files)
{
    status st;
    settings *out = NULL;
    char state[4400];
    snprintf(state, sizeof state, "--state=%s/own", granted);
    const char *argv[] = {files, state};
    const settings_source source = {.argc = 2, .argv = argv};
    must(settings_load(&source, &out, &st), &st);
    return out;
}

/* Runs the steps in an instance of its own, on a set with these settings, and gives what it told. */
static json_t *told_with(const settings *with, const char *steps, instance_state *seen)
{
    status st;
    json_t *out = NULL;
    const instance_set_settings common = {.spawner = spawner, .cell_program = CELL_PROGRAM, .settings = with};
    instance_set *usual = s.set;
    s.set = instance_set_create(&common);
    instance *in = stand_instance(&s, "org.penstock.test.asker", steps);
    must(instance_discover(in, NULL, &out, &st), &st);
    if (seen)
        *seen = stand_state(&s);
    static char denial[256];
    if (seen) {
        snprintf(denial, sizeof denial, "%s", seen->last_denial);
        seen->last_denial = denial;
    }
    instance_free(in);
    instance_set_free(s.set);
    s.set = usual;
    return out;
}

static void says(const json_t *told, size_t step, const char *text)
{
    const char *got = json_string_value(json_array_get(told, step));
    if (!got || !strstr(got, text))
        fail_msg("step %zu: \"%s\" does not say \"%s\"", step, got ? got : "nothing", text);
}

static json_t *told_of_files(const char *steps, instance_state *seen)
{
    char flag[4400];
    snprintf(flag, sizeof flag, "--files.allow=%s@acme,/srv/others@other", granted);
    settings *with = settings_of(flag);
    json_t *told = told_with(with, steps, seen);
    settings_free(with);
    return told;
}

static void granted_files_are_read(void **state)
{
    (void)state;
    char steps[16384];
    snprintf(
        steps, sizeof steps,
        "{\"steps\": [{\"ask\": \"open\", \"path\": \"a.csv\"}, {\"ask\": \"open\", \"path\": \"%s/a.csv\"},"
        "{\"ask\": \"open\", \"path\": \"sub/../sub/b.csv\"}, {\"ask\": \"open\", \"path\": \"stays\"},"
        "{\"ask\": \"find\", \"path\": \"sub\"}, {\"ask\": \"find\", \"path\": \"%s\"},"
        "{\"ask\": \"find\", \"path\": \"sub/b.csv\"}, {\"ask\": \"open\", \"path\": \"none.csv\"},"
        "{\"ask\": \"open\", \"path\": \"sub\"}, {\"ask\": \"list\", \"path\": \"a.csv\", \"most\": 1}]}",
        granted, granted);
    instance_state seen;
    json_t *told = told_of_files(steps, &seen);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(json_string_value(json_array_get(told, i)), "hello");
    says(told, 2, "deep");
    says(told, 3, "deep");
    says(told, 4, "sub kind 2");
    says(told, 5, "granted kind 2");
    says(told, 6, "b.csv kind 1, 4 bytes");
    says(told, 7, "status -3, code 2: none.csv cannot be opened: No such file");
    says(told, 8, "status -1, code 21: sub is no regular file");
    says(told, 9, "status -1, code 20: a.csv is no folder");
    assert_int_equal(seen.denials, 0);
    json_decref(told);
}

static void other_files_are_not(void **state)
{
    (void)state;
    char steps[16384];
    snprintf(
        steps, sizeof steps,
        "{\"steps\": [{\"ask\": \"open\", \"path\": \"/etc/passwd\"}, {\"ask\": \"open\", \"path\": "
        "\"../outside\"},"
        "{\"ask\": \"open\", \"path\": \"leaves\"}, {\"ask\": \"open\", \"path\": \"leaves_too\"},"
        "{\"ask\": \"open\", \"path\": \"magic/etc/passwd\"}, {\"ask\": \"open\", \"path\": "
        "\"%s/../outside\"},"
        "{\"ask\": \"open\", \"path\": \"%sx\"}, {\"ask\": \"open\", \"path\": \"/srv/others/a\"},"
        "{\"ask\": \"open\", \"path\": \"own/key\"}, {\"ask\": \"list\", \"path\": \"own\", \"most\": 5},"
        "{\"ask\": \"open\", \"path\": \"fifo\"}, {\"ask\": \"find\", \"path\": \"fifo\"},"
        "{\"ask\": \"list\", \"path\": \"/etc\", \"most\": 5}, {\"ask\": \"open\", \"path\": \"\"}]}",
        granted, granted);
    instance_state seen;
    json_t *told = told_of_files(steps, &seen);
    says(told, 0, "/etc/passwd is not below a folder that workspace acme may read");
    says(told, 0, "files.allow");
    for (size_t i = 1; i <= 5; i++)
        says(told, i, "leads out of the granted folder");
    says(told, 6, "is not below a folder");
    says(told, 7, "is not below a folder");
    says(told, 8, "is the host's own");
    says(told, 9, "is the host's own");
    says(told, 10, "no regular file");
    says(told, 11, "no regular file");
    says(told, 12, "is not below a folder");
    says(told, 13, "no regular file");
    assert_int_equal(seen.denials, 11);
    assert_string_equal(seen.last_denial, "files: /etc");
    json_decref(told);
}

static void without_a_grant_nothing_is_read(void **state)
{
    (void)state;
    const char *steps = "{\"steps\": [{\"ask\": \"open\", \"path\": \"a.csv\"}]}";
    settings *with = settings_of("--files.allow=/srv/others@other");
    json_t *told = told_with(with, steps, NULL);
    says(told, 0, "workspace acme may read no files, so not a.csv; the host's setting files.allow");
    json_decref(told);
    settings_free(with);
    told = told_with(NULL, steps, NULL);
    says(told, 0, "may read no files");
    json_decref(told);
}

static void folders_are_listed_in_order(void **state)
{
    (void)state;
    for (int i = 0; i < 150; i++) {
        char name[32];
        snprintf(name, sizeof name, "sub/n%03d", i);
        put(name, "");
    }
    json_t *told = told_of_files(
        "{\"steps\": [{\"ask\": \"list\", \"path\": \".\", \"most\": 100},"
        "{\"ask\": \"list\", \"path\": \"sub\", \"pattern\": \"n*\", \"most\": 1000},"
        "{\"ask\": \"list\", \"path\": \"sub\", \"pattern\": \"n*\", \"after\": \"n147\", \"most\": 1000},"
        "{\"ask\": \"list\", \"path\": \"sub\", \"pattern\": \"n*\", \"most\": 3},"
        "{\"ask\": \"list\", \"path\": \"sub\", \"pattern\": \"x*\", \"most\": 3},"
        "{\"ask\": \"list\", \"path\": \".\", \"pattern\": \"le*\", \"most\": 1},"
        "{\"ask\": \"list\", \"path\": \"none\", \"most\": 1}]}",
        NULL);
    says(told, 0, "4: a.csv own/ stays sub/");
    says(told, 1, "150: n000 n001");
    says(told, 1, "n149");
    says(told, 2, "2: n148 n149");
    says(told, 3, "3: n000 n001 n002");
    says(told, 4, "0:");
    says(told, 5, "0:");
    says(told, 6, "No such file");
    json_decref(told);
}

static void unknown_services_are_null_and_questions_have_a_limit(void **state)
{
    (void)state;
    json_t *told = told_of_files("{\"steps\": [{\"ask\": \"penstock.files/2\"}, {\"ask\": \"\"},"
                                 "{\"ask\": \"often\", \"path\": \"a.csv\", \"most\": 20000}]}",
                                 NULL);
    says(told, 0, "no such service");
    says(told, 1, "no such service");
    char expected[128];
    snprintf(expected, sizeof expected, "%d times, status -8: the plugin asks its host too often",
             SERVICE_QUESTIONS_MAX + 1);
    says(told, 2, expected);
    json_decref(told);
}

/* Two instances of one set, one after the other: what the first put, the second (of the same name) finds. */
static void state_lasts_and_is_of_one_instance(void **state)
{
    (void)state;
    status st;
    json_t *told;
    const char *first =
        "{\"steps\": [{\"ask\": \"get\", \"key\": \"a\"},"
        "{\"ask\": \"put\", \"key\": \"a\", \"value\": \"one\"},"
        "{\"ask\": \"put\", \"key\": \"a\", \"value\": \"two\"},"
        "{\"ask\": \"put\", \"key\": \"b\", \"value\": \"2\", \"expected\": -1},"
        "{\"ask\": \"race\", \"key\": \"r\"},"
        "{\"ask\": \"put\", \"key\": \"old\", \"value\": \"x\", \"expires\": 1},"
        "{\"ask\": \"get\", \"key\": \"old\"}, {\"ask\": \"put\", \"key\": \"\", \"value\": \"\"},"
        "{\"ask\": \"put\", \"key\": \"most\", \"size\": 16384},"
        "{\"ask\": \"put\", \"key\": \"more\", \"size\": 16385},"
        "{\"ask\": \"get\", \"key\": \"most\"}]}";
    const char *second =
        "{\"steps\": [{\"ask\": \"get\", \"key\": \"a\"}, {\"ask\": \"get\", \"key\": \"r\"},"
        "{\"ask\": \"keys\", \"most\": 9}, {\"ask\": \"keys\", \"most\": 1, \"after\": \"a\"},"
        "{\"ask\": \"keys\", \"most\": 9, \"prefix\": \"m\"}, {\"ask\": \"remove\", \"key\": \"a\"},"
        "{\"ask\": \"get\", \"key\": \"a\"}, {\"ask\": \"fill\"},"
        "{\"ask\": \"keys\", \"most\": 2000}]}";
    instance *in = stand_instance(&s, "org.penstock.test.asker", first);
    must(instance_discover(in, NULL, &told, &st), &st);
    instance_free(in);
    static const char *const expected[] = {"none",
                                           "version set",
                                           "status -4, code 0: another version of",
                                           "version set",
                                           "0 -4 0 grew",
                                           "version set",
                                           "none",
                                           "a key is UTF-8 text of 1 to 128 bytes",
                                           "version set",
                                           "the value has 16385 bytes",
                                           "the value has 16384 bytes, there is room"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        says(told, i, expected[i]);
    json_decref(told);
    in = stand_instance(&s, "org.penstock.test.asker", second);
    must(instance_discover(in, NULL, &told, &st), &st);
    instance_free(in);
    static const char *const later[] = {"one",
                                        "two",
                                        "4: a b most r",
                                        "1: b",
                                        "1: most",
                                        "0",
                                        "none",
                                        "997: -8 the instance has 1000 keys already",
                                        "1000: b k0000 k0001"};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        says(told, i, later[i]);
    json_decref(told);
}

static void a_rate_is_kept(void **state)
{
    (void)state;
    status st;
    json_t *told;
    const char *steps =
        "{\"steps\": [{\"ask\": \"acquire\", \"provider\": \"p\", \"units\": 1, \"per_second\": 20, "
        "\"burst\": 2,"
        "  \"times\": 6, \"wait_ms\": 5000},"
        "{\"ask\": \"acquire\", \"provider\": \"p\", \"units\": 2, \"per_second\": 20, \"burst\": 2, "
        "\"wait_ms\": 1},"
        "{\"ask\": \"acquire\", \"provider\": \"p\", \"units\": 3, \"per_second\": 20, \"burst\": 2},"
        "{\"ask\": \"acquire\", \"provider\": \"\", \"units\": 1, \"per_second\": 20, \"burst\": 2}]}";
    instance *in = stand_instance(&s, "org.penstock.test.asker", steps);
    must(instance_discover(in, NULL, &told, &st), &st);
    instance_free(in);
    long ms = 0;
    assert_int_equal(sscanf(json_string_value(json_array_get(told, 0)), "went after %ld ms", &ms), 1);
    assert_true(ms >= 199); /* four of six wait 50 ms each */
    says(told, 1, "status -3, again in");
    says(told, 1, "the rate of p is used up");
    says(told, 2, "status -1, again in 0 ms: 3 units of p never go at once");
    says(told, 3, "a provider has a name");
    json_decref(told);
}

static void json_is_read_by_pointer(void **state)
{
    (void)state;
    status st;
    json_t *told;
#define DOC                                                                                        \
    "\"text\": \"{\\\"next\\\": \\\"p2\\\", \\\"n\\\": [1, 2.5, 7], \\\"o\\\": {\\\"x\\\": null, " \
    "\\\"y\\\": 4}}\""
    const char *steps =
        "{\"steps\": [{\"ask\": \"json\", \"path\": \"/next\", " DOC "},"
        "{\"ask\": \"json\", \"path\": \"/n\", " DOC "}, {\"ask\": \"json\", \"path\": \"/o\", " DOC "},"
        "{\"ask\": \"json\", \"path\": \"/n/1\", " DOC "}, {\"ask\": \"json\", \"path\": \"/o/x\", " DOC "},"
        "{\"ask\": \"json\", \"path\": \"/none\", " DOC "},"
        "{\"ask\": \"json\", \"path\": \"\", \"text\": \"{\"}]}";
    instance *in = stand_instance(&s, "org.penstock.test.asker", steps);
    must(instance_discover(in, NULL, &told, &st), &st);
    instance_free(in);
    says(told, 0, "kind 5, has 1, text p2, integer 0, real 0, flag 0, count 0, key -, last 0, \"p2\"");
    says(told, 1, "kind 6, has 1, text -, integer 0, real 0, flag 0, count 3, key -, last 7, [1,2.5,7]");
    says(told, 2,
         "kind 7, has 1, text -, integer 0, real 0, flag 0, count 2, key y, last 4, {\"x\":null,\"y\":4}");
    says(told, 3, "kind 4, has 1, text -, integer 0, real 2.5");
    says(told, 4, "kind 1, has 0");
    says(told, 5, "kind 0, has 0");
    says(told, 5, "the document has nothing at");
    says(told, 6, "not JSON:");
    json_decref(told);
}

/* The question of a cell that says what it likes. */
static pst_status secret_answer(instance *in, const char *reference, char out[256])
{
    _Alignas(8) uint8_t asked[512], room[4096];
    frame_writer question = frame_writer_buffer(asked, sizeof asked);
    frame_item item;
    frame_put_text(&question, FRAME_SERVICE, SERVICE_SECRETS);
    frame_put_text(&question, FRAME_TEXT, reference);
    cell_reply reply = {.body = frame_writer_buffer(room, sizeof room), .fd = -1};
    assert_true(services_answer(in, frame_reader_make(asked, question.len), &reply));
    frame_reader answer = frame_reader_make(room, reply.body.len);
    assert_true(frame_next(&answer, &item));
    snprintf(out, 256, "%.*s", (int)(item.tag == FRAME_VALUE ? item.len : 200),
             item.tag == FRAME_VALUE ? (const char *)item.data : ((const frame_error *)item.data)->message);
    return reply.status;
}

static void only_secrets_of_the_own_configuration_are_handed_out(void **state)
{
    (void)state;
    char said[256];
    instance *named = stand_instance(&s, "org.penstock.test.asker",
                                     "{\"steps\": [{\"ask\": \"open\", \"path\": \"door\"}]}");
    assert_int_equal(secret_answer(named, "door", said), PST_OK);
    assert_string_equal(said, "open sesame");
    instance_free(named);
    instance *other = stand_instance(&s, "org.penstock.test.asker",
                                     "{\"steps\": [{\"ask\": \"open\", \"path\": \"doo\"}]}");
    assert_int_equal(secret_answer(other, "door", said), PST_E_CONFIG);
    assert_non_null(strstr(said, "the configuration names no such secret"));
    assert_int_equal(secret_answer(other, "", said), PST_E_CONFIG);
    instance_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_secrets_of_the_own_configuration_are_handed_out),
        cmocka_unit_test(granted_files_are_read),
        cmocka_unit_test(other_files_are_not),
        cmocka_unit_test(without_a_grant_nothing_is_read),
        cmocka_unit_test(folders_are_listed_in_order),
        cmocka_unit_test(state_lasts_and_is_of_one_instance),
        cmocka_unit_test(a_rate_is_kept),
        cmocka_unit_test(json_is_read_by_pointer),
        cmocka_unit_test(unknown_services_are_null_and_questions_have_a_limit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
