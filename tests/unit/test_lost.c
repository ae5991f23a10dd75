/* test_lost.c - what the depot service notes as lost, for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <czmq.h>

#include "common/mem.h"
#include "coordinator/depot_answers.h"
#include "depots.h"

enum { SIZE = 60000 };

typedef struct {
    depots_t *depots;
    depot_service_t service;
    zsock_t *gateway;           /* the other end of its pipe */
} scene_t;

static int set_up (void **state)
{
    scene_t *self = mem_alloc (sizeof *self);
    if (depots_setup ((void **) &self->depots) < 0)
        return -1;
    self->service.depot = self->depots->depot;
    self->service.pipe = zsys_create_pipe (&self->gateway);
    zsock_set_rcvtimeo (self->gateway, 10000);
    *state = self;
    return 0;
}

static int tear_down (void **state)
{
    scene_t *self = *state;
    buffer_free (&self->service.lost);
    digest_map_free (&self->service.lost_by_digest);
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
    request_t request = { .speaker = { 1, ROLE_WORKS } };
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

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (what_is_back_is_noted_no_more),
        TEST (what_is_there_may_be_put_again),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
