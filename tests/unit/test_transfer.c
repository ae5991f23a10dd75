/* test_transfer.c - contexts over real sockets: upload into a coordinator's depot service, fetch from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "common/actor.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/pack.h"
#include "farmctl/packer.h"
#include "farmctl/stream.h"
#include "transfers.h"
#include "trees.h"
#include "worker/storer.h"

static void make_thousand (farm_t *self)
{
    char path [32];
    for (int i = 0; i < 1000; i++) {
        snprintf (path, sizeof path, "%d", i / 100);
        if (i % 100 == 0)
            tree_folder (self->context, path, 0755);
        snprintf (path, sizeof path, "%d/%d", i / 100, i);
        tree_file (self->context, path, 500, (unsigned) i + 1, 0644);
    }
}

static void a_nasty_context_arrives_as_it_was (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent;
    fetch_stats_t fetched;
    err_t err = { 0 };
    tree_nasty (self->context);
    digest_t root = send_context (self, &sent);
    fetch (self, &root, &fetched);
    assert_int_equal (fetched.objects, sent.sent_objects);
    if (tree_check_out (self->cache, &root, self->out, NULL, &err) < 0)
        fail_msg ("%s", err.text);
    assert_true (tree_equal (self->context, self->out));
}

static void a_folder_of_many_names_arrives_as_it_was (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent;
    fetch_stats_t fetched;
    err_t err = { 0 };
    char name [250];
    for (int i = 0; i < 1200; i++) {
        snprintf (name, sizeof name, "%0220d", i);
        tree_file (self->context, name, 3, (unsigned) i, 0644);
    }
    digest_t root = send_context (self, &sent);
    fetch (self, &root, &fetched);
    if (tree_check_out (self->cache, &root, self->out, NULL, &err) < 0)
        fail_msg ("%s", err.text);
    assert_true (tree_equal (self->context, self->out));
}

/* The listing of a folder of the context; a long one is cut into pieces. */
static void read_listing (farm_t *self, const char *name, buffer_t *out)
{
    err_t err = { 0 };
    AUTO (scan) scan_t *scan = NULL;
    AUTO_FREE scan_object_t *folder = NULL, *pieces = NULL;
    AUTO_FREE char *path = file_join (self->context, name);
    assert_int_equal (scan_context (&scan, path, NULL, &err), 0);
    scan_object_t top = scan_top (scan);
    assert_int_equal (scan_children (scan, &top, &folder), 1);
    size_t count = scan_children (scan, folder, &pieces);
    if (folder->kind == OBJECT_FOLDER)
        assert_int_equal (scan_read (scan, folder, out, &err), 0);
    for (size_t i = 0; i < count && folder->kind == OBJECT_LIST && pieces [i].node == folder->node; i++) {
        AUTO_BUFFER buffer_t piece = { 0 };
        assert_int_equal (scan_read (scan, &pieces [i], &piece, &err), 0);
        buffer_append (out, piece.data, piece.size);
    }
}

static void copy_listing (farm_t *self, const char *name, const char *copy, const char *deep_copy)
{
    AUTO_BUFFER buffer_t listing = { 0 };
    AUTO_FREE char *path = file_join (self->context, copy), *deep_path = file_join (self->context, deep_copy);
    read_listing (self, name, &listing);
    assert_int_equal (file_write (path, listing.data, listing.size, 0644, NULL), 0);
    assert_int_equal (file_write (deep_path, listing.data, listing.size, 0644, NULL), 0);
}

/* What a folder names has to be there too, although its bytes are sent as a file's. */
static void files_may_hold_what_folders_do (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent;
    fetch_stats_t fetched;
    err_t err = { 0 };
    char name [250];
    tree_folder (self->context, "few", 0755);
    tree_folder (self->context, "many", 0755);
    tree_folder (self->context, "z", 0755);
    tree_folder (self->context, "z/z", 0755);
    tree_file (self->context, "few/inner", 100, 1, 0644);
    for (int i = 0; i < 1200; i++) {
        snprintf (name, sizeof name, "many/%0220d", i);
        tree_file (self->context, name, 12, (unsigned) i, 0644);
    }
    copy_listing (self, "few", "a", "z/z/a");
    digest_t root = send_context (self, &sent);
    fetch (self, &root, &fetched);
    if (tree_check_out (self->cache, &root, self->out, NULL, &err) < 0)
        fail_msg ("%s", err.text);
    assert_true (tree_equal (self->context, self->out));
    copy_listing (self, "many", "b", "z/z/b");
    send_context (self, &sent);
}

static void an_unchanged_context_is_one_question (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent;
    fetch_stats_t fetched;
    tree_nasty (self->context);
    digest_t root = send_context (self, &sent);
    assert_true (sent.sent_bytes > 5000000);
    send_context (self, &sent);
    assert_int_equal (sent.questions, 1);
    assert_int_equal (sent.sent_objects, 0);
    assert_int_equal (sent.sent_bytes, 0);
    fetch (self, &root, &fetched);
    fetch (self, &root, &fetched);
    assert_int_equal (fetched.objects, 0);
    assert_int_equal (fetched.wire_bytes, 0);
}

static void one_changed_file_of_a_thousand_is_a_few_objects (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent;
    fetch_stats_t fetched;
    make_thousand (self);
    digest_t root = send_context (self, &sent);
    assert_int_equal (sent.sent_objects, 1000 + 10 + 2);
    fetch (self, &root, &fetched);
    assert_int_equal (fetched.objects, 1000 + 10 + 2);
    tree_file (self->context, "5/555", 500, 5000, 0644);
    root = send_context (self, &sent);
    assert_int_equal (sent.sent_objects, 4);        /* the file, its folder, the context's folder, the root */
    fetch (self, &root, &fetched);
    assert_int_equal (fetched.objects, 4);
}

static digest_t send_cached (farm_t *self, upload_stats_t *stats)
{
    err_t err = { 0 };
    AUTO (scan) scan_t *scan = NULL;
    AUTO_FREE char *cache = file_join (self->top, "stat-cache");
    *stats = (upload_stats_t) { 0 };
    if (scan_names (&scan, self->context, NULL, NULL, cache, &err) < 0 || scan_content (scan, &err) < 0
    ||  upload_context (self->client, scan, stats, &err) < 0)
        fail_msg ("%s", err.text);
    return *scan_root (scan);
}

/* What the tree shares with the one that was sent last is not asked about. */
static void a_change_is_one_question (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent;
    fetch_stats_t fetched;
    make_thousand (self);
    tree_file (self->context, "long", 2000000, 1, 0644);
    send_cached (self, &sent);
    assert_int_equal (sent.questions, 4);
    usleep (60000);
    send_cached (self, &sent);
    assert_int_equal (sent.questions, 1);
    tree_file (self->context, "5/555", 500, 5000, 0644);
    tree_link (self->context, "5/link", "555");
    digest_t root = send_cached (self, &sent);
    assert_int_equal (sent.questions, 1);
    assert_int_equal (sent.sent_objects, 4);
    fetch (self, &root, &fetched);
    if (tree_check_out (self->cache, &root, self->out, NULL, NULL) < 0)
        fail ();
    assert_true (tree_equal (self->context, self->out));
}

/* -- packing ---------------------------------------------------------------------------------------------------- */

enum { MANY_PACKS = 40 };

static int make_packs (void *argument, hand_t *hand, err_t *err)
{
    (void) err;
    const uint8_t *bytes = argument;
    digest_t digest = digest_of (bytes, OBJECT_MAX);
    for (int i = 0; i < MANY_PACKS; i++)
        assert_true (hand_add (hand, OBJECT_CONTENT, &digest, bytes, OBJECT_MAX));
    return 0;
}

/* As for 65,000 files of a few bytes: hardly any content, but more packs than a full shelf. */
static void a_caller_that_packs_does_not_wait_for_itself (void **state)
{
    (void) state;
    AUTO_FREE uint8_t *bytes = mem_alloc (OBJECT_MAX);
    AUTO_BUFFER buffer_t pack = { 0 };
    uint64_t objects, all = 0;
    randombytes_buf (bytes, OBJECT_MAX);
    alarm (20);
    packer_t *packer = packer_new (make_packs, bytes, true);
    alarm (0);
    while (packer_take (packer, &pack, &objects, NULL) == 1)
        all += objects;
    assert_true (packer_is_done (packer));
    assert_int_equal (all, MANY_PACKS);
    packer_destroy (&packer);
}

/* -- sent while it is read -------------------------------------------------------------------------------------- */

static scan_t *stream (farm_t *self, upload_stats_t *stats)
{
    err_t err = { 0 };
    AUTO (scan) scan_t *scan = NULL;
    *stats = (upload_stats_t) { 0 };
    if (scan_names (&scan, self->context, NULL, NULL, NULL, &err) < 0 || stream_content (self->client, scan, stats, &err) < 0)
        fail_msg ("%s", err.text);
    return take (&scan);
}

static void end_stream (farm_t *self, scan_t *scan, upload_stats_t *stats)
{
    err_t err = { 0 };
    if (scan_content (scan, &err) < 0 || upload_context (self->client, scan, stats, &err) < 0)
        fail_msg ("%s", err.text);
}

static void assert_is_there (farm_t *self, scan_t *scan)
{
    err_t err = { 0 };
    fetch_stats_t fetched;
    fetch (self, scan_root (scan), &fetched);
    if (tree_check_out (self->cache, scan_root (scan), self->out, NULL, &err) < 0)
        fail_msg ("%s", err.text);
    assert_true (tree_equal (self->context, self->out));
    tree_remove (self->out);
}

/* Content each once, whatever is equal; then folders and lists in one question. Once more: what is there is asked about, and not sent. */
static void a_large_context_is_sent_while_it_is_read (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent;
    make_thousand (self);
    for (int i = 0; i < 5; i++) {
        char name [32];
        snprintf (name, sizeof name, "twin-%d", i);
        tree_file (self->context, name, 3000000, 7, 0644);
        snprintf (name, sizeof name, "twin-%d-small", i);
        tree_file (self->context, name, 50, 8, 0644);
    }
    AUTO (scan) scan_t *scan = stream (self, &sent);
    assert_in_range (sent.sent_bytes, 3000000, 4000000);
    uint64_t contents = sent.sent_objects, questions = sent.questions;
    assert_true (contents > 1000 + 1 + 3000000 / OBJECT_MAX && questions < 40);
    end_stream (self, scan, &sent);
    assert_int_equal (sent.sent_objects, contents + 10 + 3);        /* the folders, the list, the context's folder, the root */
    assert_int_equal (sent.questions, questions + 1);
    assert_is_there (self, scan);
    AUTO (scan) scan_t *again = stream (self, &sent);
    end_stream (self, again, &sent);
    assert_int_equal (sent.sent_objects, 0);
    assert_true (digest_equal (scan_root (scan), scan_root (again)));
}

/* The bytes that were read are those that are sent. */
static void what_changes_behind_the_reading_is_not_missed (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent;
    fetch_stats_t fetched;
    err_t err = { 0 };
    tree_file (self->context, "large", 5000000, 1, 0644);
    tree_file (self->context, "small", 100, 2, 0644);
    AUTO (scan) scan_t *scan = stream (self, &sent);
    tree_file (self->context, "large", 5000000, 3, 0644);
    end_stream (self, scan, &sent);
    fetch (self, scan_root (scan), &fetched);
    assert_int_equal (tree_check_out (self->cache, scan_root (scan), self->out, NULL, &err), 0);
    tree_file (self->context, "large", 5000000, 1, 0644);
    AUTO_FREE char *compare = mem_printf ("cmp '%s/large' '%s/large'", self->context, self->out);
    assert_int_equal (system (compare), 0);
}

/* Not where that is not worth it. */
static void a_small_context_is_read_before_it_is_sent (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent;
    tree_file (self->context, "file", 100000, 1, 0644);
    AUTO (scan) scan_t *scan = stream (self, &sent);
    assert_int_equal (sent.sent_objects + sent.questions, 0);
    end_stream (self, scan, &sent);
    assert_is_there (self, scan);
}

static void an_unreadable_file_ends_the_stream (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent = { 0 };
    err_t err = { 0 };
    AUTO (scan) scan_t *scan = NULL;
    AUTO_FREE char *path = file_join (self->context, "500/gone");
    tree_file (self->context, "large", 9000000, 1, 0644);
    tree_folder (self->context, "500", 0755);
    tree_file (self->context, "500/gone", 100, 1, 0644);
    assert_int_equal (scan_names (&scan, self->context, NULL, NULL, NULL, &err), 0);
    assert_int_equal (unlink (path), 0);
    assert_int_equal (stream_content (self->client, scan, &sent, &err), -1);
    assert_int_equal (err.code, ERR_USAGE);
    assert_non_null (strstr (err.text, "/500/gone cannot be read"));
}

/* The rest of a long file is not read for it. */
static void a_refusal_ends_the_stream (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent = { 0 };
    err_t err = { 0 };
    AUTO (scan) scan_t *scan = NULL;
    char hex [KEY_HEX_SIZE + 1];
    key_to_hex (self->user.public_key, hex);
    zstr_sendx (self->service_actor, "REVOKE", hex, NULL);
    tree_file (self->context, "large", 50000000, 1, 0644);
    assert_int_equal (scan_names (&scan, self->context, NULL, NULL, NULL, &err), 0);
    assert_int_equal (stream_content (self->client, scan, &sent, &err), -1);
    assert_int_equal (err.code, ERR_DENIED);
    assert_int_equal (scan_content (scan, &err), 0);        /* and is not taken for read */
    assert_int_equal (scan_bytes (scan), 50000000);
}

/* -- what is not there any more --------------------------------------------------------------------------------- */

static void what_a_coordinator_lost_is_sent_again (void **state)
{
    farm_t *self = *state;
    upload_stats_t first, sent;
    fetch_stats_t fetched;
    AUTO_FREE char *depot = file_join (self->state, "depot");
    AUTO_FREE char *endpoint = mem_strdup (depot_service_endpoint (self->service));
    make_thousand (self);
    send_cached (self, &first);
    usleep (60000);
    send_cached (self, &sent);
    for (int i = 0; i < 2; i++) {       /* unchanged, and with a change */
        stop_service (self);
        tree_remove (depot);
        start_service (self, endpoint);
        if (i > 0)
            tree_file (self->context, "5/555", 500, 5000, 0644);
        digest_t root = send_cached (self, &sent);
        assert_true (sent.sent_objects > first.sent_objects);
        fetch (self, &root, &fetched);
    }
}

static int64_t damaged_objects (farm_t *self)
{
    err_t err = { 0 };
    AUTO (msg) msg_t *answer = client_ask_objects (self->viewer_client, "stats", NULL, NULL, 0, "depot", 0, &err);
    return answer ? msg_int (answer, "damaged_objects") : -1;
}

static void what_is_damaged_at_the_coordinator_is_told_and_sent_again (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent;
    fetch_stats_t fetched = { 0 };
    err_t err = { 0 };
    char byte;
    AUTO_FREE char *segment = file_join (self->state, "depot/segments/000001");
    make_thousand (self);
    digest_t root = send_context (self, &sent);
    assert_int_equal (damaged_objects (self), 0);
    AUTO_CLOSE int fd = open (segment, O_RDWR | O_CLOEXEC);
    assert_int_equal (pread (fd, &byte, 1, 100000), 1);
    byte = (char) ~byte;
    assert_int_equal (pwrite (fd, &byte, 1, 100000), 1);
    assert_int_equal (fetch_context (self->objects, self->cache, &root, NULL, &fetched, &err), -1);
    assert_true (err.code == ERR_FARM || err.code == ERR_NOT_FOUND);     /* of the first in a message, or a later one */
    assert_int_equal (damaged_objects (self), 1);
    send_context (self, &sent);
    assert_in_range (sent.sent_objects, 3, 4);                  /* the file, its folder or two, the root */
    fetch (self, &root, &fetched);
}

/* With the questions of the context, so that it costs none of its own; also when a file of the context is the same. */
static void a_dockerfile_travels_beside_the_context (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent = { 0 };
    fetch_stats_t fetched = { 0 };
    digest_t digest, empty;
    err_t err = { 0 };
    AUTO_BUFFER buffer_t data = { 0 };
    AUTO (scan) scan_t *scan = NULL;
    tree_file (self->context, "a", 10, 1, 0644);
    tree_file (self->context, "empty", 0, 2, 0644);
    assert_int_equal (scan_context (&scan, self->context, NULL, &err), 0);
    assert_int_equal (upload_build (self->client, scan, "FROM scratch\n", 13, &digest, &sent, &err), 0);
    assert_int_equal (sent.sent_objects, 5);
    assert_int_equal (sent.questions, 3);
    assert_int_equal (upload_build (self->client, scan, "FROM scratch\n", 13, &digest, &sent, &err), 0);
    assert_int_equal (sent.sent_objects, 5);
    assert_int_equal (sent.questions, 4);
    assert_int_equal (upload_build (self->client, scan, "", 0, &empty, &sent, &err), 0);
    assert_int_equal (sent.sent_objects, 5);
    assert_int_equal (fetch_content (self->objects, self->cache, &digest, NULL, &fetched, &err), 0);
    assert_int_equal (fetch_content (self->objects, self->cache, &empty, NULL, &fetched, &err), 0);
    assert_int_equal (depot_get (self->cache, &digest, &data, NULL, &err), 0);
    assert_memory_equal (data.data, "FROM scratch\n", 13);
}

static void what_the_coordinator_has_not_is_named (void **state)
{
    farm_t *self = *state;
    fetch_stats_t fetched = { 0 };
    err_t err = { 0 };
    digest_t none = digest_of ("none", 4);
    assert_int_equal (fetch_context (self->objects, self->cache, &none, NULL, &fetched, &err), -1);
    assert_int_equal (err.code, ERR_NOT_FOUND);
}

static void a_cancelled_fetch_ends (void **state)
{
    farm_t *self = *state;
    fetch_stats_t fetched = { 0 };
    err_t err = { 0 };
    atomic_int is_cancelled = 1;
    digest_t none = digest_of ("none", 4);
    stop_service (self);
    int64_t start = clock_boot_ms ();
    assert_int_equal (fetch_context (self->objects, self->cache, &none, &is_cancelled, &fetched, &err), -1);
    assert_int_equal (err.code, ERR_CANCELLED);
    assert_true (clock_boot_ms () - start < 5000);
}

/* Compressed harder than this program would: nobody does that work again. */
static void what_came_compressed_is_stored_as_it_came (void **state)
{
    farm_t *self = *state;
    char text [40000];
    uint8_t packed [40000];
    err_t err = { 0 };
    AUTO_BUFFER buffer_t raw = { 0 };
    AUTO_BUFFER buffer_t memory = { 0 };
    zip_t zip;
    for (size_t i = 0; i < sizeof text; i++)
        text [i] = (char) ('a' + i * i / 7 % 13);
    arrival_t object = { .digest = digest_of (text, sizeof text), .data = (uint8_t *) text, .size = sizeof text };
    object.zip = (zip_t) { packed, ZSTD_compress (packed, sizeof packed, text, sizeof text, 19), true };
    AUTO (storer) storer_t *storer = storer_new (self->cache, NULL, NULL, &err);
    assert_int_equal (storer_put (storer, OBJECT_CONTENT, &object, &err), 0);
    assert_int_equal (storer_flush (storer, &err), 0);
    assert_int_equal (depot_get_zip (self->cache, &object.digest, &raw, NULL, &memory, &zip, &err), 0);
    assert_int_equal (zip.size, object.zip.size);
    assert_memory_equal (zip.data, packed, zip.size);
    assert_memory_equal (raw.data, text, sizeof text);
}

/* -- a coordinator that lies ------------------------------------------------------------------------------------ */

typedef struct { const char *endpoint; keypair_t *server; char bound [256]; object_kind kind; const char *bytes; } liar_t;

/* Answers every `want` with the object asked for, and other bytes. */
static void lie (zsock_t *pipe, void *argument)
{
    liar_t *self = argument;
    err_t err = { 0 };
    zsock_t *router = msg_bind ("tcp://127.0.0.1:*", self->server, 100, self->bound, &err);
    zsock_signal (pipe, 0);
    zpoller_t *poller = zpoller_new (pipe, router, NULL);
    while (zpoller_wait (poller, -1) == router) {
        zframe_t *peer = NULL;
        AUTO_BUFFER buffer_t body = { 0 };
        AUTO (msg) msg_t *in = msg_recv (router, &peer, NULL, NULL, &err);
        digest_t digest;
        size_t size;
        if (in) {
            memcpy (digest.bytes, msg_body (in, &size), DIGEST_SIZE);
            pack_add (&body, self->kind, &digest, self->bytes, strlen (self->bytes));
            msg_t *out = msg_new ("objects", json_pack ("{s:I}", "re", (json_int_t) msg_int (in, "seq")), body.data, body.size);
            msg_send (&out, router, peer, &err);
        }
        zframe_destroy (&peer);
    }
    zpoller_destroy (&poller);
    zsock_destroy (&router);
}

static void bytes_of_another_digest_are_not_stored (void **state)
{
    farm_t *self = *state;
    liar_t liar = { .server = &self->server, .kind = OBJECT_CONTENT, .bytes = "other bytes" };
    zsock_t *actor = actor_new (lie, &liar, NULL);
    digest_t digest = digest_of ("these bytes", 11);
    err_t err = { 0 };
    zsock_t *objects = msg_connect (liar.bound, &self->worker, self->server.public_key, &err);
    assert_non_null (objects);
    assert_int_equal (fetch_content (objects, self->cache, &digest, NULL, NULL, &err), -1);
    assert_int_equal (err.code, ERR_PROTOCOL);
    assert_int_equal (fetch_context (objects, self->cache, &digest, NULL, NULL, &err), -1);
    assert_int_equal (err.code, ERR_PROTOCOL);
    assert_false (depot_has (self->cache, &digest));
    zsock_destroy (&objects);
    actor_destroy (&actor);
}

/* -- a coordinator that is started again ------------------------------------------------------------------------ */

static void *start_again (void *argument)
{
    farm_t *self = argument;
    AUTO_FREE char *endpoint = mem_strdup (depot_service_endpoint (self->service));
    stop_service (self);
    start_service (self, endpoint);
    return NULL;
}

static void a_fetch_outlives_a_restart_of_the_coordinator (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent;
    fetch_stats_t fetched;
    make_thousand (self);
    tree_file (self->context, "large", 20000000, 1, 0644);
    digest_t root = send_context (self, &sent);
    pthread_t thread;
    assert_int_equal (pthread_create (&thread, NULL, start_again, self), 0);
    fetch (self, &root, &fetched);
    pthread_join (thread, NULL);
    assert_int_equal (fetched.objects, sent.sent_objects);
}

/* Of a number that the sender's thread is changing; no matter which of the last ones is seen. */
__attribute__ ((no_sanitize ("thread"))) static bool is_under_way (const farm_t *self)
{
    return *(const volatile uint64_t *) &self->sent.sent_bytes >= 10000000;
}

static void *start_again_when_something_was_sent (void *argument)
{
    farm_t *self = argument;
    while (!is_under_way (self))
        usleep (1000);
    return start_again (self);
}

static void a_stream_outlives_a_restart_of_the_coordinator (void **state)
{
    farm_t *self = *state;
    pthread_t thread;
    char name [20];
    for (int i = 0; i < 8; i++) {
        snprintf (name, sizeof name, "large-%d", i);
        tree_file (self->context, name, 20000000, (unsigned) i, 0644);
    }
    assert_int_equal (pthread_create (&thread, NULL, start_again_when_something_was_sent, self), 0);
    AUTO (scan) scan_t *scan = stream (self, &self->sent);
    pthread_join (thread, NULL);
    end_stream (self, scan, &self->sent);
    assert_is_there (self, scan);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (a_nasty_context_arrives_as_it_was),
        TEST (a_folder_of_many_names_arrives_as_it_was),
        TEST (files_may_hold_what_folders_do),
        TEST (an_unchanged_context_is_one_question),
        TEST (one_changed_file_of_a_thousand_is_a_few_objects),
        TEST (a_change_is_one_question),
        cmocka_unit_test (a_caller_that_packs_does_not_wait_for_itself),
        TEST (a_large_context_is_sent_while_it_is_read),
        TEST (what_changes_behind_the_reading_is_not_missed),
        TEST (a_small_context_is_read_before_it_is_sent),
        TEST (an_unreadable_file_ends_the_stream),
        TEST (a_refusal_ends_the_stream),
        TEST (what_a_coordinator_lost_is_sent_again),
        TEST (what_is_damaged_at_the_coordinator_is_told_and_sent_again),
        TEST (a_dockerfile_travels_beside_the_context),
        TEST (what_the_coordinator_has_not_is_named),
        TEST (a_cancelled_fetch_ends),
        TEST (what_came_compressed_is_stored_as_it_came),
        TEST (bytes_of_another_digest_are_not_stored),
        TEST (a_fetch_outlives_a_restart_of_the_coordinator),
        TEST (a_stream_outlives_a_restart_of_the_coordinator),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
