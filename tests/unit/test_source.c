/* test_source.c - what people may write for a context that is fetched, and who may have what fetched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/source.h"
#include "coordinator/source_rules.h"

#define PIN "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define COMMIT "da39a3ee5e6b4b0d3255bfef95601890afd80709"

static void what_is_meant_is_understood (void **state)
{
    (void) state;
    static const struct { const char *text, *transport, *host, *path, *ref, *folder; int port; } rows [] = {
        { "https://git.lan/team/app.git", "https", "git.lan", "/team/app.git", "", "", 0 },
        { "https://Git.LAN:8443/app.git#main", "https", "git.lan", "/app.git", "main", "", 8443 },
        { "https://git.lan/app.git#v1.0:docker/base/", "https", "git.lan", "/app.git", "v1.0", "docker/base", 0 },
        { "https://git.lan/app.git#:docker", "https", "git.lan", "/app.git", "", "docker", 0 },
        { "https://git.lan/app.git#" COMMIT, "https", "git.lan", "/app.git", COMMIT, "", 0 },
        { "https://git.lan/app.git#refs/pull/7/head", "https", "git.lan", "/app.git", "refs/pull/7/head", "", 0 },
        { "http://[::1]:80/app.git", "http", "[::1]", "/app.git", "", "", 80 },
        { "git@git.lan:team/app.git#main:.", "ssh", "git.lan", "team/app.git", "main", "", 0 },
        { "ssh://git@git.lan:2222/~ann/app.git", "ssh", "git.lan", "/~ann/app.git", "", "", 2222 },
        { "git://git.lan/app.git", "git", "git.lan", "/app.git", "", "", 0 },
        { "https://git.lan/My%20Project/app.git/", "https", "git.lan", "/My%20Project/app.git/", "", "", 0 },
        { "https://git.lan/caf%C3%a9/.a/b..c/app.git", "https", "git.lan", "/caf%C3%a9/.a/b..c/app.git", "", "", 0 },
        { "git@git.lan:v3/My%20Project/app", "ssh", "git.lan", "v3/My%20Project/app", "", "", 0 },
        { "file:///srv/git/app.git#feature/x:a b", "file", "", "/srv/git/app.git", "feature/x", "a b", 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        source_t source, again;
        err_t err = { 0 };
        if (!source_is_meant (rows [i].text) || source_parse (&source, rows [i].text, &err) < 0)
            fail_msg ("%s: %s", rows [i].text, err.text);
        assert_string_equal (source.transport, rows [i].transport);
        assert_string_equal (source.host, rows [i].host);
        assert_string_equal (source.path, rows [i].path);
        assert_string_equal (source.ref, rows [i].ref);
        assert_string_equal (source.folder, rows [i].folder);
        assert_int_equal (source.port, rows [i].port);
        AUTO_JSON json_t *json = source_json (&source);
        assert_int_equal (source_read (&again, json, &err), 0);
        assert_memory_equal (&source, &again, sizeof source);
    }
    assert_false (source_is_meant ("."));
    assert_false (source_is_meant ("/srv/app"));
    assert_false (source_is_meant ("a/b@c:d"));
}

static void an_archive_is_pinned (void **state)
{
    (void) state;
    source_t source;
    err_t err = { 0 };
    assert_int_equal (source_parse (&source, "https://host/app.tar.gz#sha256=" PIN ":src", &err), 0);
    assert_string_equal (source.sha256, PIN);
    assert_string_equal (source.folder, "src");
    assert_string_equal (source.ref, "");
    AUTO_FREE char *text = source_text (&source);
    assert_string_equal (text, "https://host/app.tar.gz#sha256=" PIN ":src");
    assert_int_equal (source_parse (&source, "https://host/app.tar.gz", &err), -1);
    assert_non_null (strstr (err.text, "pinned"));
    assert_int_equal (source_parse (&source, "https://host/app.tar.gz#main", &err), -1);
    assert_int_equal (source_parse (&source, "https://host/app.tar.gz#sha256=abc", &err), -1);
    assert_int_equal (source_parse (&source, "ssh://git@host/app.tar.gz#sha256=" PIN, &err), -1);
}

/* Each of them has something that git, ssh, a shell or a person could take for something else. */
static void what_is_bent_is_refused (void **state)
{
    (void) state;
    static const char *const rows [] = {
        "ext::sh -c id", "ext::sh://x/y", "https://", "https:///app.git", "https://git.lan", "https://git.lan/", "ftp://git.lan/app.git", "https:x//https://git.lan/app.git", "https:https://git.lan/app.git", "fd://3/x",
        "https://-oProxyCommand=id/app.git", "ssh://-oProxyCommand=id/app.git", "git@-oProxyCommand=id:app.git", "-u@host:app.git", "ssh://-l@host/app.git",
        "git@host:-app.git", "ssh://git@host:0/app", "ssh://git@host:65536/app", "ssh://git@host:22a/app", "https://git.lan/app.git?token=x",
        "https://git.lan/a b.git", "https://git.lan/$(id).git", "https://git.lan/`id`.git", "https://git.lan/a;b.git", "https://git.lan/a'b.git",
        "https://git.lan/a\"b.git", "https://git.lan/a\\b.git", "https://git.lan/a\nb.git", "https://git.lan/../app.git", "https://git.lan/a/..",
        "https://gi t.lan/app.git", "https://git.lan%00/app.git", "file://host/app.git", "file:///srv/../etc", "file:///srv/%2e%2e/etc",
        "https://git.lan/app.git#-main", "https://git.lan/app.git#--upload-pack=id", "https://git.lan/app.git#a..b", "https://git.lan/app.git#a b",
        "https://git.lan/app.git#a^{commit}", "https://git.lan/app.git#a~1", "https://git.lan/app.git#a:../b", "https://git.lan/app.git#a@{1}",
        "https://git.lan/app.git#+a", "https://git.lan/app.git#a*", "https://git.lan/app.git#a.lock", "https://git.lan/app.git#/a", "https://git.lan/app.git#a/",
        "https://git.lan/app.git#a.", "https://git.lan/app.git#.a", "https://git.lan/app.git#a//b", "https://git.lan/app.git#@", "https://git.lan/app.git#a:b\nc",
        "https://git.lan/app.git#a::(top)b",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        source_t source;
        err_t err = { 0 };
        int rc = source_parse (&source, rows [i], &err);
        if (rc != -1 || err.code != ERR_USAGE)
            fail_msg ("%s is taken", rows [i]);
    }
    AUTO_FREE char *long_url = mem_printf ("https://git.lan/%01100d", 1), *long_ref = mem_printf ("https://git.lan/a#%0300d", 1);
    source_t source;
    assert_int_equal (source_parse (&source, long_url, NULL), -1);
    assert_int_equal (source_parse (&source, long_ref, NULL), -1);
}

/* The rules go by the path: a place that had a second one would be had by another key, or by none's leave. */
static void a_place_has_one_path (void **state)
{
    (void) state;
    static const char *const rows [] = {
        "ssh://git@git.lan/team/%2e%2e/other/secret.git", "ssh://git@git.lan/team/%2E./x.git", "ssh://git@git.lan/team/a%20b.git", "git@git.lan:team/%2e%2e/x.git",
        "git@git.lan:team/%2fx.git", "https://git.lan/team/%2e%2e/x.git", "https://git.lan/team/%2E%2E/x.git", "https://git.lan/team/.%2e/x.git",
        "https://git.lan/team/..%2fx.git", "https://git.lan/team/..%2Fx.git", "https://git.lan/team/..%5cx.git", "https://git.lan/team/..%5Cx.git",
        "http://git.lan/team/%2e%2e/x.git", "git://git.lan/team/%2e%2e/x.git", "https://git.lan/%74eam/x.git", "https://git.lan/team/%252e%252e/x.git",
        "https://git.lan/app%2etar.gz", "https://git.lan/a%00.git", "https://git.lan/a%0a.git", "https://git.lan/a%7F.git", "https://git.lan/a%", "https://git.lan/a%2",
        "https://git.lan/a%2g", "https://git.lan/a%%20", "https://git.lan/a%+2", "https://git.lan/./team/x.git", "https://git.lan//team/x.git",
        "https://git.lan/team//x.git", "https://git.lan/team/./x.git", "https://git.lan/team/.", "https://git.lan/team//", "ssh://git@git.lan/./team/x.git",
        "ssh://git@git.lan//team/x.git", "git@git.lan:./team/x.git", "git@git.lan:team/./x.git", "git@git.lan:.", "git@git.lan:team//x.git",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        source_t base, source;
        err_t err = { 0 };
        if (source_parse (&source, rows [i], &err) != -1 || err.code != ERR_USAGE)
            fail_msg ("%s is taken", rows [i]);
        assert_int_equal (source_parse (&base, "https://git.lan/team/app.git", NULL), 0);
        if (source_of_submodule (&base, rows [i], &source, &err) != -1 || err.code != ERR_USAGE)
            fail_msg ("%s is taken of a submodule", rows [i]);
    }
}

static void a_password_is_neither_taken_nor_repeated (void **state)
{
    (void) state;
    static const char *const rows [] = { "https://ann:hunter2@git.lan/app.git", "https://hunter2@git.lan/app.git", "https://:hunter2@git.lan/app.git#main",
        "ssh://git:hunter2@git.lan/app.git", "http://ann:hunter2@git.lan", "git://hunter2@git.lan/app.git", "https://ann:hunter2@git.lan/a b",
        "https://a@b:hunter2@git.lan/app.git" };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        source_t source;
        err_t err = { 0 };
        assert_int_equal (source_parse (&source, rows [i], &err), -1);
        assert_int_equal (err.code, ERR_USAGE);
        assert_null (strstr (err.text, "hunter2"));
    }
}

static void a_submodule_s_address_is_resolved (void **state)
{
    (void) state;
    static const struct { const char *base, *url, *is; } rows [] = {
        { "https://git.lan/team/app.git", "../lib.git", "https://git.lan/team/lib.git" }, { "https://git.lan/team/app.git/", "./lib", "https://git.lan/team/app.git/lib" },
        { "https://git.lan/team/app.git", "../../other/lib.git", "https://git.lan/other/lib.git" }, { "git@git.lan:team/app.git", "../lib.git", "git@git.lan:team/lib.git" },
        { "https://git.lan/team/app.git", "ssh://git@other/lib.git", "ssh://git@other/lib.git" }, { "file:///srv/a.git", "../b.git", "file:///srv/b.git" },
        { "https://git.lan/app.git", "../../lib.git", NULL }, { "https://git.lan/app.git", "ext::sh -c id", NULL }, { "https://git.lan/app.git", "/etc", NULL },
        { "https://git.lan/app.git", "-u", NULL }, { "https://git.lan/app.git", "", NULL }, { "https://git.lan/app.git", "https://x:y@git.lan/a", NULL },
        { "https://git.lan/team/app.git", ".././lib.git", "https://git.lan/team/lib.git" }, { "https://git.lan/team/app.git", "../lib/../../other.git", NULL },
        { "https://git.lan/team/app.git", "../%2e%2e/other.git", NULL }, { "https://git.lan/team/app.git", "..//other.git", NULL },
        { "https://git.lan/team/app.git", "./a/./b", NULL }, { "git@git.lan:team/app.git", "../%2E%2E/other.git", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        source_t base, source;
        err_t err = { 0 };
        assert_int_equal (source_parse (&base, rows [i].base, &err), 0);
        int rc = source_of_submodule (&base, rows [i].url, &source, &err);
        if (rc != (rows [i].is ? 0 : -1))
            fail_msg ("%s from %s: %s", rows [i].url, rows [i].base, err.text);
        if (rows [i].is)
            assert_string_equal (source.url, rows [i].is);
    }
}

/* -- rules ------------------------------------------------------------------------------------------------------ */

static const setting_def_t table [] = {
    { "git/transports", SETTING_LIST, "https,ssh", "" }, { "git/hosts", SETTING_LIST, "*", "" }, { "git/inside", SETTING_LIST, NULL, "" },
    { "git/folders", SETTING_LIST, NULL, "" }, { "git/keys", SETTING_LIST, NULL, "" }, { "git/helpers", SETTING_LIST, NULL, "" },
    { "git/known-hosts", SETTING_TEXT, NULL, "" }, { "git/ca-file", SETTING_TEXT, NULL, "" }, { "git/proxy", SETTING_TEXT, NULL, "" },
    { "git/lfs", SETTING_BOOL, "no", "" }, { NULL, SETTING_TEXT, NULL, NULL }
};

static int check (const json_t *rules, const char *user, const char *text)
{
    source_t source;
    err_t err = { 0 };
    assert_int_equal (source_parse (&source, text, &err), 0);
    int rc = source_rules_check (rules, user, &source, &err);
    assert_int_equal (rc < 0 ? err.code : ERR_NONE, rc < 0 ? ERR_DENIED : ERR_NONE);
    return rc;
}

static void a_host_is_for_those_who_may (void **state)
{
    (void) state;
    AUTO (settings) settings_t *settings = settings_new (table);
    assert_int_equal (settings_set (settings, "git/hosts", "github.com,*.pub.lan,git.lan=ann", NULL), 0);
    AUTO_JSON json_t *rules = source_rules_new (settings, NULL);
    assert_int_equal (check (rules, "bob", "https://github.com/a/b"), 0);
    assert_int_equal (check (rules, "bob", "https://x.pub.lan/a/b"), 0);
    assert_int_equal (check (rules, "bob", "https://pub.lan.evil/a/b"), -1);
    assert_int_equal (check (rules, "bob", "https://git.lan/a/b"), -1);
    assert_int_equal (check (rules, "ann", "https://GIT.lan:8443/a/b"), 0);
    assert_int_equal (check (rules, "ann", "http://git.lan/a/b"), -1);
    assert_int_equal (check (rules, "ann", "file:///srv/a"), -1);
    assert_int_equal (check (NULL, "ann", "https://github.com/a/b"), -1);
    AUTO_JSON json_t *hers = source_rules_for (rules, "ann"), *his = source_rules_for (rules, "bob");
    assert_int_equal (check (hers, NULL, "git@git.lan:a/b"), 0);
    assert_int_equal (check (his, NULL, "git@git.lan:a/b"), -1);
    assert_int_equal (settings_set (settings, "git/hosts", "GIT.lan/team", NULL), 0);
    AUTO_JSON json_t *below = source_rules_new (settings, NULL);
    assert_int_equal (check (below, "ann", "https://git.LAN/team/app.git"), 0);
    assert_int_equal (check (below, "ann", "https://git.lan/TEAM/app.git"), -1);
    assert_int_equal (check (below, "ann", "https://git.lan/team.private/app.git"), -1);
}

static void folders_and_keys_are_found_by_path (void **state)
{
    (void) state;
    source_t source;
    AUTO (settings) settings_t *settings = settings_new (table);
    assert_int_equal (settings_set (settings, "git/transports", "file,ssh", NULL), 0);
    assert_int_equal (settings_set (settings, "git/folders", "/srv/git", NULL), 0);
    assert_int_equal (settings_set (settings, "git/keys", "git.lan=/k/all,git.lan/team=/k/team,git.lan/team/app=/k/app,Other.LAN/x=/k/x,[fd00::A]=/k/v6", NULL), 0);
    AUTO_JSON json_t *rules = source_rules_new (settings, NULL);
    assert_int_equal (check (rules, "ann", "file:///srv/git/a.git"), 0);
    assert_int_equal (check (rules, "ann", "file:///srv/github/a.git"), -1);
    static const struct { const char *url, *key; } rows [] = {
        { "git@git.lan:team/app.git", "/k/app" }, { "git@git.lan:team/app", "/k/app" }, { "ssh://git@git.lan/team/apple.git", "/k/team" },
        { "git@git.lan:teams/x.git", "/k/all" }, { "git@git.lan:x.git", "/k/all" }, { "git@other:team/app.git", NULL },
        { "ssh://git@git.lan/team/app.git/", "/k/app" }, { "ssh://git@git.lan/team/app/below.git", "/k/app" }, { "git@git.lan:team.git", "/k/team" },
        { "git@git.lan:team/app.private", "/k/team" }, { "git@git.lan:team/app.github", "/k/team" }, { "git@git.lan:team.private/app.git", "/k/all" },
        { "git@git.lan:team.", "/k/all" }, { "ssh://git@GIT.Lan/team/app.git", "/k/app" }, { "git@git.lan:Team/app.git", "/k/all" },
        { "git@other.lan:x/app.git", "/k/x" }, { "git@other.lan:x.y/app.git", NULL },
        { "ssh://git@[fd00::a]/app.git", "/k/v6" }, { "git@a:app.git", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal (source_parse (&source, rows [i].url, NULL), 0);
        const char *key = source_rules_key (rules, &source);
        assert_int_equal (!key, !rows [i].key);
        if (key)
            assert_string_equal (key, rows [i].key);
    }
}

static void wrong_settings_are_named (void **state)
{
    (void) state;
    static const char *const rows [] [2] = {
        { "git/transports", "https,ext" }, { "git/hosts", "a|b" }, { "git/keys", "git.lan" }, { "git/keys", "git.lan=key" }, { "git/keys", "git.lan=/a'b" },
        { "git/helpers", "git.lan" }, { "git/helpers", "git.lan=!id" }, { "git/helpers", "git.lan=/a;id" }, { "git/helpers", "git.lan=-x" }, { "git/folders", "srv" }, { "git/folders", "/" }, { "git/ca-file", "/a\"b" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err_t err = { 0 };
        AUTO (settings) settings_t *settings = settings_new (table);
        assert_int_equal (settings_set (settings, rows [i] [0], rows [i] [1], NULL), 0);
        AUTO_JSON json_t *rules = source_rules_new (settings, &err);
        if (rules || err.code != ERR_USAGE || !strstr (err.text, rows [i] [0]))
            fail_msg ("%s = %s: %s", rows [i] [0], rows [i] [1], err.text);
    }
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (what_is_meant_is_understood), cmocka_unit_test (an_archive_is_pinned), cmocka_unit_test (what_is_bent_is_refused),
        cmocka_unit_test (a_place_has_one_path), cmocka_unit_test (a_password_is_neither_taken_nor_repeated), cmocka_unit_test (a_submodule_s_address_is_resolved),
        cmocka_unit_test (a_host_is_for_those_who_may), cmocka_unit_test (folders_and_keys_are_found_by_path), cmocka_unit_test (wrong_settings_are_named),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
