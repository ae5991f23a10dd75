/* test_join.c - farm-worker's command line, and join against a coordinator played by an actor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/actor.h"
#include "common/enrol.h"
#include "common/file.h"
#include "common/msg.h"
#include "coordinator/zap.h"
#include "trees.h"
#include "worker/join.h"

typedef struct {
    char *top, *state, *file, *string;
    zsock_t *zap, *coordinator;
    keypair_t server, invited;
    char bound [256];
    const char *refusal;        /* answer so; NULL: joined */
    const char *given;          /* under this name; NULL: the one that was wished for */
    char joined_name [64], joined_key [KEY_HEX_SIZE + 1];
    int joins;
} farm_t;

/* -- the coordinator -------------------------------------------------------------------------------------------- */

static void on_join (farm_t *self, zsock_t *router, zframe_t *peer, const msg_t *in)
{
    err_t err;
    json_int_t seq = msg_int (in, "seq");
    assert_string_equal (msg_text (in, "kind"), "worker");
    snprintf (self->joined_name, sizeof self->joined_name, "%s", msg_text (in, "name"));
    snprintf (self->joined_key, sizeof self->joined_key, "%s", msg_text (in, "public_key"));
    self->joins++;
    msg_t *out = self->refusal ? msg_new ("error", json_pack ("{s:I, s:s, s:s}", "re", seq, "code", "denied", "text", self->refusal), NULL, 0)
                               : msg_new ("joined", json_pack ("{s:I, s:s, s:s}", "re", seq, "role", "worker", "name", self->given ? self->given : self->joined_name), NULL, 0);
    msg_send (&out, router, peer, &err);
}

static void coordinate (zsock_t *pipe, void *argument)
{
    farm_t *self = argument;
    err_t err = { 0 };
    zsock_t *router = msg_bind ("tcp://127.0.0.1:*", &self->server, 100, self->bound, &err);
    zsock_signal (pipe, 0);
    zpoller_t *poller = zpoller_new (pipe, router, NULL);
    while (zpoller_wait (poller, -1) == router) {
        zframe_t *peer = NULL;
        AUTO (msg) msg_t *in = msg_recv (router, &peer, NULL, NULL, &err);
        if (in && msg_is (in, "join"))
            on_join (self, router, peer, in);
        zframe_destroy (&peer);
    }
    zpoller_destroy (&poller);
    zsock_destroy (&router);
}

static int set_up (void **state)
{
    farm_t *self = mem_alloc (sizeof *self);
    char hex [KEY_HEX_SIZE + 1];
    self->top = tree_new ();
    self->state = file_join (self->top, "state");
    self->file = file_join (self->top, "etc/worker.conf");
    keypair_make (&self->server);
    keypair_make (&self->invited);
    self->zap = actor_new (zap_actor, NULL, NULL);
    key_to_hex (self->invited.public_key, hex);
    zap_allow (self->zap, hex);
    self->coordinator = actor_new (coordinate, self, NULL);
    invitation_t to = { .objects = "tcp://objects.lan:1" };
    snprintf (to.control, sizeof to.control, "%s", self->bound);
    memcpy (to.server_key, self->server.public_key, KEY_SIZE);
    memcpy (to.invitation, self->invited.secret_key, KEY_SIZE);
    self->string = invitation_encode (&to);
    *state = self;
    return 0;
}

static int tear_down (void **state)
{
    farm_t *self = *state;
    actor_destroy (&self->coordinator);
    actor_destroy (&self->zap);
    tree_remove (self->top);
    free (self->top);
    free (self->state);
    free (self->file);
    free (self->string);
    free (self);
    return 0;
}

/* -- the command line ------------------------------------------------------------------------------------------- */

/* Words with a space between; the options point into *line, which the caller frees after them. */
static int read_line (options_t *options, char **line, const char *text, err_t *err)
{
    char *argv [32] = { (char *) "farm-worker" };
    int argc = 1;
    char *rest = *line = mem_strdup (text);
    for (char *word; (word = strsep (&rest, " ")); )
        if (*word)
            argv [argc++] = word;
    return options_read (options, argc, argv, err);
}

static void assert_refused (const char *text, const char *reason)
{
    err_t err = { 0 };
    options_t options;
    AUTO_FREE char *line = NULL;
    if (read_line (&options, &line, text, &err) == 0)
        fail_msg ("\"%s\" was taken", text);
    assert_int_equal (err.code, ERR_USAGE);
    if (!strstr (err.text, reason))
        fail_msg ("\"%s\" is refused with \"%s\"", text, err.text);
    options_free (&options);
}

static void what_cannot_be_understood_is_refused (void **state)
{
    (void) state;
    assert_refused ("--slot 2", "--slot is no option");
    assert_refused ("join", "join needs the join string");
    assert_refused ("join a join b", "join is no option");
    assert_refused ("-c", "-c needs");
    assert_refused ("--slots 0", "slots is 0");
    assert_refused ("--slots 2000", "slots is 2000");
    assert_refused ("--slots many", "whole number");
    assert_refused ("--door-port 70000", "door/port is 70000");
    assert_refused ("--depot-limit 10X", "depot/limit");
    assert_refused ("--registry-timeout-ms 0", "registry/timeout-ms is 0");
    assert_refused ("--log-level loud", "log/level is loud");
}

static void a_file_that_is_named_has_to_be_there (void **state)
{
    (void) state;
    err_t err = { 0 };
    options_t options;
    AUTO_FREE char *line = NULL;
    assert_int_equal (read_line (&options, &line, "-c /nowhere/worker.conf", &err), -1);
    assert_int_equal (err.code, ERR_NOT_FOUND);
    assert_non_null (strstr (err.text, "/nowhere/worker.conf"));
    options_free (&options);
}

static void the_cache_follows_the_state (void **state)
{
    (void) state;
    static const struct { const char *line, *cache; } table [] = {
        { "join x -c /nowhere", FARM_CACHEDIR "/worker" }, { "join x -c /nowhere --state /srv/w", "/srv/w/cache" },
        { "join x -c /nowhere --state /srv/w --cache /c", "/c" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        err_t err = { 0 };
        options_t options;
        AUTO_FREE char *line = NULL;
        assert_int_equal (read_line (&options, &line, table [i].line, &err), 0);
        AUTO_FREE char *cache = options_contexts_folder (&options);
        assert_string_equal (cache, table [i].cache);
        options_free (&options);
    }
}

static void paths_are_from_where_it_is_started (void **state)
{
    (void) state;
    err_t err = { 0 };
    options_t options;
    AUTO_FREE char *line = NULL, *here = getcwd (NULL, 0), *below = file_join (here, "w");
    assert_int_equal (read_line (&options, &line, "join x -c /nowhere --state w --builder-program buildah", &err), 0);
    assert_string_equal (settings_text (options.settings, "state"), below);
    assert_string_equal (settings_text (options.settings, "builder/program"), "buildah");
    options_free (&options);
}

/* -- join ------------------------------------------------------------------------------------------------------- */

static int join (const farm_t *self, const char *more, err_t *err)
{
    options_t options;
    AUTO_FREE char *text = mem_printf ("join %s -c %s --state %s %s", self->string, self->file, self->state, more);
    AUTO_FREE char *line = NULL;
    fflush (stdout);
    int out = dup (1), null = open ("/dev/null", O_WRONLY);     /* what it prints is no TAP */
    dup2 (null, 1);
    int rc = read_line (&options, &line, text, err) < 0 ? -1 : join_run (&options, err);
    fflush (stdout);
    dup2 (out, 1);
    close (out);
    close (null);
    options_free (&options);
    return rc;
}

static void load (const farm_t *self, options_t *options, char **line)
{
    err_t err = { 0 };
    AUTO_FREE char *text = mem_printf ("-c %s", self->file);
    if (read_line (options, line, text, &err) < 0)
        fail_msg ("%s", err.text);
}

/* Who is invited has a name already: the worker shows itself under that one. */
static void an_invited_worker_has_the_name_that_it_was_given (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    options_t options;
    AUTO_FREE char *line = NULL;
    self->given = "pi4";
    if (join (self, "--name another", &err) < 0)
        fail_msg ("%s", err.text);
    load (self, &options, &line);
    assert_string_equal (settings_text (options.settings, "name"), "pi4");
    options_free (&options);
}

static void a_join_makes_a_key_and_the_settings (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    options_t options;
    keypair_t own;
    struct stat info;
    char hex [KEY_HEX_SIZE + 1];
    AUTO_FREE char *line = NULL, *key = file_join (self->state, "worker.key");
    if (join (self, "--name pi4 --slots 2 --registry-plain-http a:1,b:2", &err) < 0)
        fail_msg ("%s", err.text);
    assert_int_equal (stat (key, &info), 0);
    assert_int_equal (info.st_mode & 0777, 0600);
    assert_int_equal (stat (self->file, &info), 0);
    assert_int_equal (info.st_mode & 0777, 0600);
    assert_int_equal (keypair_load (&own, key, &err), 0);
    key_to_hex (own.public_key, hex);
    assert_string_equal (self->joined_key, hex);
    assert_string_equal (self->joined_name, "pi4");
    load (self, &options, &line);
    key_to_hex (self->server.public_key, hex);
    assert_string_equal (settings_text (options.settings, "coordinator/control"), self->bound);
    assert_string_equal (settings_text (options.settings, "coordinator/objects"), "tcp://objects.lan:1");
    assert_string_equal (settings_text (options.settings, "coordinator/key"), hex);
    assert_string_equal (settings_text (options.settings, "state"), self->state);
    assert_string_equal (settings_text (options.settings, "name"), "pi4");
    assert_int_equal (settings_number (options.settings, "slots"), 2);
    assert_string_equal (settings_list (options.settings, "registry/plain-http") [1], "b:2");
    assert_null (settings_text (options.settings, "builder/program"));          /* as the driver says */
    options_free (&options);
}

static void a_second_join_is_the_same_and_keeps_other_settings (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    options_t options;
    AUTO_FREE char *line = NULL;
    char first [KEY_HEX_SIZE + 1];
    assert_int_equal (join (self, "--slots 3", &err), 0);
    strcpy (first, self->joined_key);
    assert_int_equal (join (self, "--builder-isolation chroot", &err), 0);
    assert_int_equal (self->joins, 2);
    assert_string_equal (self->joined_key, first);
    load (self, &options, &line);
    assert_int_equal (settings_number (options.settings, "slots"), 3);
    assert_string_equal (settings_text (options.settings, "builder/isolation"), "chroot");
    AUTO_BUFFER buffer_t text = { 0 };
    assert_int_equal (file_read (self->file, 65536, &text, &err), 0);
    buffer_append (&text, "", 1);
    assert_null (strstr ((const char *) text.data, "\"\""));
    options_free (&options);
}

static void values_with_quotes_stay_as_they_are (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    static const char before [] = "name = a\"b\nstate = 'c \"d\"'\nbuilder\n    program = e\"f'g\n";
    AUTO_FREE char *path = file_join (self->top, "quotes.conf");
    assert_int_equal (file_write (path, before, strlen (before), 0600, &err), 0);
    zconfig_t *settings = enrol_open_settings (path);
    assert_int_equal (enrol_save_settings (&settings, path, &err), 0);
    settings = enrol_open_settings (path);
    assert_string_equal (zconfig_get (settings, "name", ""), "a\"b");
    assert_string_equal (zconfig_get (settings, "state", ""), "c \"d\"");
    assert_string_equal (zconfig_get (settings, "builder/program", ""), "e\"f'g");
    zconfig_destroy (&settings);
}

static void the_coordinator_that_counts_is_replaced (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    static const char before [] = "coordinator\n    control = tcp://old:1\nname = a\ncoordinator\n    control = tcp://older:1\n";
    static const setting_def_t table [] = { { "name", SETTING_TEXT, NULL, "" }, { "coordinator/control", SETTING_TEXT, NULL, "" },
                                            { "coordinator/objects", SETTING_TEXT, NULL, "" }, { "coordinator/key", SETTING_TEXT, NULL, "" },
                                            { NULL, SETTING_TEXT, NULL, NULL } };
    invitation_t to = { .control = "tcp://new:1", .objects = "tcp://new:2" };
    AUTO_FREE char *path = file_join (self->top, "twice.conf");
    AUTO (settings) settings_t *after = settings_new (table);
    assert_int_equal (file_write (path, before, strlen (before), 0600, &err), 0);
    zconfig_t *file = enrol_open_settings (path);
    enrol_put_coordinator (file, &to);
    assert_int_equal (enrol_save_settings (&file, path, &err), 0);
    assert_int_equal (settings_load (after, path, &err), 0);
    assert_string_equal (settings_text (after, "coordinator/control"), to.control);
    assert_string_equal (settings_text (after, "name"), "a");
}

static void an_option_that_was_given_counts (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    options_t options;
    AUTO_FREE char *line = NULL;
    static const char before [] = "slots = 1\nslots = 2\n";
    AUTO_FREE char *folder = enrol_folder_of (self->file);
    assert_int_equal (file_make_folders (folder, 0700, &err), 0);
    assert_int_equal (file_write (self->file, before, strlen (before), 0600, &err), 0);
    assert_int_equal (join (self, "--slots 3", &err), 0);
    load (self, &options, &line);
    assert_int_equal (settings_number (options.settings, "slots"), 3);
    options_free (&options);
}

static void a_refusal_is_told_and_writes_no_settings (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    self->refusal = "no more workers";
    assert_int_equal (join (self, "", &err), -1);
    assert_int_equal (err.code, ERR_DENIED);
    assert_non_null (strstr (err.text, "no more workers"));
    assert_false (file_exists (self->file));
}

static void what_is_no_name_and_no_string_is_refused (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    assert_int_equal (join (self, "--name -x", &err), -1);
    assert_int_equal (err.code, ERR_USAGE);
    self->string [20] = 0;
    assert_int_equal (join (self, "", &err), -1);
    assert_int_equal (err.code, ERR_USAGE);
    assert_non_null (strstr (err.text, "whole join string"));
    assert_int_equal (self->joins, 0);
    assert_false (file_exists (self->file));
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (what_cannot_be_understood_is_refused),
        cmocka_unit_test (a_file_that_is_named_has_to_be_there),
        cmocka_unit_test (the_cache_follows_the_state),
        cmocka_unit_test (paths_are_from_where_it_is_started),
        TEST (an_invited_worker_has_the_name_that_it_was_given),
        TEST (a_join_makes_a_key_and_the_settings),
        TEST (a_second_join_is_the_same_and_keeps_other_settings),
        TEST (values_with_quotes_stay_as_they_are),
        TEST (the_coordinator_that_counts_is_replaced),
        TEST (an_option_that_was_given_counts),
        TEST (a_refusal_is_told_and_writes_no_settings),
        TEST (what_is_no_name_and_no_string_is_refused),
    };
    zsys_handler_set (NULL);
    return cmocka_run_group_tests (tests, NULL, NULL);
}
