/* test_registry_rows.c - the registry client and each behaviour of registry_rows.h. Most of the time goes by in waiting, so several
 * threads, with a registry each, share the rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/manifest.h"
#include "coordinator/publish.h"
#include "registries.h"
#include "registry_rows.h"

#define IMAGE "{\"schemaVersion\":2}"
#define LAYER "layer"

enum { ROWS = sizeof rows / sizeof *rows, THREADS = 6, TIMEOUT_MS = 2000 };

typedef struct {
    server_t server;
    pthread_t thread;
    buffer_t complaints;
} bench_t;

static atomic_int next_row, rows_done;

/* -- scripts ------------------------------------------------------------------------------------------------------- */

/* ' becomes ", # becomes \", and @LAYER the digest of what team/base has. */
static char *script_of (const row_t *row)
{
    static const char more [] = "{\"manifests\":{\"team/app\":{\"1\":\"{\\\"schemaVersion\\\":2}\"}}";
    AUTO_BUFFER buffer_t out = { 0 };
    char layer [OCI_DIGEST_SIZE];
    oci_digest_of (LAYER, strlen (LAYER), layer);
    buffer_text (&out, more);
    if (!strstr (row->script, "'blobs':"))
        buffer_text (&out, ",\"blobs\":{\"team/base\":[\"" LAYER "\"]}");
    buffer_text (&out, strcmp (row->script, "{}") == 0 ? "" : ",");
    for (const char *at = row->script + 1; *at; at++) {
        if (strncmp (at, "@LAYER", 6) == 0) {
            buffer_text (&out, layer);
            at += 5;
        } else
            buffer_printf (&out, *at == '\'' ? "\"" : *at == '#' ? "\\\"" : "%c", *at);
    }
    return mem_strdup ((const char *) out.data);
}

/* -- actions ------------------------------------------------------------------------------------------------------- */

static int get (registry_t *client, const reference_t *app, err_t *err)
{
    manifest_t found = { .media_type = "" };
    int rc = registry_get_manifest (client, app, &found, err);
    if (rc == 0 && (found.bytes.size != strlen (IMAGE) || memcmp (found.bytes.data, IMAGE, strlen (IMAGE)) != 0))
        rc = err_set (err, ERR_FARM, "it took other bytes for the manifest");
    manifest_free (&found);
    return rc;
}

static int ask_digest (registry_t *client, const reference_t *app, err_t *err)
{
    char wanted [OCI_DIGEST_SIZE];
    AUTO_FREE registry_ask_t *ask = mem_alloc (sizeof *ask);
    *ask = (registry_ask_t) { .kind = ASK_DIGEST, .of = app };
    registry_ask (client, ask, 1);
    *err = ask->err;
    oci_digest_of (IMAGE, strlen (IMAGE), wanted);
    if (err->code == ERR_NONE && strcmp (ask->found.digest, wanted) != 0)
        err_set (err, ERR_FARM, "it took another digest for that of the tag");
    manifest_free (&ask->found);
    return err->code == ERR_NONE ? 0 : -1;
}

static int put (registry_t *client, const reference_t *app, bool is_publish, err_t *err)
{
    manifest_t index = { .media_type = "" };
    reference_t tag = *app;
    bool has_moved;
    strcpy (tag.tag, "2");
    manifest_compose_index (NULL, 0, NULL, &index.bytes, index.media_type);
    oci_digest_of (index.bytes.data, index.bytes.size, index.digest);
    publication_t publication = { .source = *app, .index = &index, .tags = &tag, .tag_count = 1, .moved = &has_moved };
    int rc = is_publish ? publish_index (client, &publication, err) : registry_put_manifest (client, app, "2", &index, err);
    manifest_free (&index);
    return rc;
}

static int blob (registry_t *client, const reference_t *base, row_action action, err_t *err)
{
    char digest [OCI_DIGEST_SIZE];
    AUTO_BUFFER buffer_t bytes = { 0 };
    reference_t new = *base;
    int64_t size = 0;
    strcpy (new.path, "team/new");
    oci_digest_of (LAYER, strlen (LAYER), digest);
    if (action == DO_COPY)
        return registry_copy_blob (client, base, &new, digest, strlen (LAYER), err);
    if (action == DO_BLOB)
        return registry_get_blob (client, base, digest, 100, &bytes, err);
    return registry_head_blob (client, base, digest, &size, err);
}

static int act (registry_t *client, const char *host, row_action action, err_t *err)
{
    reference_t app = reference_of (host, "team/app:1"), base = reference_of (host, "team/base");
    switch (action) {
        case DO_GET_DIGEST:
            oci_digest_of (IMAGE, strlen (IMAGE), app.digest);
            return get (client, &app, err);
        case DO_GET:
            return get (client, &app, err);
        case DO_GET_TWICE:
            return get (client, &app, err) < 0 ? -1 : get (client, &app, err);
        case DO_ASK:
            return ask_digest (client, &app, err);
        case DO_PUT:
        case DO_PUBLISH:
            return put (client, &app, action == DO_PUBLISH, err);
        case DO_PING:
            return registry_ping (client, host, err);
        default:
            return blob (client, &base, action, err);
    }
}

/* -- rows ---------------------------------------------------------------------------------------------------------- */

static void complain (bench_t *self, const row_t *row, const char *format, ...) __attribute__ ((format (printf, 3, 4)));

static void complain (bench_t *self, const row_t *row, const char *format, ...)
{
    char text [4096];
    va_list args;
    va_start (args, format);
    vsnprintf (text, sizeof text, format, args);
    va_end (args);
    buffer_printf (&self->complaints, "%s: %s\n", row->rule, text);
}

/* Words with ' for ". */
static bool has_words (const char *text, const char *words)
{
    AUTO_FREE char *wanted = mem_strdup (words);
    for (char *c = wanted; *c; c++)
        *c = *c == '\'' && c [1] != 's' ? '"' : *c;
    return strstr (text, wanted) || strstr (text, words);
}

static void judge (bench_t *self, const row_t *row, int rc, const err_t *err)
{
    int requests = fake_requests (&self->server, "", ""), elsewhere = fake_requests_to (&self->server, self->server.name);
    if ((rc == 0) != (row->code == ERR_NONE) || err->code != row->code || !has_words (err->text, row->words))
        complain (self, row, "%s, not %s: %s", err_name (err->code), err_name (row->code), err->text);
    if (row->requests && requests != row->requests)
        complain (self, row, "%d requests, not %d (%s)", requests, row->requests, err->text);
    if (elsewhere != row->elsewhere)
        complain (self, row, "%d requests elsewhere, not %d", elsewhere, row->elsewhere);
    if (fake_shown_to (&self->server, self->server.name) != 0)
        complain (self, row, "an Authorization went elsewhere");
}

static void run_row (bench_t *self, const row_t *row)
{
    AUTO_FREE char *script = script_of (row), *auth = file_join (self->server.folder, "config.json");
    const char *const plain [] = { self->server.host, self->server.name, "10.11.12.13", "169.254.169.254",
                                   "[::ffff:10.11.12.13]", NULL };
    registry_settings_t settings = { .plain_http_hosts = plain, .auth_file = auth, .certs_folder = self->server.folder,
                                     .timeout_ms = row->timeout_ms ? row->timeout_ms : TIMEOUT_MS };
    registry_t *client = registry_new (&settings);
    err_t err = { 0 };
    if (fake_script (&self->server, script, &err) < 0)
        complain (self, row, "%s: %s", script, err.text);
    else {
        int rc = act (client, self->server.host, row->action, &err);
        judge (self, row, rc, &err);
    }
    registry_destroy (&client);
}

static void *run_rows (void *argument)
{
    for (int row; (row = atomic_fetch_add (&next_row, 1)) < ROWS; atomic_fetch_add (&rows_done, 1))
        run_row (argument, &rows [row]);
    return NULL;
}

static void bench_start (bench_t *self)
{
    fake_start (&self->server, "{}");
    AUTO_FREE char *auth = file_join (self->server.folder, "config.json");
    AUTO_FREE char *text = mem_printf ("{\"auths\":{\"%s\":{\"username\":\"ann\",\"password\":\"s3\"}}}", self->server.host);
    err_t err;
    assert_int_equal (file_write (auth, text, strlen (text), 0600, &err), 0);
}

static void test_each_behaviour_has_its_outcome (void **state)
{
    (void) state;
    static bench_t benches [THREADS];
    bool is_good = true;
    for (int i = 0; i < THREADS; i++) {
        bench_start (&benches [i]);
        assert_int_equal (pthread_create (&benches [i].thread, NULL, run_rows, &benches [i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join (benches [i].thread, NULL);
        server_stop (&benches [i].server);
        if (benches [i].complaints.size) {
            print_error ("%s", (const char *) benches [i].complaints.data);
            is_good = false;
        }
        buffer_free (&benches [i].complaints);
    }
    assert_int_equal (rows_done, ROWS);
    assert_true (is_good);
}

static int set_up (void **state)
{
    (void) state;
    signal (SIGPIPE, SIG_IGN);
    without_proxies ();
    return 0;
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (test_each_behaviour_has_its_outcome),
    };
    return cmocka_run_group_tests (tests, set_up, NULL);
}
