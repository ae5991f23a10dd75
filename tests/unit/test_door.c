/* test_door.c - the door lets an attempt do what it needs and nothing else, against Debian's docker-registry, and does to a
 * difficult registry (a small one in here) what it should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/mem.h"
#include "worker/builder_judge.h"
#include "worker/door.h"
#include "worker/door_pass.h"

enum { PATIENCE_MS = 15000, BIG = 50 * 1024 * 1024, QUOTA = 2 * BIG + 1024 * 1024 };
static const char manifest_type [] = "application/vnd.oci.image.manifest.v1+json";

/* A client ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    long status;
    char location [4096], digest [128], challenge [256];
    buffer_t body;
    size_t body_bytes;          /* also of what is not kept */
} reply_t;

typedef struct {
    const char *method, *path, *type, *accept, *password, *header;
    const void *data;
    size_t size;
    bool in_chunks, is_pattern;         /* pattern: size bytes that are made on the way, data unused */
} call_t;

static door_t *door;
static char password [33];

static size_t keep_header (char *data, size_t unit, size_t count, void *argument)
{
    reply_t *reply = argument;
    size_t size = unit * count;
    char line [4096] = "";
    memcpy (line, data, size < sizeof line ? size : sizeof line - 1);
    line [strcspn (line, "\r\n")] = 0;
    if (strncasecmp (line, "Location: ", 10) == 0)
        snprintf (reply->location, sizeof reply->location, "%s", line + 10);
    if (strncasecmp (line, "Docker-Content-Digest: ", 23) == 0)
        snprintf (reply->digest, sizeof reply->digest, "%.127s", line + 23);
    if (strncasecmp (line, "WWW-Authenticate: ", 18) == 0)
        snprintf (reply->challenge, sizeof reply->challenge, "%.255s", line + 18);
    return size;
}

static size_t keep_body (char *data, size_t unit, size_t count, void *argument)
{
    reply_t *reply = argument;
    if (reply->body.size < 1024 * 1024)
        buffer_append (&reply->body, data, unit * count);
    reply->body_bytes += unit * count;
    return unit * count;
}

typedef struct {
    const call_t *call;
    size_t at;
} source_t;

static size_t give_body (char *out, size_t unit, size_t count, void *argument)
{
    source_t *source = argument;
    size_t left = source->call->size - source->at, size = unit * count < left ? unit * count : left;
    for (size_t i = 0; i < size; i++)
        out [i] = source->call->is_pattern ? (char) ((source->at + i) * 31 >> 7)
                                           : ((const char *) source->call->data) [source->at + i];
    source->at += size;
    return size;
}

static void reply_free (reply_t *reply)
{
    buffer_free (&reply->body);
}
#define AUTO_REPLY __attribute__ ((cleanup (reply_free)))

static reply_t send_call (call_t call)
{
    reply_t reply = { 0 };
    source_t source = { &call, 0 };
    struct curl_slist *headers = curl_slist_append (NULL, "Expect:");
    AUTO_FREE char *url = mem_printf ("http://127.0.0.1:%d%s", door_port (door), call.path);
    AUTO_FREE char *user = mem_printf ("attempt:%s", call.password ? call.password : password);
    AUTO_FREE char *type = mem_printf ("Content-Type: %s", call.type ? call.type : "application/octet-stream");
    AUTO_FREE char *accept = mem_printf ("Accept: %s", call.accept ? call.accept : manifest_type);
    CURL *easy = curl_easy_init ();
    headers = curl_slist_append (curl_slist_append (headers, type), accept);
    if (call.in_chunks)
        headers = curl_slist_append (headers, "Transfer-Encoding: chunked");
    if (call.header)
        headers = curl_slist_append (headers, call.header);
    curl_easy_setopt (easy, CURLOPT_URL, url);
    curl_easy_setopt (easy, CURLOPT_CUSTOMREQUEST, call.method);
    if (*user && (!call.password || *call.password))
        curl_easy_setopt (easy, CURLOPT_USERPWD, user);
    curl_easy_setopt (easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt (easy, CURLOPT_HEADERFUNCTION, keep_header);
    curl_easy_setopt (easy, CURLOPT_HEADERDATA, &reply);
    curl_easy_setopt (easy, CURLOPT_WRITEFUNCTION, keep_body);
    curl_easy_setopt (easy, CURLOPT_WRITEDATA, &reply);
    curl_easy_setopt (easy, CURLOPT_TIMEOUT_MS, 60000L);
    if (strcmp (call.method, "HEAD") == 0)
        curl_easy_setopt (easy, CURLOPT_NOBODY, 1L);
    else if (strcmp (call.method, "GET") != 0) {
        curl_easy_setopt (easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt (easy, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt (easy, CURLOPT_READDATA, &source);
        curl_easy_setopt (easy, CURLOPT_INFILESIZE_LARGE, call.in_chunks ? (curl_off_t) -1 : (curl_off_t) call.size);
    }
    CURLcode rc = curl_easy_perform (easy);
    curl_easy_getinfo (easy, CURLINFO_RESPONSE_CODE, &reply.status);
    if (rc != CURLE_OK)
        reply.status = -(long) rc;
    curl_slist_free_all (headers);
    curl_easy_cleanup (easy);
    return reply;
}

/* The coordinator's part: what it has for one host, and how often it was asked. */
static const char *granted_host, *granted;
static int64_t granted_ms = 60000;
static err_code grant_fails;
static char granted_scope [256];
static atomic_int grants;

static int grant (void *argument, const char *host, const char *scope, char **authorization, int64_t *keep_ms, err_t *err)
{
    (void) argument;
    atomic_fetch_add (&grants, 1);
    snprintf (granted_scope, sizeof granted_scope, "%s", scope);
    if (grant_fails)
        return err_set (err, grant_fails, "the coordinator gives nothing for %s", host);
    if (!granted || strcmp (granted_host, host) != 0)
        return err_set (err, ERR_REGISTRY_DENIED, "there is nothing for %s", host);
    *authorization = mem_strdup (granted);
    *keep_ms = granted_ms;
    return 0;
}

/* And what names mean to it. */
static door_pin_fn *pinner;
static json_t *pins;
static char pinned_digest [OCI_DIGEST_SIZE];
static atomic_int pinned;

static int pin (void *argument, const char *reference, const char *digest, char out [OCI_DIGEST_SIZE], err_t *err)
{
    (void) argument, (void) digest;
    atomic_fetch_add (&pinned, 1);
    if (!strstr (reference, "/team/app:"))
        return err_set (err, ERR_REGISTRY, "nobody knows %s", reference);
    strcpy (out, pinned_digest);
    return 0;
}

static void open_pass (int attempt, const char *repository, const char *host, const char *authorization)
{
    door_pass_t pass = { .job = 7, .attempt = attempt, .grant = grant, .pin = pinner, .bases = pins };
    granted_host = host;
    granted = authorization;
    err_t err;
    if (reference_parse (&pass.repository, repository, &err) < 0)
        fail_msg ("%s", err.text);
    door_open_pass (door, &pass, password);
}

static char *text_of (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

/* A text of the test's own; the last 16 stay. */
static char *text_of (const char *format, ...)
{
    static char texts [16] [4096];
    static int next;
    char *text = texts [next++ % 16];
    va_list args;
    va_start (args, format);
    vsnprintf (text, sizeof texts [0], format, args);
    va_end (args);
    return text;
}

/* A real registry --------------------------------------------------------------------------------------------------- */

static char registry_folder [] = "/tmp/test-door.XXXXXX", registry_host [64];
static pid_t registry_process;

/* It says on its standard error where it listens. */
static int read_port (int fd)
{
    char text [16384] = "";
    size_t used = 0;
    for (;;) {
        struct pollfd polled = { fd, POLLIN, 0 };
        if (poll (&polled, 1, PATIENCE_MS) != 1 || used >= sizeof text - 1)
            return -1;
        ssize_t size = read (fd, text + used, sizeof text - 1 - used);
        if (size <= 0)
            return -1;
        used += (size_t) size;
        text [used] = 0;
        const char *found = strstr (text, "listening on 127.0.0.1:");
        if (found && strpbrk (found + 23, "\", \n"))
            return atoi (found + 23);
    }
}

static void start_registry (void)
{
    AUTO_FREE char *settings = mem_printf ("version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %s/data}}\n"
                                           "http: {addr: \"127.0.0.1:0\"}\n", registry_folder);
    AUTO_FREE char *path = file_join (registry_folder, "settings.yml");
    int ends [2];
    err_t err;
    if (file_write (path, settings, strlen (settings), 0600, &err) < 0 || pipe (ends) != 0)
        return;
    registry_process = fork ();
    if (registry_process == 0) {
        dup2 (ends [1], 2);
        dup2 (ends [1], 1);
        close (ends [0]);
        close (ends [1]);
        execlp ("docker-registry", "docker-registry", "serve", path, (char *) NULL);
        _exit (127);
    }
    close (ends [1]);
    int port = read_port (ends [0]);
    if (port > 0) {
        snprintf (registry_host, sizeof registry_host, "127.0.0.1:%d", port);
        fcntl (ends [0], F_SETPIPE_SZ, 1024 * 1024);        /* its log is not read any more; ends [0] stays open */
    }
}

static void need_registry (void)
{
    if (!registry_host [0])
        skip ();
}

static const char *at (const char *rest)
{
    AUTO_FREE char *masked = mem_strdup (registry_host);
    char *colon = strchr (masked, ':');
    *colon = 0;
    return text_of ("/v2/%s__%s/%s", masked, colon + 1, rest);
}

/* Upload as buildah does: POST, PATCH in chunks, PUT with the digest. */
static reply_t upload (const char *repository, const void *data, size_t size, const char *digest)
{
    reply_t begun = send_call ((call_t) { .method = "POST", .path = at (text_of ("%s/blobs/uploads/", repository)) });
    assert_int_equal (begun.status, 202);
    reply_t sent = send_call ((call_t) { .method = "PATCH", .path = begun.location, .data = data, .size = size, .in_chunks = true,
                                         .is_pattern = data == NULL });
    assert_int_equal (sent.status, 202);
    reply_t ended = send_call ((call_t) { .method = "PUT", .path = text_of ("%s?digest=%s", sent.location, digest) });
    reply_free (&begun);
    reply_free (&sent);
    return ended;
}

static char *make_manifest (const char *repository, char digest [OCI_DIGEST_SIZE])
{
    static const char config [] = "{\"os\": \"linux\", \"architecture\": \"amd64\", \"rootfs\": {\"type\": \"layers\", \"diff_ids\": []}}";
    char config_digest [OCI_DIGEST_SIZE];
    oci_digest_of (config, strlen (config), config_digest);
    AUTO_REPLY reply_t reply = upload (repository, config, strlen (config), config_digest);
    assert_int_equal (reply.status, 201);
    char *text = text_of ("{\"schemaVersion\": 2, \"mediaType\": \"%s\", \"config\": {\"mediaType\": "
                          "\"application/vnd.oci.image.config.v1+json\", \"digest\": \"%s\", \"size\": %zu}, \"layers\": []}",
                          manifest_type, config_digest, strlen (config));
    oci_digest_of (text, strlen (text), digest);
    return text;
}

static void a_push_by_tag_leaves_no_tag_and_its_digest_is_known (void **state)
{
    (void) state;
    need_registry ();
    char digest [OCI_DIGEST_SIZE], pushed [OCI_DIGEST_SIZE], type [128];
    int64_t size;
    err_t err;
    open_pass (1, text_of ("%s/team/app", registry_host), NULL, NULL);
    assert_int_equal (door_pushed (door, 7, 1, pushed, type, &size, &err), -1);
    assert_int_equal (err.code, ERR_NOT_FOUND);
    const char *manifest = make_manifest ("team/app", digest);
    AUTO_REPLY reply_t put = send_call ((call_t) { .method = "PUT", .path = at ("team/app/manifests/attempt-7-1"), .type = manifest_type,
                                                   .data = manifest, .size = strlen (manifest) });
    assert_int_equal (put.status, 201);
    assert_string_equal (put.digest, digest);
    assert_int_equal (door_pushed (door, 7, 1, pushed, type, &size, &err), 0);
    assert_string_equal (pushed, digest);
    assert_string_equal (type, manifest_type);
    assert_int_equal (size, strlen (manifest));
    AUTO_REPLY reply_t by_tag = send_call ((call_t) { .method = "GET", .path = at ("team/app/manifests/attempt-7-1") });
    assert_int_equal (by_tag.status, 404);
    AUTO_REPLY reply_t by_digest = send_call ((call_t) { .method = "GET", .path = at (text_of ("team/app/manifests/%s", digest)) });
    assert_int_equal (by_digest.status, 200);
    assert_int_equal (by_digest.body.size, strlen (manifest));
    assert_memory_equal (by_digest.body.data, manifest, strlen (manifest));
    door_close_pass (door, 7, 1);
}

static void a_wrong_password_is_refused_with_a_challenge (void **state)
{
    (void) state;
    open_pass (1, "registry.lan/team/app", NULL, NULL);
    const char *const wrong [] = { "", "0123456789abcdef0123456789abcdef", "x" };
    for (size_t i = 0; i < 3; i++) {
        AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = "/v2/", .password = wrong [i] });
        assert_int_equal (reply.status, 401);
        assert_non_null (strstr (reply.challenge, "Basic"));
    }
    AUTO_REPLY reply_t right = send_call ((call_t) { .method = "GET", .path = "/v2/" });
    assert_int_equal (right.status, 200);
    door_close_pass (door, 7, 1);
    AUTO_REPLY reply_t closed = send_call ((call_t) { .method = "GET", .path = "/v2/" });
    assert_int_equal (closed.status, 401);
}

static void another_repository_cannot_be_written (void **state)
{
    (void) state;
    open_pass (1, "registry.lan/team/app", NULL, NULL);
    static const struct {
        const char *method, *path;
        int status;
    } table [] = {
        { "POST", "/v2/registry.lan/team/other/blobs/uploads/", 403 },
        { "POST", "/v2/other.lan/team/app/blobs/uploads/", 403 },
        { "PUT", "/v2/registry.lan/team/app2/manifests/latest", 403 },
        { "PUT", "/v2/registry.lan/team/manifests/app/manifests/latest", 403 },
        { "PATCH", "/v2/registry.lan/team/other/blobs/uploads/0123456789abcdef", 403 },
        { "DELETE", "/v2/registry.lan/team/app/manifests/latest", 403 },
        { "GET", "/v2/registry.lan/team/app/tags/list", 403 },
        { "GET", "/v2/_catalog", 403 },
        { "GET", "/v2/registry.lan/../secret/manifests/latest", 403 },
        { "GET", "/v2/team/app/manifests/latest", 403 },
        { "GET", "/v2/registry.lan/team/app/blobs/sha256:short", 403 },
        { "GET", "/metrics", 404 },
        { "PUT", "/v2/registry.lan/team/app/blobs/uploads/0123456789abcdef?digest=x", 404 },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        AUTO_REPLY reply_t reply = send_call ((call_t) { .method = table [i].method, .path = table [i].path });
        if (reply.status != table [i].status)
            fail_msg ("%s %s: %ld, not %d", table [i].method, table [i].path, reply.status, table [i].status);
    }
    door_close_pass (door, 7, 1);
}

/* Only what the attempt builds on is asked of a registry; the rest is refused before, also with a credential at hand. */
static void another_image_cannot_be_read (void **state)
{
    (void) state;
    static const struct {
        const char *path;
        bool may;
    } table [] = {
        { "/v2/127.0.0.1__1/team/app/manifests/1", true },                  /* its own */
        { "/v2/127.0.0.1__1/team/base/manifests/1", true },                 /* its Dockerfile's */
        { "/v2/127.0.0.1__1/shared/manifests/1", true },                    /* everybody's */
        { "/v2/127.0.0.1:9/any/manifests/1", true },                        /* of a registry that is open to it */
        { "/v2/127.0.0.1__1/team/base2/manifests/1", false },
        { "/v2/127.0.0.1__1/team/base/x/manifests/1", false },
        { "/v2/127.0.0.1__1/team/manifests/1", false },
        { "/v2/127.0.0.1__1/shared/x/manifests/1", false },
        { "/v2/127.0.0.1__2/team/base/manifests/1", false },
        { "/v2/127.0.0.1__1/secret/blobs/sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", false },
        { "/v2/127.0.0.1__1/secret/manifests/sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", false },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        err_t err;
        open_pass (1, "127.0.0.1:1/team/app", "127.0.0.1:1", "Basic c2VjcmV0");
        door_allow (door, 7, 1, "127.0.0.1:1", "team/base");
        door_allow (door, 7, 1, "127.0.0.1:9", "");
        AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = table [i].path });
        door_last_error (door, 7, 1, &err);
        if ((reply.status == 403) == table [i].may || (err.code == ERR_REGISTRY_DENIED && strstr (err.text, "registry/bases")) == table [i].may)
            fail_msg ("%s: %ld, %s", table [i].path, reply.status, err.text);
    }
    door_close_pass (door, 7, 1);
}

/* The builder asks so where it has once pushed a layer, and goes on: what fails later is to be told instead. */
static void a_layer_that_cannot_be_looked_for_is_no_failure (void **state)
{
    (void) state;
    err_t err;
    open_pass (1, "127.0.0.1:1/team/app", NULL, NULL);
    AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "HEAD", .path = text_of ("/v2/127.0.0.1__1/other/blobs/sha256:%064d", 1) });
    assert_int_equal (reply.status, 403);
    door_last_error (door, 7, 1, &err);
    assert_int_equal (err.code, ERR_NONE);
    AUTO_REPLY reply_t manifest = send_call ((call_t) { .method = "HEAD", .path = "/v2/127.0.0.1__1/other/manifests/1" });
    assert_int_equal (manifest.status, 403);
    door_last_error (door, 7, 1, &err);
    assert_int_equal (err.code, ERR_REGISTRY_DENIED);
    door_close_pass (door, 7, 1);
}

static void an_attempt_has_a_quota (void **state)
{
    (void) state;
    need_registry ();
    err_t err;
    open_pass (1, text_of ("%s/quota", registry_host), NULL, NULL);
    for (int i = 0; i < 3; i++) {
        AUTO_REPLY reply_t begun = send_call ((call_t) { .method = "POST", .path = at ("quota/blobs/uploads/") });
        assert_int_equal (begun.status, 202);
        AUTO_REPLY reply_t sent = send_call ((call_t) { .method = "PATCH", .path = begun.location, .size = BIG, .in_chunks = true, .is_pattern = true });
        assert_int_equal (sent.status == 202, i < 2);
        door_last_error (door, 7, 1, &err);
        assert_int_equal (err.code, i < 2 ? ERR_NONE : ERR_REGISTRY_DENIED);
    }
    assert_non_null (strstr (err.text, "door/quota"));
    AUTO_REPLY reply_t put = send_call ((call_t) { .method = "PUT", .path = at ("quota/manifests/1"), .type = manifest_type, .data = "{}", .size = 2 });
    assert_int_equal (put.status, 403);
    door_close_pass (door, 7, 1);
}

static void a_manifest_that_is_not_its_digest_is_refused (void **state)
{
    (void) state;
    open_pass (1, "registry.lan/team/app", NULL, NULL);
    const char *path = text_of ("/v2/registry.lan/team/app/manifests/sha256:%064d", 0);
    AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "PUT", .path = path, .type = manifest_type, .data = "{}", .size = 2 });
    assert_int_equal (reply.status, 400);
    door_close_pass (door, 7, 1);
}

static void a_manifest_that_is_too_large_is_refused (void **state)
{
    (void) state;
    open_pass (1, "registry.lan/team/app", NULL, NULL);
    AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "PUT", .path = "/v2/registry.lan/team/app/manifests/x", .type = manifest_type,
                                                     .size = MANIFEST_BYTES_MAX + 1, .is_pattern = true });
    err_t err;
    door_last_error (door, 7, 1, &err);
    assert_int_equal (reply.status, 403);
    assert_int_equal (err.code, ERR_REGISTRY_DENIED);       /* a base image with long annotations makes it so: no fault of the worker */
    door_close_pass (door, 7, 1);
}

static void a_blob_is_mounted_from_another_repository (void **state)
{
    (void) state;
    need_registry ();
    char digest [OCI_DIGEST_SIZE];
    const char *masked = at ("");
    oci_digest_of ("layer", 5, digest);
    open_pass (1, text_of ("%s/base", registry_host), NULL, NULL);
    AUTO_REPLY reply_t first = upload ("base", "layer", 5, digest);
    assert_int_equal (first.status, 201);
    open_pass (2, text_of ("%s/team/mounted", registry_host), NULL, NULL);
    AUTO_REPLY reply_t before = send_call ((call_t) { .method = "HEAD", .path = at (text_of ("team/mounted/blobs/%s", digest)) });
    assert_int_equal (before.status, 404);
    AUTO_REPLY reply_t unnamed = send_call ((call_t) { .method = "POST", .path = at (text_of (
        "team/mounted/blobs/uploads/?mount=%s&from=%sbase", digest, masked + 4)) });
    assert_int_equal (unnamed.status, 202);             /* no base of this attempt: what is mounted could be read */
    door_allow (door, 7, 2, registry_host, "base");
    AUTO_REPLY reply_t mounted = send_call ((call_t) { .method = "POST", .path = at (text_of (
        "team/mounted/blobs/uploads/?mount=%s&from=%sbase", digest, masked + 4)) });
    assert_int_equal (mounted.status, 201);
    AUTO_REPLY reply_t after = send_call ((call_t) { .method = "GET", .path = at (text_of ("team/mounted/blobs/%s", digest)) });
    assert_int_equal (after.status, 200);
    assert_memory_equal (after.body.data, "layer", 5);
    door_allow (door, 7, 2, "other.lan", "base");
    AUTO_REPLY reply_t elsewhere = send_call ((call_t) { .method = "POST", .path = at (text_of (
        "team/mounted/blobs/uploads/?mount=%s&from=other.lan/base", digest)) });
    assert_int_equal (elsewhere.status, 202);           /* an upload begins: nothing was asked of the other host */
    door_close_pass (door, 7, 1);
    door_close_pass (door, 7, 2);
}

static void an_upload_is_known_to_its_own_attempt_only (void **state)
{
    (void) state;
    need_registry ();
    const char *repository = text_of ("%s/team/app", registry_host);
    open_pass (1, repository, NULL, NULL);
    AUTO_REPLY reply_t begun = send_call ((call_t) { .method = "POST", .path = at ("team/app/blobs/uploads/") });
    assert_int_equal (begun.status, 202);
    open_pass (2, repository, NULL, NULL);
    AUTO_REPLY reply_t other = send_call ((call_t) { .method = "PATCH", .path = begun.location, .data = "x", .size = 1 });
    assert_int_equal (other.status, 404);
    door_close_pass (door, 7, 1);
    door_close_pass (door, 7, 2);
}

/* With both, the chunks count (RFC 9112, 6.3): a length that is less must not leave a second request on the registry's wire. */
static void a_length_beside_chunks_is_not_passed_on (void **state)
{
    (void) state;
    need_registry ();
    static const char blob [] = "abcGET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";
    char digest [OCI_DIGEST_SIZE];
    oci_digest_of (blob, strlen (blob), digest);
    open_pass (1, text_of ("%s/team/chunks", registry_host), NULL, NULL);
    AUTO_REPLY reply_t begun = send_call ((call_t) { .method = "POST", .path = at ("team/chunks/blobs/uploads/") });
    assert_int_equal (begun.status, 202);
    AUTO_REPLY reply_t put = send_call ((call_t) { .method = "PUT", .path = text_of ("%s?digest=%s", begun.location, digest), .data = blob,
                                                   .size = strlen (blob), .in_chunks = true, .header = "Content-Length: 3" });
    assert_int_equal (put.status, 201);
    AUTO_REPLY reply_t got = send_call ((call_t) { .method = "GET", .path = at (text_of ("team/chunks/blobs/%s", digest)) });
    assert_int_equal (got.status, 200);
    assert_int_equal (got.body.size, strlen (blob));
    door_close_pass (door, 7, 1);
}

static int64_t peak_bytes (void)
{
    AUTO_FCLOSE FILE *file = fopen ("/proc/self/status", "re");
    char line [256];
    long kilobytes = 0;
    while (fgets (line, sizeof line, file))
        if (sscanf (line, "VmHWM: %ld", &kilobytes) == 1)
            break;
    return kilobytes * 1024;
}

static void a_big_blob_flows_in_bounded_memory (void **state)
{
    (void) state;
    need_registry ();
    char digest [OCI_DIGEST_SIZE];
    char *block = mem_alloc (1024 * 1024);
    oci_hash_t *hash = oci_hash_new ();
    call_t pattern = { .size = BIG, .is_pattern = true };
    source_t source = { &pattern, 0 };
    for (size_t size; (size = give_body (block, 1, 1024 * 1024, &source)) > 0;)
        oci_hash_add (hash, block, size);
    oci_hash_end (hash, digest);
    oci_hash_destroy (&hash);
    free (block);
    open_pass (1, text_of ("%s/big", registry_host), NULL, NULL);
    int64_t before = peak_bytes ();
    AUTO_REPLY reply_t put = upload ("big", NULL, BIG, digest);
    assert_int_equal (put.status, 201);
    AUTO_REPLY reply_t got = send_call ((call_t) { .method = "GET", .path = at (text_of ("big/blobs/%s", digest)) });
    assert_int_equal (got.status, 200);
    assert_int_equal (got.body_bytes, BIG);
    assert_true (peak_bytes () - before < 30 * 1024 * 1024);        /* the sanitizers keep what is freed for a while */
    door_close_pass (door, 7, 1);
}

/* A difficult registry ---------------------------------------------------------------------------------------------- */

static struct MHD_Daemon *fake, *elsewhere;
static char fake_host [64], elsewhere_host [64], silent_host [64];
static int silent;
static registry_settings_t settings;
static atomic_int asked, tokens, put_size, outdated;
static char seen_elsewhere [256], seen_token [256], seen_accept [512], seen_path [1024];
static const char *fake_kind = "";

static enum MHD_Result say (struct MHD_Connection *connection, int status, const char *name, const char *value, const char *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer (strlen (text), (void *) text, MHD_RESPMEM_MUST_COPY);
    if (name)
        MHD_add_response_header (response, name, value);
    enum MHD_Result result = MHD_queue_response (connection, (unsigned) status, response);
    MHD_destroy_response (response);
    return result;
}

static void note_header (struct MHD_Connection *connection, const char *name, char *out, size_t size)
{
    const char *value = MHD_lookup_connection_value (connection, MHD_HEADER_KIND, name);
    snprintf (out, size, "%s", value ? value : "");
}

static enum MHD_Result on_elsewhere (void *argument, struct MHD_Connection *connection, const char *url, const char *method,
                                     const char *version, const char *data, size_t *size, void **call)
{
    (void) argument, (void) url, (void) method, (void) version, (void) data, (void) call;
    if (*size) {
        atomic_fetch_add (&put_size, (int) *size);
        *size = 0;
        return MHD_YES;
    }
    if (!*call) {
        *call = (void *) 1;
        return MHD_YES;
    }
    note_header (connection, "Authorization", seen_elsewhere, sizeof seen_elsewhere);
    if (strcmp (method, "PATCH") == 0)
        return say (connection, 202, "Location", text_of ("http://%s/store/part2?x=1", elsewhere_host), "");
    if (strcmp (method, "PUT") == 0) {
        const char *digest = MHD_lookup_connection_value (connection, MHD_GET_ARGUMENT_KIND, "digest");
        return say (connection, digest && strcmp (url, "/store/part2") == 0 ? 201 : 400, NULL, NULL, "");
    }
    return say (connection, 200, NULL, NULL, "from elsewhere");
}

/* Manifests of the difficult registry, and what they are. */
static char manifests [10] [32], digests [10] [OCI_DIGEST_SIZE];

static void make_manifests (void)
{
    for (int i = 0; i < 10; i++) {
        snprintf (manifests [i], sizeof manifests [i], "{\"number\": %d}", i);
        oci_digest_of (manifests [i], strlen (manifests [i]), digests [i]);
    }
}

static const char *with_digest (const char *digest)
{
    for (int i = 0; i < 10; i++)
        if (strcmp (digests [i], digest) == 0)
            return manifests [i];
    return "{}";
}

/* A manifest of large_size bytes, without a length before it. */
static size_t large_size;

static ssize_t give_large (void *argument, uint64_t position, char *out, size_t size)
{
    (void) argument;
    if (position >= large_size)
        return MHD_CONTENT_READER_END_OF_STREAM;
    size = size < large_size - position ? size : large_size - (size_t) position;
    for (size_t i = 0; i < size; i++)
        out [i] = (char) ((position + i) * 31 >> 7);
    return (ssize_t) size;
}

static enum MHD_Result say_large (struct MHD_Connection *connection)
{
    struct MHD_Response *response = MHD_create_response_from_callback (MHD_SIZE_UNKNOWN, 16384, give_large, NULL, NULL);
    enum MHD_Result result = MHD_queue_response (connection, 200, response);
    MHD_destroy_response (response);
    return result;
}

static enum MHD_Result on_fake (void *argument, struct MHD_Connection *connection, const char *url, const char *method,
                                const char *version, const char *data, size_t *size, void **call)
{
    (void) argument, (void) version, (void) data;
    if (*size) {
        *size = 0;
        return MHD_YES;
    }
    if (!*call) {
        *call = (void *) 1;
        return MHD_YES;
    }
    int count = atomic_fetch_add (&asked, 1) + 1;
    char authorization [256];
    note_header (connection, "Authorization", authorization, sizeof authorization);
    note_header (connection, "Accept", seen_accept, sizeof seen_accept);
    snprintf (seen_path, sizeof seen_path, "%s", url);
    if (strcmp (url, "/token") == 0) {
        atomic_fetch_add (&tokens, 1);
        snprintf (seen_token, sizeof seen_token, "%s", authorization);
        const char *scope = MHD_lookup_connection_value (connection, MHD_GET_ARGUMENT_KIND, "scope");
        return say (connection, 200, NULL, NULL, text_of ("{\"token\": \"T-%s\"}", scope ? scope : ""));
    }
    if (strcmp (fake_kind, "current") == 0 && (!granted || strcmp (authorization, granted) != 0)) {
        atomic_fetch_add (&outdated, *authorization != 0);
        return say (connection, 401, "WWW-Authenticate", text_of ("Bearer realm=\"http://%s/token\",service=\"fake\"", fake_host), "");
    }
    if (strcmp (fake_kind, "current") == 0 && strstr (url, "/uploads/"))
        return say (connection, strcmp (method, "PUT") == 0 ? 201 : 202, "Location", "/v2/team/app/blobs/uploads/1", "");
    if (strcmp (fake_kind, "token") == 0 && strncmp (authorization, "Bearer T-repository:team/app:pull", 33) != 0)
        return say (connection, 401, "WWW-Authenticate", text_of ("Bearer realm=\"http://%s/token\",service=\"fake\"", fake_host), "");
    bool wants_basic = strcmp (fake_kind, "basic") == 0 || strcmp (fake_kind, "redirect") == 0 || strcmp (fake_kind, "upload") == 0;
    if (wants_basic && strcmp (authorization, "Basic c2VjcmV0") != 0)
        return say (connection, 401, "WWW-Authenticate", "Basic realm=\"fake\"", "");
    if (strcmp (fake_kind, "tired") == 0 && count < 3)
        return say (connection, 503, NULL, NULL, "");
    if (strcmp (fake_kind, "broken") == 0)
        return say (connection, 500, NULL, NULL, "{\"errors\": [{\"code\": \"UNKNOWN\", \"message\": \"out of order\"}]}");
    if (strcmp (fake_kind, "cut") == 0 || strcmp (fake_kind, "choosy") == 0)
        return say (connection, 400, NULL, NULL, text_of ("{\"errors\": [{\"code\": \"%s\", \"message\": \"provided digest did not match uploaded content\"}]}",
                                                          strcmp (fake_kind, "cut") == 0 ? "DIGEST_INVALID" : "MANIFEST_INVALID"));
    if (strcmp (fake_kind, "patience") == 0)
        return say (connection, 429, "Retry-After", "3600", "");
    if (strcmp (fake_kind, "loop") == 0)
        return say (connection, 307, "Location", url, "");
    if (strcmp (fake_kind, "inside") == 0 && strstr (url, "/uploads/"))
        return say (connection, 202, "Location", "http://10.11.12.13/store", "");
    if (strcmp (fake_kind, "realm inside") == 0)
        return say (connection, 401, "WWW-Authenticate", "Basic realm=\"fake\", Bearer realm=\"http://10.11.12.13/token\"", "");
    if (strcmp (fake_kind, "odd") == 0 && strstr (url, "/uploads/"))
        return say (connection, 200, "Location", "/v2/team/app/blobs/uploads/1", "");
    if (strstr (url, "/uploads/"))
        return say (connection, 202, "Location", text_of ("http://%s/store/part1", elsewhere_host), "");
    if (strcmp (fake_kind, "redirect") == 0)
        return say (connection, 307, "Location", text_of ("http://%s/data", elsewhere_host), "");
    if (strcmp (fake_kind, "inside") == 0)
        return say (connection, 307, "Location", "http://10.11.12.13/store", "");
    if (strcmp (fake_kind, "file") == 0)
        return say (connection, 307, "Location", "file:///etc/passwd", "");
    if (strcmp (fake_kind, "gone") == 0)
        return say (connection, 404, NULL, NULL, "{\"errors\": [{\"code\": \"MANIFEST_UNKNOWN\", \"message\": \"gone\"}]}");
    if (strcmp (fake_kind, "large") == 0)
        return say_large (connection);
    const char *asked_digest = strstr (url, "/manifests/sha256:");
    if (asked_digest)
        return say (connection, 200, "Docker-Content-Digest", asked_digest + strlen ("/manifests/"),
                    strcmp (fake_kind, "liar") == 0 ? manifests [9] : with_digest (asked_digest + strlen ("/manifests/")));
    if (strcmp (fake_kind, "base") == 0 || strcmp (fake_kind, "liar") == 0)
        return say (connection, 200, "Docker-Content-Digest", digests [1], manifests [strcmp (fake_kind, "base") == 0 ? 1 : 9]);
    return say (connection, strcmp (method, "PUT") == 0 ? 201 : 200, "Content-Type", manifest_type, "{}");
}

static void be (const char *kind, const char *authorization)
{
    fake_kind = kind;
    asked = tokens = put_size = grants = outdated = 0;
    seen_elsewhere [0] = seen_token [0] = seen_accept [0] = 0;
    open_pass (1, text_of ("%s/team/app", fake_host), authorization ? fake_host : NULL, authorization);
}

static const char *fake_at (const char *rest)
{
    return text_of ("/v2/%s/%s", fake_host, rest);      /* with ':', which the door takes too */
}

static err_t last_error (void)
{
    err_t err;
    door_last_error (door, 7, 1, &err);
    return err;
}

static void a_token_is_asked_of_the_coordinator_once (void **state)
{
    (void) state;
    be ("token", "Bearer T-repository:team/app:pull");
    for (int i = 0; i < 3; i++) {
        AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
        assert_int_equal (reply.status, 200);
    }
    assert_int_equal (grants, 1);
    assert_string_equal (granted_scope, "repository:team/app:pull,push");
    assert_int_equal (tokens, 0);
    assert_int_equal (last_error ().code, ERR_NONE);
    door_close_pass (door, 7, 1);
}

/* What the coordinator gives from now on; the registry takes no other, as if the former had expired. */
static void renew_grant (const char *authorization)
{
    int64_t until_ms = clock_boot_ms () + granted_ms;
    while (clock_boot_ms () <= until_ms)
        poll (NULL, 0, (int) (until_ms - clock_boot_ms () + 1));
    granted = authorization;
}

static void a_token_is_renewed_while_the_attempt_goes_on (void **state)
{
    (void) state;
    granted_ms = 200;
    be ("current", "Bearer first");
    AUTO_REPLY reply_t read = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
    assert_int_equal (read.status, 200);
    assert_int_equal (grants, 1);
    renew_grant ("Bearer second");
    AUTO_REPLY reply_t begun = send_call ((call_t) { .method = "POST", .path = fake_at ("team/app/blobs/uploads/") });
    assert_int_equal (begun.status, 202);
    assert_int_equal (grants, 2);
    renew_grant ("Bearer third");
    AUTO_REPLY reply_t sent = send_call ((call_t) { .method = "PATCH", .path = begun.location, .size = 100000, .in_chunks = true, .is_pattern = true });
    assert_int_equal (sent.status, 202);            /* what can be sent but once is not begun with a token that is over */
    assert_int_equal (grants, 3);
    assert_int_equal (outdated, 0);
    granted_ms = 60000;
    door_close_pass (door, 7, 1);
}

/* One that the registry refuses before its time, say because it was started again with other keys. */
static void a_token_that_is_refused_is_renewed_at_once (void **state)
{
    (void) state;
    be ("current", "Bearer first");
    AUTO_REPLY reply_t first = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
    assert_int_equal (first.status, 200);
    granted = "Bearer second";
    AUTO_REPLY reply_t second = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
    assert_int_equal (second.status, 200);
    assert_int_equal (grants, 2);
    assert_int_equal (outdated, 1);
    door_close_pass (door, 7, 1);
}

static void a_renewal_that_fails_says_so (void **state)
{
    static const struct {
        err_code code;
        int status;
    } table [] = { { ERR_REGISTRY_DENIED, 403 }, { ERR_REGISTRY, 502 } };
    (void) state;
    granted_ms = 50;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        be ("current", "Bearer first");
        AUTO_REPLY reply_t begun = send_call ((call_t) { .method = "POST", .path = fake_at ("team/app/blobs/uploads/") });
        assert_int_equal (begun.status, 202);
        renew_grant ("Bearer second");
        grant_fails = table [i].code;
        AUTO_REPLY reply_t sent = send_call ((call_t) { .method = "PATCH", .path = begun.location, .size = 100000, .in_chunks = true, .is_pattern = true });
        grant_fails = ERR_NONE;
        assert_int_equal (sent.status, table [i].status);
        assert_int_equal (last_error ().code, table [i].code);
        assert_non_null (strstr (last_error ().text, "the coordinator gives nothing for"));
        AUTO_REPLY reply_t again = send_call ((call_t) { .method = "PATCH", .path = begun.location, .size = 100000, .in_chunks = true, .is_pattern = true });
        assert_int_equal (again.status, 202);
        door_close_pass (door, 7, 1);
    }
    granted_ms = 60000;
}

/* Of a registry that is not the attempt's own. */
static void what_everybody_may_read_needs_no_coordinator (void **state)
{
    (void) state;
    be ("token", NULL);
    open_pass (1, "registry.lan/team/app", NULL, NULL);
    door_allow (door, 7, 1, fake_host, "team/app");
    AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
    assert_int_equal (reply.status, 200);
    assert_int_equal (tokens, 1);
    assert_string_equal (seen_token, "");
    be ("token", NULL);                     /* but the attempt's own is not asked without */
    AUTO_REPLY reply_t own = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
    assert_int_equal (own.status, 403);
    assert_int_equal (tokens, 0);
    door_close_pass (door, 7, 1);
}

/* Of its own registry, what the coordinator does not let it have with its account. One that is in trouble is no such word. */
static void what_everybody_may_read_of_its_own_registry_too (void **state)
{
    static const struct {
        const char *path;
        err_code code;
        int status, tokens;
    } table [] = { { "team/app", ERR_REGISTRY_DENIED, 200, 1 }, { "team/app", ERR_REGISTRY, 502, 0 }, { "team/secret", ERR_REGISTRY_DENIED, 403, 1 },
                   { "team/own", ERR_REGISTRY_DENIED, 403, 0 } };
    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        be ("token", NULL);
        open_pass (1, text_of ("%s/team/own", fake_host), NULL, NULL);
        door_allow (door, 7, 1, fake_host, table [i].path);
        grant_fails = table [i].code;
        AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = fake_at (text_of ("%s/manifests/1", table [i].path)) });
        grant_fails = ERR_NONE;
        assert_int_equal (reply.status, table [i].status);
        assert_int_equal (tokens, table [i].tokens);
        assert_string_equal (seen_token, "");
        if (reply.status != 200) {
            assert_int_equal (last_error ().code, table [i].code);
            assert_non_null (strstr (last_error ().text, "the coordinator gives nothing for"));      /* though the registry had the last word */
            err_t err = { 0 };
            assert_int_equal (door_check_bases (door, 7, 1, &err), -1);          /* nor does a copy of the builder's help */
            assert_int_equal (err.code, table [i].code);
            assert_int_equal (strstr (err.text, "the coordinator gives nothing for") != NULL, err.code == ERR_REGISTRY_DENIED);
        }
        door_close_pass (door, 7, 1);
    }
}

static void the_credential_is_shown_where_it_is_asked_for (void **state)
{
    (void) state;
    be ("basic", "Basic c2VjcmV0");
    AUTO_REPLY reply_t right = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
    assert_int_equal (right.status, 200);
    be ("basic", NULL);
    AUTO_REPLY reply_t none = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
    assert_int_equal (none.status, 403);
    assert_string_equal (none.challenge, "");
    assert_int_equal (last_error ().code, ERR_REGISTRY_DENIED);
    be ("basic", "Basic d3Jvbmc");
    AUTO_REPLY reply_t wrong = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
    assert_int_equal (wrong.status, 403);
    assert_int_equal (asked, 2);            /* shown once, and not again and again */
    assert_int_equal (last_error ().code, ERR_REGISTRY_DENIED);
    door_close_pass (door, 7, 1);
}

static void a_redirect_is_followed_without_the_credential (void **state)
{
    (void) state;
    be ("redirect", "Basic c2VjcmV0");
    const char *path = text_of ("/v2/%s/team/app/blobs/sha256:%064d", fake_host, 0);
    AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = path });
    assert_int_equal (reply.status, 200);
    assert_memory_equal (reply.body.data, "from elsewhere", 14);
    assert_string_equal (seen_elsewhere, "");
    be ("file", NULL);
    AUTO_REPLY reply_t file = send_call ((call_t) { .method = "GET", .path = path });
    assert_int_equal (file.status, 502);
    be ("loop", NULL);
    AUTO_REPLY reply_t loop = send_call ((call_t) { .method = "GET", .path = path });
    assert_int_equal (loop.status, 502);
    assert_int_equal (last_error ().code, ERR_REGISTRY);
    door_close_pass (door, 7, 1);
}

/* The fake one is on this machine, and may name nothing else inside. */
static void nobody_is_sent_to_an_address_inside (void **state)
{
    (void) state;
    static const char words [] = "whose address 10.11.12.13 is not one that it may name";
    be ("inside", "Basic c2VjcmV0");
    AUTO_REPLY reply_t redirect = send_call ((call_t) { .method = "GET", .path = text_of ("/v2/%s/team/app/blobs/sha256:%064d", fake_host, 0) });
    assert_int_equal (redirect.status, 403);
    assert_non_null (strstr (last_error ().text, words));
    AUTO_REPLY reply_t begun = send_call ((call_t) { .method = "POST", .path = fake_at ("team/app/blobs/uploads/") });
    assert_int_equal (begun.status, 202);
    AUTO_REPLY reply_t sent = send_call ((call_t) { .method = "PATCH", .path = begun.location, .data = "layer", .size = 5 });
    assert_int_equal (sent.status, 403);
    assert_non_null (strstr (last_error ().text, words));
    be ("realm inside", NULL);
    open_pass (1, "registry.lan/team/app", NULL, NULL);
    door_allow (door, 7, 1, fake_host, "team/app");
    AUTO_REPLY reply_t realm = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
    assert_int_equal (realm.status, 403);
    assert_non_null (strstr (last_error ().text, words));
    assert_int_equal (last_error ().code, ERR_REGISTRY_DENIED);
    door_close_pass (door, 7, 1);
}

static void an_upload_goes_where_the_registry_says_without_the_credential (void **state)
{
    (void) state;
    be ("upload", "Basic c2VjcmV0");
    AUTO_REPLY reply_t begun = send_call ((call_t) { .method = "POST", .path = fake_at ("team/app/blobs/uploads/") });
    assert_int_equal (begun.status, 202);
    assert_null (strstr (begun.location, elsewhere_host));
    assert_int_equal (strncmp (begun.location, "/v2/", 4), 0);
    AUTO_REPLY reply_t sent = send_call ((call_t) { .method = "PATCH", .path = begun.location, .data = "layer", .size = 5 });
    assert_int_equal (sent.status, 202);
    assert_int_equal (put_size, 5);
    AUTO_REPLY reply_t ended = send_call ((call_t) { .method = "PUT", .path = text_of ("%s?digest=sha256:%064d", sent.location, 0) });
    assert_int_equal (ended.status, 201);
    assert_string_equal (seen_elsewhere, "");
    door_close_pass (door, 7, 1);
}

static void what_may_pass_is_tried_again (void **state)
{
    (void) state;
    be ("tired", NULL);
    AUTO_REPLY reply_t get = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
    assert_int_equal (get.status, 200);
    be ("tired", NULL);
    AUTO_REPLY reply_t put = send_call ((call_t) { .method = "PUT", .path = fake_at ("team/app/manifests/1"), .type = manifest_type,
                                                   .data = "{}", .size = 2 });
    assert_int_equal (put.status, 201);
    assert_int_equal (asked, 3);
    assert_non_null (strstr (seen_path, "/v2/team/app/manifests/sha256:"));
    door_close_pass (door, 7, 1);
}

static void a_broken_registry_is_the_farms_fault_in_its_own_words (void **state)
{
    (void) state;
    be ("broken", NULL);
    AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
    assert_int_equal (reply.status, 500);
    err_t err = last_error ();
    assert_int_equal (err.code, ERR_REGISTRY);
    assert_non_null (strstr (err.text, "out of order"));
    assert_non_null (strstr (err.text, "team/app"));
    door_clear_error (door, 7, 1);
    assert_int_equal (last_error ().code, ERR_NONE);
    be ("patience", NULL);
    AUTO_REPLY reply_t limited = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
    assert_int_equal (limited.status, 429);
    assert_int_equal (asked, 1);            /* an hour is too long */
    assert_int_equal (last_error ().code, ERR_REGISTRY);
    door_close_pass (door, 7, 1);
}

/* A reset connection cuts a body, and docker-registry takes what came for all of it. */
static void a_manifest_that_was_cut_on_the_way_is_the_farms_fault (void **state)
{
    static const struct {
        const char *kind, *method, *rest;
        err_code code;
    } table [] = {
        { "cut", "PUT", "team/app/manifests/1", ERR_REGISTRY },
        { "choosy", "PUT", "team/app/manifests/1", ERR_REGISTRY_DENIED },
        { "cut", "GET", "team/app/manifests/1", ERR_REGISTRY_DENIED },
    };
    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        bool is_put = strcmp (table [i].method, "PUT") == 0;
        be (table [i].kind, NULL);
        AUTO_REPLY reply_t reply = send_call ((call_t) { .method = table [i].method, .path = fake_at (table [i].rest), .type = manifest_type,
                                                         .data = is_put ? "{}" : NULL, .size = is_put ? 2 : 0 });
        assert_int_equal (reply.status, 400);
        assert_int_equal (last_error ().code, table [i].code);
        assert_non_null (strstr (last_error ().text, "did not match"));
        door_close_pass (door, 7, 1);
    }
}

static void a_registry_that_is_down_is_named (void **state)
{
    (void) state;
    open_pass (1, "127.0.0.1:1/team/app", NULL, NULL);
    AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = "/v2/127.0.0.1__1/team/app/manifests/1" });
    assert_int_equal (reply.status, 502);
    err_t err = last_error ();
    assert_int_equal (err.code, ERR_REGISTRY);
    assert_non_null (strstr (err.text, "127.0.0.1:1/team/app"));
    door_close_pass (door, 7, 1);
}

/* Takes connections, and says nothing. The caller closes it. */
static int start_silent (char host [64])
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal (bind (fd, (struct sockaddr *) &address, sizeof address), 0);
    assert_int_equal (listen (fd, 16), 0);
    assert_int_equal (getsockname (fd, (struct sockaddr *) &address, &size), 0);
    snprintf (host, 64, "127.0.0.1:%d", ntohs (address.sin_port));
    return fd;
}

static int64_t silence_ms (const char *rest)
{
    int64_t start = clock_boot_ms ();
    AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = text_of ("/v2/%s/%s", silent_host, rest) });
    assert_int_equal (reply.status, 502);
    assert_int_equal (last_error ().code, ERR_REGISTRY);
    return clock_boot_ms () - start;
}

/* A base image is asked for by its manifest first: that it hangs is known in three thirds of the time limit. */
static void a_registry_that_hangs_is_given_up_soon (void **state)
{
    (void) state;
    settings.timeout_ms = 1500;
    open_pass (1, text_of ("%s/team/app", silent_host), NULL, NULL);
    door_allow (door, 7, 1, silent_host, "base");
    int64_t manifest_ms = silence_ms ("base/manifests/1"), blob_ms = silence_ms (text_of ("base/blobs/sha256:%064d", 1));
    settings.timeout_ms = 0;
    assert_true (manifest_ms >= 1500);
    if (blob_ms - manifest_ms < 2000)
        fail_msg ("%lld ms for a manifest, %lld ms for a blob", (long long) manifest_ms, (long long) blob_ms);
    door_close_pass (door, 7, 1);
}

/* Answers whatever comes as registries answer TLS where they do not speak it. */
static void *refuse_tls (void *argument)
{
    static const char answer [] = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP server.\n";
    char hello [4096];
    for (int fd; (fd = accept (*(int *) argument, NULL, NULL)) >= 0; close (fd))
        if (read (fd, hello, sizeof hello) > 0 && write (fd, answer, sizeof answer - 1) < 0)
            break;
    return NULL;
}

static void a_registry_without_tls_is_a_final_error (void **state)
{
    (void) state;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    pthread_t thread;
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal (bind (fd, (struct sockaddr *) &address, size) | listen (fd, 5), 0);
    assert_int_equal (getsockname (fd, (struct sockaddr *) &address, &size), 0);
    assert_int_equal (pthread_create (&thread, NULL, refuse_tls, &fd), 0);
    int port = ntohs (address.sin_port);
    open_pass (1, text_of ("127.0.0.1:%d/team/app", port), NULL, NULL);
    AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = text_of ("/v2/127.0.0.1__%d/team/app/manifests/1", port) });
    err_t err = last_error ();
    assert_int_equal (reply.status, 403);
    assert_int_equal (err.code, ERR_REGISTRY_DENIED);
    assert_non_null (strstr (err.text, text_of ("list 127.0.0.1:%d under registry/plain-http", port)));
    door_close_pass (door, 7, 1);
    shutdown (fd, SHUT_RDWR);
    pthread_join (thread, NULL);
    close (fd);
}

static void accept_goes_on (void **state)
{
    (void) state;
    be ("", NULL);
    AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1"), .accept = "a/b, c/d" });
    assert_int_equal (reply.status, 200);
    assert_string_equal (seen_accept, "a/b, c/d");
    door_close_pass (door, 7, 1);
}

/* The builder may have a copy of the base, and go on with that: nobody knows what the tag means. */
static void a_base_that_was_not_given_is_an_unknown_one (void **state)
{
    (void) state;
    static const char *const kinds [] = { "base", "broken", "down" };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        be (kinds [i], NULL);
        bool is_down = strcmp (kinds [i], "down") == 0;
        door_allow (door, 7, 1, "127.0.0.1:1", "team/app");
        const char *path = is_down ? "/v2/127.0.0.1__1/team/app/manifests/1" : fake_at ("team/app/manifests/1");
        AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = path });
        AUTO_JSON json_t *bases = door_bases (door, 7, 1);
        err_t err = { 0 };
        assert_int_equal (door_check_bases (door, 7, 1, &err), i == 0 ? 0 : -1);
        assert_int_equal (err.code, i == 0 ? ERR_NONE : ERR_REGISTRY);
        assert_int_equal (reply.status == 200, i == 0);
        assert_int_equal (json_array_size (bases), i == 0);
        assert_int_equal (bases != NULL, i == 0);
        door_close_pass (door, 7, 1);
    }
}

static int connect_to_door (void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK), .sin_port = htons ((uint16_t) door_port (door)) };
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal (connect (fd, (struct sockaddr *) &address, sizeof address), 0);
    return fd;
}

/* A whole request, and the first bytes of its answer: "HTTP/1.1 200"; "" when the connection ends. */
static void ping (int fd, const char *line, char answer [13])
{
    AUTO_FREE char *text = mem_printf ("GET /v2/ HTTP/1.1\r\nHost: door\r\n%s\r\n", line);
    struct pollfd heard = { .fd = fd, .events = POLLIN };
    char bytes [4096] = "";
    assert_int_equal (send (fd, text, strlen (text), MSG_NOSIGNAL), strlen (text));
    assert_int_equal (poll (&heard, 1, PATIENCE_MS), 1);
    if (recv (fd, bytes, sizeof bytes - 1, 0) < 0)
        bytes [0] = 0;
    snprintf (answer, 13, "%s", bytes);
}

/* Whatever ends the connection to a builder in the middle of an image, it is not the Dockerfile. */
static void an_answer_that_breaks_off_is_not_the_users_fault (void **state)
{
    (void) state;
    char answer [13], basic [128];
    const struct linger at_once = { .l_onoff = 1 };
    be ("large", NULL);
    large_size = 64 * 1024 * 1024;
    AUTO_FREE char *user = mem_printf ("attempt:%s", password);
    sodium_bin2base64 (basic, sizeof basic, (const unsigned char *) user, strlen (user), sodium_base64_VARIANT_ORIGINAL);
    AUTO_FREE char *line = mem_printf ("GET %s HTTP/1.1\r\nHost: door\r\nAuthorization: Basic %s\r\n\r\n",
                                       fake_at (text_of ("team/app/blobs/sha256:%064d", 1)), basic);
    int fd = connect_to_door ();
    assert_int_equal (send (fd, line, strlen (line), MSG_NOSIGNAL), strlen (line));
    assert_int_equal (recv (fd, answer, 12, MSG_WAITALL), 12);
    assert_memory_equal (answer, "HTTP/1.1 200", 12);
    assert_int_equal (last_error ().code, ERR_NONE);
    setsockopt (fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close (fd);
    for (int i = 0; i < PATIENCE_MS / 20 && last_error ().code == ERR_NONE; i++)
        usleep (20000);
    assert_int_equal (last_error ().code, ERR_REGISTRY);
    assert_non_null (strstr (last_error ().text, "ended before the whole of an image had come"));
    door_close_pass (door, 7, 1);
}

/* A RUN step is on the board's loopback: it may make as many connections as it likes, say half of a request on them, or ask without a password. */
static void strangers_leave_room_for_builders (void **state)
{
    (void) state;
    enum { CROWD = 600 };
    char answer [13], basic [128];
    int crowd [CROWD], ended = 0;
    be ("", NULL);
    AUTO_FREE char *user = mem_printf ("attempt:%s", password);
    sodium_bin2base64 (basic, sizeof basic, (const unsigned char *) user, strlen (user), sodium_base64_VARIANT_ORIGINAL);
    AUTO_FREE char *line = mem_printf ("Authorization: Basic %s\r\n", basic);
    int known = connect_to_door ();
    ping (known, line, answer);
    assert_string_equal (answer, "HTTP/1.1 200");
    for (int i = 0; i < CROWD; i++) {
        crowd [i] = connect_to_door ();
        if (i % 3 == 1 && send (crowd [i], "GET /v2/ HT", 11, MSG_NOSIGNAL) < 0)
            ended++;
        else if (i % 100 == 2)
            ping (crowd [i], "", answer);
    }
    int late = connect_to_door ();
    ping (late, line, answer);
    assert_string_equal (answer, "HTTP/1.1 200");
    ping (known, line, answer);
    assert_string_equal (answer, "HTTP/1.1 200");
    for (int i = 0; i < CROWD - 128; i++) {
        struct pollfd over = { .fd = crowd [i], .events = POLLRDHUP };
        ended += poll (&over, 1, PATIENCE_MS) == 1;
    }
    assert_in_range (ended, CROWD - 128, CROWD);
    for (int i = 0; i < CROWD; i++)
        close (crowd [i]);
    close (known);
    close (late);
    door_close_pass (door, 7, 1);
}

/* What it means was looked up before: the registry is not asked for the tag. */
static void a_base_is_asked_for_by_its_digest (void **state)
{
    (void) state;
    pins = json_pack ("[{s:s, s:s}]", "reference", text_of ("%s/team/app:1", fake_host), "digest", digests [5]);
    be ("base", NULL);
    static const char *const methods [] = { "HEAD", "GET" };
    for (int i = 0; i < 2; i++) {
        AUTO_REPLY reply_t reply = send_call ((call_t) { .method = methods [i], .path = fake_at ("team/app/manifests/1") });
        assert_int_equal (reply.status, 200);
        assert_string_equal (reply.digest, digests [5]);
        assert_string_equal (seen_path, text_of ("/v2/team/app/manifests/%s", digests [5]));
        if (i == 1)
            assert_memory_equal (reply.body.data, manifests [5], strlen (manifests [5]));
    }
    err_t err = { 0 };
    assert_int_equal (door_check_bases (door, 7, 1, &err), 0);
    AUTO_JSON json_t *bases = door_bases (door, 7, 1);
    assert_true (json_equal (bases, pins));
    fake_kind = "gone";
    AUTO_REPLY reply_t gone = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
    assert_int_equal (gone.status, 404);
    assert_int_equal (door_check_bases (door, 7, 1, &err), -1);
    assert_int_equal (err.code, ERR_REGISTRY);
    fake_kind = "base";
    AUTO_REPLY reply_t back = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
    assert_int_equal (back.status, 200);
    assert_int_equal (door_check_bases (door, 7, 1, &err), 0);
    door_close_pass (door, 7, 1);
    json_decref (pins);
    pins = NULL;
}

/* The coordinator is asked once, and its word counts, whatever the tag means. */
static void what_a_tag_means_is_asked_of_the_coordinator (void **state)
{
    (void) state;
    pinner = pin;
    for (int number = 1; number <= 2; number++) {       /* the registry says 1 */
        pinned = 0;
        strcpy (pinned_digest, digests [number]);
        be ("base", NULL);
        for (int i = 0; i < 2; i++) {
            AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
            assert_int_equal (reply.status, 200);
            assert_string_equal (reply.digest, pinned_digest);
        }
        assert_int_equal (pinned, 1);
        AUTO_JSON json_t *bases = door_bases (door, 7, 1);
        assert_string_equal (json_string_value (json_object_get (json_array_get (bases, 0), "digest")), pinned_digest);
        door_close_pass (door, 7, 1);
    }
    be ("base", NULL);
    door_allow (door, 7, 1, fake_host, "team/other");
    AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = fake_at ("team/other/manifests/1") });
    assert_int_equal (reply.status, 502);
    assert_null (door_bases (door, 7, 1));
    door_close_pass (door, 7, 1);
    pinner = NULL;
}

/* A builder that asked by a tag would build on whatever came, and the report name what was pinned. */
static void other_bytes_than_the_digest_are_not_let_through (void **state)
{
    (void) state;
    static const char words [] = "the registry gives bytes with the digest";
    pins = json_pack ("[{s:s, s:s}]", "reference", text_of ("%s/team/app:1", fake_host), "digest", digests [5]);
    for (int by_digest = 0; by_digest < 2; by_digest++) {
        err_t err = { 0 };
        be ("liar", NULL);
        const char *path = fake_at (by_digest ? text_of ("team/app/manifests/%s", digests [5]) : "team/app/manifests/1");
        AUTO_REPLY reply_t head = send_call ((call_t) { .method = "HEAD", .path = path });
        assert_int_equal (head.status, 200);
        AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = path });
        assert_int_equal (reply.status, 502);
        assert_non_null (memmem (reply.body.data, reply.body.size, words, strlen (words)));
        assert_int_equal (last_error ().code, ERR_REGISTRY);
        assert_non_null (strstr (last_error ().text, text_of ("%s %s for %s", words, digests [9], digests [5])));
        assert_int_equal (door_check_bases (door, 7, 1, &err), by_digest ? 0 : -1);
        assert_int_equal (err.code, by_digest ? ERR_NONE : ERR_REGISTRY);
        door_close_pass (door, 7, 1);
    }
    json_decref (pins);
    pins = NULL;
}

/* Where nothing is known of the tag, it is what came, and not what the registry says of it. */
static void a_tag_means_the_bytes_that_came (void **state)
{
    static const struct {
        const char *kind;
        int number;
    } table [] = { { "liar", 9 }, { "base", 1 } };
    (void) state;
    for (size_t i = 0; i < 2; i++) {
        be (table [i].kind, NULL);
        AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
        assert_int_equal (reply.status, 200);
        assert_string_equal (reply.digest, digests [table [i].number]);
        assert_int_equal (reply.body.size, strlen (manifests [table [i].number]));
        assert_memory_equal (reply.body.data, manifests [table [i].number], reply.body.size);
        AUTO_JSON json_t *bases = door_bases (door, 7, 1);
        assert_string_equal (json_string_value (json_object_get (json_array_get (bases, 0), "digest")), digests [table [i].number]);
        door_close_pass (door, 7, 1);
    }
}

static void a_large_manifest_is_let_through_byte_for_byte (void **state)
{
    static const struct {
        size_t size;
        int status;
    } table [] = { { 0, 200 }, { 700000, 200 }, { MANIFEST_BYTES_MAX, 200 }, { MANIFEST_BYTES_MAX + 1, 403 } };
    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        be ("large", NULL);
        large_size = table [i].size;
        AUTO_REPLY reply_t reply = send_call ((call_t) { .method = "GET", .path = fake_at ("team/app/manifests/1") });
        assert_int_equal (reply.status, table [i].status);
        assert_int_equal (last_error ().code, reply.status == 200 ? ERR_NONE : ERR_REGISTRY_DENIED);
        assert_int_equal (door_check_bases (door, 7, 1, NULL), reply.status == 200 ? 0 : -1);
        if (reply.status == 200)
            assert_int_equal (reply.body_bytes, table [i].size);
        for (size_t at = 0; reply.status == 200 && at < reply.body.size; at++)
            if ((char) reply.body.data [at] != (char) (at * 31 >> 7))
                fail_msg ("byte %zu of %zu", at, table [i].size);
        door_close_pass (door, 7, 1);
    }
}

/* Set-up ------------------------------------------------------------------------------------------------------------ */

static struct MHD_Daemon *start_fake (MHD_AccessHandlerCallback handler, char host [64])
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    struct MHD_Daemon *daemon = MHD_start_daemon (MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, handler, NULL,
                                                  MHD_OPTION_SOCK_ADDR, (struct sockaddr *) &address, MHD_OPTION_END);
    const union MHD_DaemonInfo *info = daemon ? MHD_get_daemon_info (daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    snprintf (host, 64, "127.0.0.1:%d", info ? info->port : 0);
    return daemon;
}

/* The builder does not like an answer that the door lets through: whoever owns the registry could blame the worker. */
static void a_push_that_fails_at_odd_answers_is_the_registrys_fault (void **state)
{
    (void) state;
    static const builder_disk_t disk;
    const builder_task_t task = { .job = 7, .attempt = 1, .door = door };
    err_t err = { 0 };
    be ("odd", NULL);
    assert_int_equal (builder_judge_push (&task, &disk, "no layer could be read", &err), -1);
    assert_int_equal (err.code, ERR_FARM);
    AUTO_REPLY reply_t begun = send_call ((call_t) { .method = "POST", .path = fake_at ("team/app/blobs/uploads/") });
    assert_int_equal (begun.status, 200);
    assert_int_equal (builder_judge_push (&task, &disk, "unexpected status 200", &err), -1);
    assert_int_equal (err.code, ERR_REGISTRY);
    door_clear_error (door, 7, 1);
    assert_int_equal (builder_judge_push (&task, &disk, "no layer could be read", &err), -1);
    assert_int_equal (err.code, ERR_FARM);
    AUTO_REPLY reply_t sent = send_call ((call_t) { .method = "PATCH", .path = begun.location, .data = "layer", .size = 5 });
    assert_int_equal (sent.status, 200);
    assert_int_equal (builder_judge_push (&task, &disk, "unexpected status 200", &err), -1);
    assert_int_equal (err.code, ERR_REGISTRY);
    door_close_pass (door, 7, 1);
}

/* A report that its schema refuses would be repeated for ever. */
static void a_base_with_too_long_a_name_is_an_unknown_one (void **state)
{
    (void) state;
    static const char digest [] = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char password [33];
    passes_t *passes = passes_new (NULL);
    door_pass_t given = { .job = 1, .attempt = 1 };
    reference_t image = { .host = "registry.lan" };
    memset (image.path, 'a', 250);
    passes_open (passes, &given, password);
    pass_t *pass = passes_find (passes, 1, 1);
    pass_note_base (pass, &image, "1", digest, true);
    assert_int_equal (pass->base_count, 1);
    assert_false (pass->has_unknown_bases);
    memset (image.host, 'b', 255);
    pass_note_base (pass, &image, "a-tag-too-much", digest, true);
    assert_int_equal (pass->base_count, 1);
    assert_true (pass->has_unknown_bases);
    passes_leave (passes, &pass);
    passes_close_all (passes);
    passes_destroy (&passes);
}

/* That it was not there the first time is forgotten when it is. */
static void a_base_that_comes_at_last_is_a_known_one (void **state)
{
    (void) state;
    static const char digest [] = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char password [33], found [OCI_DIGEST_SIZE] = "";
    passes_t *passes = passes_new (NULL);
    door_pass_t given = { .job = 1, .attempt = 1 };
    reference_t image = { .host = "registry.lan", .path = "base" };
    passes_open (passes, &given, password);
    pass_t *pass = passes_find (passes, 1, 1);
    pass_note_base (pass, &image, "1", "", false);
    assert_true (pass->bases [0].is_refused);
    assert_false (pass_find_base (pass, &image, "1", found));
    pass_note_base (pass, &image, "1", digest, true);
    assert_int_equal (pass->base_count, 1);
    assert_false (pass->bases [0].is_refused);
    assert_true (pass_find_base (pass, &image, "1", found));
    assert_string_equal (found, digest);
    passes_leave (passes, &pass);
    passes_close_all (passes);
    passes_destroy (&passes);
}

static int set_up (void **state)
{
    static const char *plain [7];
    static const char *const bases [] = { "registry.lan/base/*", "127.0.0.1:*/shared", NULL };
    const door_limits_t limits = { bases, QUOTA };
    (void) state;
    err_t err;
    if (!mkdtemp (registry_folder))
        return -1;
    start_registry ();
    make_manifests ();
    fake = start_fake (on_fake, fake_host);
    elsewhere = start_fake (on_elsewhere, elsewhere_host);
    plain [0] = fake_host;
    plain [1] = elsewhere_host;
    plain [2] = "127.0.0.1:1";
    plain [3] = "10.11.12.13";
    plain [4] = silent_host;
    plain [5] = registry_host [0] ? registry_host : NULL;
    settings.plain_http_hosts = plain;
    silent = start_silent (silent_host);
    return fake && elsewhere && door_new (&door, 0, &settings, &limits, &err) == 0 ? 0 : -1;
}

static int tear_down (void **state)
{
    (void) state;
    err_t err;
    door_destroy (&door);
    MHD_stop_daemon (fake);
    MHD_stop_daemon (elsewhere);
    close (silent);
    if (registry_process > 0) {
        kill (registry_process, SIGTERM);
        waitpid (registry_process, NULL, 0);
    }
    return file_remove_tree (registry_folder, &err);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (a_push_by_tag_leaves_no_tag_and_its_digest_is_known),
        cmocka_unit_test (a_wrong_password_is_refused_with_a_challenge),
        cmocka_unit_test (an_answer_that_breaks_off_is_not_the_users_fault),
        cmocka_unit_test (strangers_leave_room_for_builders),
        cmocka_unit_test (another_repository_cannot_be_written),
        cmocka_unit_test (another_image_cannot_be_read),
        cmocka_unit_test (a_layer_that_cannot_be_looked_for_is_no_failure),
        cmocka_unit_test (an_attempt_has_a_quota),
        cmocka_unit_test (a_manifest_that_is_not_its_digest_is_refused),
        cmocka_unit_test (a_manifest_that_is_too_large_is_refused),
        cmocka_unit_test (a_blob_is_mounted_from_another_repository),
        cmocka_unit_test (an_upload_is_known_to_its_own_attempt_only),
        cmocka_unit_test (a_length_beside_chunks_is_not_passed_on),
        cmocka_unit_test (a_big_blob_flows_in_bounded_memory),
        cmocka_unit_test (a_token_is_asked_of_the_coordinator_once),
        cmocka_unit_test (a_token_is_renewed_while_the_attempt_goes_on),
        cmocka_unit_test (a_token_that_is_refused_is_renewed_at_once),
        cmocka_unit_test (a_renewal_that_fails_says_so),
        cmocka_unit_test (what_everybody_may_read_needs_no_coordinator),
        cmocka_unit_test (what_everybody_may_read_of_its_own_registry_too),
        cmocka_unit_test (the_credential_is_shown_where_it_is_asked_for),
        cmocka_unit_test (a_redirect_is_followed_without_the_credential),
        cmocka_unit_test (nobody_is_sent_to_an_address_inside),
        cmocka_unit_test (an_upload_goes_where_the_registry_says_without_the_credential),
        cmocka_unit_test (what_may_pass_is_tried_again),
        cmocka_unit_test (a_broken_registry_is_the_farms_fault_in_its_own_words),
        cmocka_unit_test (a_manifest_that_was_cut_on_the_way_is_the_farms_fault),
        cmocka_unit_test (a_push_that_fails_at_odd_answers_is_the_registrys_fault),
        cmocka_unit_test (a_registry_that_is_down_is_named),
        cmocka_unit_test (a_registry_that_hangs_is_given_up_soon),
        cmocka_unit_test (a_registry_without_tls_is_a_final_error),
        cmocka_unit_test (accept_goes_on),
        cmocka_unit_test (a_base_with_too_long_a_name_is_an_unknown_one),
        cmocka_unit_test (a_base_that_was_not_given_is_an_unknown_one),
        cmocka_unit_test (a_base_that_comes_at_last_is_a_known_one),
        cmocka_unit_test (a_base_is_asked_for_by_its_digest),
        cmocka_unit_test (what_a_tag_means_is_asked_of_the_coordinator),
        cmocka_unit_test (other_bytes_than_the_digest_are_not_let_through),
        cmocka_unit_test (a_tag_means_the_bytes_that_came),
        cmocka_unit_test (a_large_manifest_is_let_through_byte_for_byte),
    };
    signal (SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests (tests, set_up, tear_down);
}
