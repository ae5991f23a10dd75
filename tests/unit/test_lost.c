/* test_lost.c - what the depot service notes as lost, for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <czmq.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "coordinator/depot_answers.h"
#include "depots.h"

enum { SIZE = 60000 };

typedef struct {
    depots_t *depots;
    depot_service_t service;
    zsock_t *gateway;           /* the other end of its pipe */
    char logs [32];
} scene_t;

static int set_up (void **state)
{
    scene_t *self = mem_alloc (sizeof *self);
    if (depots_setup ((void **) &self->depots) < 0)
        return -1;
    self->service.depot = self->depots->depot;
    self->service.scopes = scopes_new (self->service.depot);
    self->service.pipe = zsys_create_pipe (&self->gateway);
    zsock_set_rcvtimeo (self->gateway, 10000);
    strcpy (self->logs, "/tmp/logs-XXXXXX");
    if (!mkdtemp (self->logs) || build_logs_new (&self->service.logs, self->logs, 1000000, NULL) < 0)
        return -1;
    *state = self;
    return 0;
}

static int tear_down (void **state)
{
    scene_t *self = *state;
    buffer_free (&self->service.lost);
    digest_map_free (&self->service.lost_by_digest);
    build_logs_destroy (&self->service.logs);
    scopes_destroy (&self->service.scopes);
    file_remove_tree (self->logs, NULL);
    zsock_destroy (&self->service.pipe);
    zsock_destroy (&self->gateway);
    int rc = depots_teardown ((void **) &self->depots);
    free (self);
    return rc;
}

static digest_t root_of (uint64_t seed)
{
    small_context_t context;
    small_context_make (&context, SIZE, seed);
    digest_t root = small_context_root (&context);
    small_context_free (&context);
    return root;
}

static digest_t file_of (uint64_t seed)
{
    small_context_t context;
    small_context_make (&context, SIZE, seed);
    digest_t file = digest_of (context.file.data, context.file.size);
    small_context_free (&context);
    return file;
}

static void put (scene_t *self, uint64_t seed)
{
    assert_int_equal (put_context (self->depots->depot, SIZE, seed, NULL), 0);
}

/* The first context that was put is found damaged. */
static void lose (scene_t *self, uint64_t seed)
{
    AUTO_BUFFER buffer_t out = { 0 };
    digest_t file = file_of (seed), root = root_of (seed);
    char hex [DIGEST_HEX_SIZE + 1];
    digest_to_hex (&root, hex);
    depots_flip (self->depots->folder, 1, 100);
    assert_int_equal (depot_get (self->depots->depot, &file, &out, NULL, NULL), -1);
    lost_tell (&self->service);
    AUTO_FREE char *verb = NULL, *told = NULL;
    assert_int_equal (zstr_recvx (self->gateway, &verb, &told, NULL), 2);
    assert_string_equal (verb, "LOST");
    assert_string_equal (told, hex);
}

/* A worker's put of it. */
static bool may_put (scene_t *self, const digest_t *digest)
{
    request_t request = { .speaker = { 1, "worker", true } };
    return lost_check (&self->service, &request, digest, NULL) == 0;
}

/* What a worker brings; the service looks at what was put, and then at what is lost. */
static void bring_back (scene_t *self, uint64_t seed)
{
    digest_t file = file_of (seed), root = root_of (seed);
    put (self, seed);
    lost_put (&self->service, &file);
    lost_put (&self->service, &root);
    lost_tell (&self->service);
}

/* -- tests ------------------------------------------------------------------------------------------------------ */

static void what_is_back_is_noted_no_more (void **state)
{
    scene_t *self = *state;
    digest_t file = file_of (1), root = root_of (1);
    put (self, 1);
    lose (self, 1);
    assert_true (may_put (self, &file) && may_put (self, &root));
    bring_back (self, 1);
    assert_false (lost_holds (&self->service, &file) || lost_holds (&self->service, &root));
    assert_int_equal (depot_trim (self->depots->depot, 0, NULL), 3);
    assert_false (may_put (self, &file) || may_put (self, &root));
}

/* The answer was lost, or another worker was faster. */
static void what_is_there_may_be_put_again (void **state)
{
    scene_t *self = *state;
    digest_t file = file_of (1), none = file_of (2);
    put (self, 1);
    assert_true (may_put (self, &file));
    assert_false (may_put (self, &none));
}

/* With this root; how many objects went. Everything so far was used before the mark, which is old enough. */
static int collect (scene_t *self, const digest_t *root, int64_t grace_ms)
{
    depot_root_t kept = { *root, INT64_MAX };
    collection_t *collection = &self->service.collection;
    zmsg_t *command = zmsg_new ();
    zmsg_addstr (command, "");
    zmsg_addstr (command, "");
    zmsg_addmem (command, &kept, sizeof kept);
    *collection = (collection_t) { .grace_ms = grace_ms };
    collection->marks [MARKS - 1] = (collection_mark_t) { clock_boot_ms () - grace_ms, depot_mark (self->depots->depot) };
    collection_begin (&self->service, command, self->service.pipe);
    zmsg_destroy (&command);
    while (collection->is_running)
        collection_step (&self->service, self->service.pipe);
    AUTO_FREE char *verb = NULL, *told = NULL, *text = NULL;
    assert_int_equal (zstr_recvx (self->gateway, &verb, &told, &text, NULL), 3);
    assert_string_equal (verb, "COLLECTED");
    AUTO_JSON json_t *figures = json_loads (told, 0, NULL);
    return *text ? -1 : (int) json_integer_value (json_object_get (figures, "objects"));
}

/* The other object stands for it. */
static void what_is_left_of_a_lost_context_waits_for_the_rest (void **state)
{
    scene_t *self = *state;
    depot_t *depot = self->depots->depot;
    AUTO_BUFFER buffer_t other = { 0 };
    digest_t root = root_of (1);
    put (self, 1);
    noise (&other, 1000, 7);
    assert_int_equal (put_buffer (depot, OBJECT_CONTENT, &other, NULL), 0);
    lose (self, 1);
    assert_int_equal (collect (self, &root, 3600000), -1);
    assert_true (has (depot, &other));
    bring_back (self, 1);
    assert_int_equal (collect (self, &root, 3600000), 1);
    assert_int_equal (presence (depot, SIZE, 1), 1);
}

static void what_does_not_come_back_is_not_waited_for_for_ever (void **state)
{
    scene_t *self = *state;
    AUTO_BUFFER buffer_t other = { 0 };
    digest_t root = root_of (1);
    put (self, 1);
    noise (&other, 1000, 7);
    assert_int_equal (put_buffer (self->depots->depot, OBJECT_CONTENT, &other, NULL), 0);
    lose (self, 1);
    zclock_sleep (2);
    assert_int_equal (collect (self, &root, 1), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (what_is_back_is_noted_no_more),
        TEST (what_is_there_may_be_put_again),
        TEST (what_is_left_of_a_lost_context_waits_for_the_rest),
        TEST (what_does_not_come_back_is_not_waited_for_for_ever),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
