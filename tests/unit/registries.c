/* registries.c - see registries.h. */
#include "registries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/http.h"
#include "common/url.h"

enum { PATIENCE_MS = 20000, LOG_MAX = 16 * 1024 * 1024 };

static void write_file (const server_t *self, const char *name, const char *text)
{
    AUTO_FREE char *path = file_join (self->folder, name);
    err_t err;
    if (file_write (path, text, strlen (text), 0600, &err) < 0)
        fail_msg ("%s", err.text);
}

static void make_folder (server_t *self)
{
    memset (self, 0, sizeof *self);
    self->input = self->output = -1;
    strcpy (self->folder, "/tmp/test-registry.XXXXXX");
    assert_non_null (mkdtemp (self->folder));
}

/* Standard input and output of the child are pipes, its standard error goes where its output does if is_error. */
static void start (server_t *self, char *const argv [], bool is_error)
{
    int to [2], from [2];
    assert_int_equal (pipe2 (to, O_CLOEXEC), 0);
    assert_int_equal (pipe2 (from, O_CLOEXEC), 0);
    self->pid = fork ();
    if (self->pid == 0) {
        signal (SIGPIPE, SIG_DFL);
        dup2 (to [0], 0);
        dup2 (from [1], 1);
        if (is_error)
            dup2 (from [1], 2);
        execvp (argv [0], argv);
        _exit (127);
    }
    close (to [0]);
    close (from [1]);
    self->input = to [1];
    self->output = from [0];
}

/* Read what it says until `mark` and a number behind it. */
static int read_port (const server_t *self, const char *mark)
{
    char text [32768] = "";
    size_t used = 0;
    for (;;) {
        struct pollfd polled = { self->output, POLLIN, 0 };
        if (poll (&polled, 1, PATIENCE_MS) != 1 || used >= sizeof text - 1)
            return -1;
        ssize_t size = read (self->output, text + used, sizeof text - 1 - used);
        if (size <= 0)
            return -1;
        used += (size_t) size;
        text [used] = 0;
        const char *found = strstr (text, mark);
        if (found && strpbrk (found + strlen (mark), "\", \n"))
            return atoi (found + strlen (mark));
    }
}

static void set_names (server_t *self, int port)
{
    snprintf (self->host, sizeof self->host, "127.0.0.1:%d", port);
    snprintf (self->name, sizeof self->name, "localhost:%d", port);
    self->plain [0] = self->host;
    self->plain [1] = self->name;
}

void fake_start (server_t *self, const char *script)
{
    fake_start_tls (self, script, NULL);
}

void fake_start_tls (server_t *self, const char *script, const char *pem)
{
    make_folder (self);
    write_file (self, "script.json", script);
    AUTO_FREE char *script_path = file_join (self->folder, "script.json");
    AUTO_FREE char *log = file_join (self->folder, "log");
    char program [] = SOURCE_DIR "/tests/lib/fake_registry.py";
    char python [] = "python3", script_option [] = "--script", log_option [] = "--log", tls_option [] = "--tls";
    char *const argv [] = { python, program, script_option, script_path, log_option, log, pem ? tls_option : NULL, (char *) pem, NULL };
    start (self, argv, false);
    int port = read_port (self, "");
    if (port <= 0)
        fail_msg ("%s did not start; its folder is %s", program, self->folder);
    set_names (self, port);
}

bool real_start_as (server_t *self, const char *more, const char *more_http)
{
    make_folder (self);
    AUTO_FREE char *settings = mem_printf ("version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %s/data}}\n"
                                           "http: {addr: \"127.0.0.1:0\"%s}\n%s", self->folder, more_http, more);
    write_file (self, "settings.yml", settings);
    AUTO_FREE char *path = file_join (self->folder, "settings.yml");
    char program [] = "docker-registry", verb [] = "serve";
    char *const argv [] = { program, verb, path, NULL };
    start (self, argv, true);
    int port = read_port (self, "listening on 127.0.0.1:");
    if (port <= 0) {
        server_stop (self);
        return false;
    }
    set_names (self, port);
    fcntl (self->output, F_SETPIPE_SZ, 1024 * 1024);        /* the rest of its log is not read */
    return true;
}

bool real_start (server_t *self)
{
    return real_start_as (self, "", "");
}

bool token_service_start (server_t *self)
{
    make_folder (self);
    char program [] = SOURCE_DIR "/tests/lib/token_service.py", python [] = "python3";
    char *const argv [] = { python, program, self->folder, NULL };
    start (self, argv, false);
    int port = read_port (self, "");
    if (port <= 0) {
        server_stop (self);
        return false;
    }
    set_names (self, port);
    return true;
}

void without_proxies (void)
{
    static const char *const proxies [] = { "http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY" };
    for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++)
        unsetenv (proxies [i]);
}

void server_stop (server_t *self)
{
    if (self->pid > 0) {
        kill (self->pid, SIGKILL);
        waitpid (self->pid, NULL, 0);
    }
    if (self->input >= 0)
        close (self->input);
    if (self->output >= 0)
        close (self->output);
    file_remove_tree (self->folder, NULL);
    self->pid = 0;
    self->input = self->output = -1;
}

int fake_script (const server_t *self, const char *script, err_t *err)
{
    http_t *http = http_new ();
    AUTO_FREE http_answer_t *answer = mem_alloc (sizeof *answer);
    AUTO_FREE char *url = mem_printf ("http://%s/script", self->host);
    http_request_t put = { .method = "PUT", .url = url, .body = script, .body_size = strlen (script), .timeout_ms = PATIENCE_MS };
    int rc = http_open (http, &put, answer, err);
    http_destroy (&http);
    return rc == 0 && answer->status != 200 ? err_set (err, ERR_FARM, "the fake registry takes no such script") : rc;
}

/* -- what the fake one was asked ----------------------------------------------------------------------------------- */

/* field: what an entry must have, NULL for any; host: to whom, NULL for any. */
static int count (const server_t *self, const char *method, const char *path, const char *field, const char *host)
{
    AUTO_BUFFER buffer_t log = { 0 };
    AUTO_FREE char *log_path = file_join (self->folder, "log");
    err_t err;
    int found = 0;
    if (file_read (log_path, LOG_MAX, &log, &err) < 0)
        return 0;
    char *rest = (char *) log.data;
    for (char *line; rest && (line = strsep (&rest, "\n"));) {
        AUTO_JSON json_t *entry = json_loads (line, 0, NULL);
        if (!entry || !strstr (json_string_value (json_object_get (entry, "path")), path))
            continue;
        if (*method && strcmp (json_string_value (json_object_get (entry, "method")), method) != 0)
            continue;
        const char *named = json_string_value (json_object_get (entry, "host"));
        if (host && (!named || strcmp (named, host) != 0))
            continue;
        const json_t *value = field ? json_object_get (entry, field) : json_true ();
        found += json_is_string (value) || json_is_true (value);
    }
    return found;
}

int fake_requests (const server_t *self, const char *method, const char *path)
{
    return count (self, method, path, NULL, NULL);
}

int fake_authorized (const server_t *self, const char *method, const char *path)
{
    return count (self, method, path, "authorization", NULL);
}

int fake_connections (const server_t *self)
{
    return count (self, "", "", "first", NULL);
}

int fake_requests_to (const server_t *self, const char *host)
{
    return count (self, "", "", NULL, host);
}

int fake_shown_to (const server_t *self, const char *host)
{
    return count (self, "", "", "authorization", host);
}

/* -- clients ------------------------------------------------------------------------------------------------------- */

registry_t *client_of (const server_t *self, const char *auth_file)
{
    registry_settings_t settings = { .plain_http_hosts = self->plain, .auth_file = auth_file, .timeout_ms = 5000,
                                     .certs_folder = self->folder };
    return registry_new (&settings);
}

reference_t reference_of (const char *host, const char *rest)
{
    AUTO_FREE char *text = mem_printf ("%s/%s", host, rest);
    reference_t reference;
    err_t err;
    if (reference_parse (&reference, text, &err) < 0)
        fail_msg ("%s", err.text);
    return reference;
}

static int request (http_t *http, http_request_t what, const char *authorization, http_answer_t *answer)
{
    AUTO_FREE char *header = authorization ? mem_printf ("Authorization: %s", authorization) : NULL;
    const char *const headers [] = { "Content-Type: application/octet-stream", header, NULL };
    err_t err = { 0 };
    what.headers = headers;
    what.timeout_ms = PATIENCE_MS;
    if (http_open (http, &what, answer, &err) < 0)
        fail_msg ("%s", err.text);
    return answer->status;
}

void push_blob (const server_t *self, const char *path, const char *authorization, const void *data, size_t size,
                char digest [OCI_DIGEST_SIZE])
{
    http_t *http = http_new ();
    http_answer_t *answer = mem_alloc (sizeof *answer);
    AUTO_FREE char *start = mem_printf ("http://%s/v2/%s/blobs/uploads/", self->host, path);
    AUTO_BUFFER buffer_t url = { 0 };
    err_t err;
    oci_digest_of (data, size, digest);
    assert_int_equal (request (http, (http_request_t) { .method = "POST", .url = start }, authorization, answer), 202);
    AUTO_FREE char *upload = url_resolve (start, answer->location, &err);
    assert_non_null (upload);
    buffer_text (&url, upload);
    url_add_query (&url, "digest", digest);
    http_request_t put = { .method = "PUT", .url = (const char *) url.data, .body = data, .body_size = size };
    assert_int_equal (request (http, put, authorization, answer), 201);
    free (answer);
    http_destroy (&http);
}

/* -- of a group of tests, and with others ------------------------------------------------------------------------- */

bool real_begin (server_t *self, registry_t **client)
{
    signal (SIGPIPE, SIG_IGN);
    without_proxies ();
    *client = real_start (self) ? client_of (self, NULL) : NULL;
    return *client != NULL;
}

void real_end (server_t *self, registry_t **client)
{
    if (!*client)
        return;
    registry_destroy (client);
    server_stop (self);
}

bool real_start_with_tokens (server_t *self, server_t *service)
{
    if (!token_service_start (service))
        return false;
    AUTO_FREE char *more = mem_printf ("auth: {token: {realm: \"http://%s/token\", service: farm-test, issuer: tester, rootcertbundle: "
                                       "%s/token.crt}}\n", service->host, service->folder);
    assert_true (real_start_as (self, more, ""));
    return true;
}
