/* fuzz_http.c - a registry's whole answer, behind a line with the method. libcurl reads it from a socket that is connected already.
 *
 * covers: common/http.c common/http_request.c */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/challenge.h"
#include "common/http_private.h"
#include "common/registry_call.h"
#include "fuzz.h"

enum { BODY_MAX = 100000 };

static curl_socket_t open_socket (void *argument, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void) purpose, (void) address;
    return take_fd ((int *) argument);      /* one connection: the next fails */
}

static int is_connected (void *argument, curl_socket_t socket, curlsocktype purpose)
{
    (void) argument, (void) socket, (void) purpose;
    return CURL_SOCKOPT_ALREADY_CONNECTED;
}

static void check_value (const char *value)
{
    MUST (!strpbrk (value, "\r\n"));
}

/* What the registry client does with an answer. */
static void use (const http_answer_t *answer, const char *method, const char *url, const buffer_t *body)
{
    static challenge_t challenge;
    err_t err = { 0 };
    call_t call = { .method = method, .host = "registry.lan", .url = url };
    MUST (answer->status >= 200 && answer->status <= 999 && answer->content_length >= -1 && answer->retry_after_s >= -1);
    check_value (answer->content_type);
    check_value (answer->digest);
    check_value (answer->location);
    check_value (answer->challenge);
    challenge_parse (&challenge, answer->challenge, NULL);
    AUTO_FREE char *location = url_resolve (url, answer->location, NULL);
    MUST (!location || answer->location [0]);
    MUST (call_failed (&call, answer, body, &err) == -1 && (err.code == ERR_REGISTRY || err.code == ERR_REGISTRY_DENIED));
}

static void run (http_t *http, const char *method, int *end)
{
    static http_answer_t answer;
    static const char url [] = "http://127.0.0.1:5000/v2/team/app/manifests/1.4";
    err_t err = { 0 };
    AUTO_BUFFER buffer_t body = { 0 };
    http_request_t request = { .method = method, .url = url, .timeout_ms = 1000, .total_ms = 1000 };
    http_begin (http, &request, &answer);
    curl_easy_setopt (http->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt (http->easy, CURLOPT_OPENSOCKETDATA, end);
    curl_easy_setopt (http->easy, CURLOPT_SOCKOPTFUNCTION, is_connected);
    if (http_wait (http, &err) < 0) {
        MUST (err.code == ERR_NETWORK || err.code == ERR_PROTOCOL || err.code == ERR_REGISTRY_DENIED);
        return;
    }
    if (http_read_all (http, BODY_MAX, &body, &err) < 0)
        MUST (err.code == ERR_NETWORK || err.code == ERR_PROTOCOL);
    MUST (body.size <= BODY_MAX);
    use (&answer, method, url, &body);
}

FUZZ_TARGET (http)
{
    int ends [2];
    fuzz_input_t input = { data, size };
    AUTO_FREE char *method = fuzz_line (&input, NULL);
    MUST (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    if (write (ends [1], input.data, input.size) < 0)
        MUST (input.size > 100000);
    shutdown (ends [1], SHUT_WR);
    http_t *http = http_new ();
    run (http, strcmp (method, "HEAD") == 0 ? "HEAD" : "GET", &ends [0]);
    http_destroy (&http);
    auto_close (&ends [0]);
    close (ends [1]);
}
