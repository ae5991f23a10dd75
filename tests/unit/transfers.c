/* transfers.c - see transfers.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/actor.h"
#include "common/file.h"
#include "coordinator/zap.h"
#include "transfers.h"
#include "trees.h"

static zsock_t *running;                /* the depot service, for attempts */

enum { ATTEMPTS_MAX = 64 };
static digest_t attempts [ATTEMPTS_MAX];        /* the last ones */
static int attempt_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void open_attempt (int number)
{
    char hex [DIGEST_HEX_SIZE + 1], job [24];
    snprintf (job, sizeof job, "%d", number + 1);
    digest_to_hex (&attempts [number % ATTEMPTS_MAX], hex);
    zstr_sendx (running, "OPEN-LOG", job, "1", "2", hex, hex, NULL);
}

/* As the gateway does with the attempts that live. */
static void open_attempts (zsock_t *service)
{
    pthread_mutex_lock (&lock);
    running = service;
    for (int i = attempt_count > ATTEMPTS_MAX ? attempt_count - ATTEMPTS_MAX : 0; running && i < attempt_count; i++)
        open_attempt (i);
    pthread_mutex_unlock (&lock);
}

void begin_attempt (const digest_t *root)
{
    pthread_mutex_lock (&lock);
    attempts [attempt_count++ % ATTEMPTS_MAX] = *root;
    if (running)
        open_attempt (attempt_count - 1);
    pthread_mutex_unlock (&lock);
}

static void let_in (farm_t *self, const keypair_t *key, const char *id, const char *role)
{
    char hex [KEY_HEX_SIZE + 1];
    keypair_t copy = *key;
    key_to_hex (copy.public_key, hex);
    zap_allow (self->zap, hex);
    if (self->service_actor)
        zstr_sendx (self->service_actor, "PRINCIPAL", hex, id, role, NULL);
}

void start_service (farm_t *self, const char *endpoint)
{
    err_t err = { 0 };
    depot_service_settings_t settings = {
        .state_folder = self->state, .endpoint = endpoint, .server = &self->server, .log_limit_bytes = 1000000,
        .context_limits = { 3, 100000 }
    };
    for (int tries = 0; depot_service_new (&self->service, &settings, &err) < 0; tries++) {
        if (tries == 100 || !strstr (err.text, "in use"))
            fail_msg ("%s", err.text);
        zclock_sleep (50);              /* the former one's socket is closed some time later, in libzmq's thread */
    }
    self->service_actor = actor_new (depot_service_actor, self->service, NULL);
    open_attempts (self->service_actor);
    zstr_send (self->service_actor, "OPEN");
    let_in (self, &self->user, "1", "submitter");
    let_in (self, &self->worker, "2", "worker");
    let_in (self, &self->other, "3", "submitter");
    let_in (self, &self->viewer, "5", "viewer");
}

void stop_service (farm_t *self)
{
    open_attempts (NULL);
    actor_destroy (&self->service_actor);
    depot_service_destroy (&self->service);
}

int set_up (void **state)
{
    farm_t *self = mem_alloc (sizeof *self);
    err_t err = { 0 };
    zsys_handler_set (NULL);            /* as the programs do: else a signal ends the actors, and not the test that waits for them */
    self->top = tree_new ();
    self->context = file_join (self->top, "context");
    self->state = file_join (self->top, "state");
    self->out = file_join (self->top, "out");
    tree_folder (self->top, "context", 0755);
    tree_folder (self->top, "state", 0700);
    keypair_make (&self->server);
    keypair_make (&self->user);
    keypair_make (&self->other);
    keypair_make (&self->viewer);
    keypair_make (&self->worker);
    self->zap = actor_new (zap_actor, NULL, NULL);
    start_service (self, "tcp://127.0.0.1:*");
    const char *endpoint = depot_service_endpoint (self->service);
    self->client = client_new_to ("tcp://127.0.0.1:1", endpoint, self->server.public_key, &self->user);
    self->other_client = client_new_to ("tcp://127.0.0.1:1", endpoint, self->server.public_key, &self->other);
    self->viewer_client = client_new_to ("tcp://127.0.0.1:1", endpoint, self->server.public_key, &self->viewer);
    self->objects = msg_connect (endpoint, &self->worker, self->server.public_key, &err);
    assert_non_null (self->objects);
    AUTO_FREE char *cache = file_join (self->top, "cache");
    assert_int_equal (depot_open (&self->cache, cache, &err), 0);
    attempt_count = 0;
    *state = self;
    return 0;
}

int tear_down (void **state)
{
    farm_t *self = *state;
    client_destroy (&self->client);
    client_destroy (&self->other_client);
    client_destroy (&self->viewer_client);
    zsock_destroy (&self->objects);
    stop_service (self);
    actor_destroy (&self->zap);
    depot_destroy (&self->cache);
    tree_remove (self->top);
    free (self->top);
    free (self->context);
    free (self->state);
    free (self->out);
    free (self);
    return 0;
}

digest_t send_context (farm_t *self, upload_stats_t *stats)
{
    err_t err = { 0 };
    AUTO (scan) scan_t *scan = NULL;
    *stats = (upload_stats_t) { 0 };
    if (scan_context (&scan, self->context, NULL, &err) < 0 || upload_context (self->client, scan, stats, &err) < 0)
        fail_msg ("%s", err.text);
    return *scan_root (scan);
}

int fetch_context (zsock_t *objects, depot_t *depot, const digest_t *root, atomic_int *is_cancelled, fetch_stats_t *stats,
                   err_t *err)
{
    AUTO (supply) supply_t *supply = supply_new (depot);
    begin_attempt (root);
    return fetch_tree (objects, supply, root, is_cancelled, stats, err);
}

int fetch_content (zsock_t *objects, depot_t *depot, const digest_t *digest, atomic_int *is_cancelled, fetch_stats_t *stats,
                   err_t *err)
{
    AUTO (supply) supply_t *supply = supply_new (depot);
    begin_attempt (digest);
    return fetch_object (objects, supply, digest, is_cancelled, stats, err);
}

void fetch (farm_t *self, const digest_t *root, fetch_stats_t *stats)
{
    err_t err = { 0 };
    *stats = (fetch_stats_t) { 0 };
    if (fetch_context (self->objects, self->cache, root, NULL, stats, &err) < 0)
        fail_msg ("%s", err.text);
    assert_true (depot_has (self->cache, root));
}
