/* door_transfer.c - see door_transfer.h. libcurl's callbacks never block: a body to send or room for a body to receive that
 * is not there yet pauses that direction, and the thread lets it go on when it is.
 *
 * Time counts only while this thread waits for the registry, not while the builder thinks. */
#include "worker/door_transfer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"

enum { BODY_ROOM = 256 * 1024, RECEIVE_SIZE = 64 * 1024, WAIT_MS = 200, CONNECT_MS = 10000 };

struct transfer {
    CURL *easy;
    CURLM *multi;
    struct curl_slist *headers;
    int timeout_ms;
    atomic_bool *is_stopped;
    int64_t progress_ms;
    char error [CURL_ERROR_SIZE];
    guard_t guard;

    const char *to_send;
    size_t to_send_size;
    bool is_body_complete, is_send_paused;

    answer_t answer;
    bool has_answer;                /* its headers */
    buffer_t body;                  /* received, not read yet, from body_at on */
    size_t body_at;
    bool is_receive_paused;

    bool is_done;
    CURLcode result;
};

static void copy_value (char *out, size_t size, const char *value, size_t value_size)
{
    if (value_size >= size)
        value_size = 0;             /* too long to be true: as if it were not there */
    memcpy (out, value, value_size);
    out [value_size] = 0;
}

/* There may be several, a header each. */
static void add_challenge (answer_t *answer, const char *value, size_t value_size)
{
    size_t used = strlen (answer->challenge);
    if (used + value_size + 3 <= sizeof answer->challenge)
        sprintf (answer->challenge + used, "%s%.*s", used ? ", " : "", (int) value_size, value);
}

static void on_header_line (answer_t *answer, const char *name, size_t name_size, const char *value, size_t value_size)
{
    const struct {
        const char *name;
        char *out;
        size_t size;
    } texts [] = {
        { "content-type", answer->content_type, sizeof answer->content_type },
        { "docker-content-digest", answer->digest, sizeof answer->digest },
        { "range", answer->range, sizeof answer->range },
        { "content-range", answer->content_range, sizeof answer->content_range },
        { "etag", answer->etag, sizeof answer->etag },
        { "location", answer->location, sizeof answer->location },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strlen (texts [i].name) == name_size && strncasecmp (name, texts [i].name, name_size) == 0)
            copy_value (texts [i].out, texts [i].size, value, value_size);
    if (name_size == 16 && strncasecmp (name, "www-authenticate", 16) == 0)
        add_challenge (answer, value, value_size);
    char number [24];
    copy_value (number, sizeof number, value, value_size);
    bool is_number = number [0] && number [strspn (number, "0123456789")] == 0 && strlen (number) < 19;
    if (name_size == 14 && strncasecmp (name, "content-length", 14) == 0 && is_number)
        answer->content_length = strtoll (number, NULL, 10);
    if (name_size == 11 && strncasecmp (name, "retry-after", 11) == 0 && is_number)
        answer->retry_after_s = strlen (number) < 6 ? atoi (number) : 99999;
}

static size_t on_header (char *data, size_t unit, size_t count, void *argument)
{
    transfer_t *self = argument;
    size_t size = unit * count, end = size;
    self->progress_ms = clock_boot_ms ();
    while (end > 0 && isspace ((unsigned char) data [end - 1]))
        end--;
    if (end == 0) {
        self->has_answer = self->answer.status >= 200;
        return size;
    }
    if (end > 9 && strncmp (data, "HTTP/", 5) == 0) {       /* a new answer: what came before was "100 Continue" */
        const char *blank = memchr (data, ' ', end);
        memset (&self->answer, 0, sizeof self->answer);
        self->answer.content_length = self->answer.retry_after_s = -1;
        self->answer.status = blank && data + end - blank > 3 ? atoi (blank + 1) : 0;
        return size;
    }
    const char *colon = memchr (data, ':', end);
    if (colon) {
        const char *value = colon + 1;
        while (value < data + end && isspace ((unsigned char) *value))
            value++;
        on_header_line (&self->answer, data, (size_t) (colon - data), value, (size_t) (data + end - value));
    }
    return size;
}

static size_t on_send (char *out, size_t unit, size_t count, void *argument)
{
    transfer_t *self = argument;
    size_t room = unit * count, size = self->to_send_size < room ? self->to_send_size : room;
    if (size == 0) {
        if (self->is_body_complete)
            return 0;
        self->is_send_paused = true;
        return CURL_READFUNC_PAUSE;
    }
    memcpy (out, self->to_send, size);
    self->to_send += size;
    self->to_send_size -= size;
    self->progress_ms = clock_boot_ms ();
    return size;
}

static size_t on_receive (char *data, size_t unit, size_t count, void *argument)
{
    transfer_t *self = argument;
    size_t size = unit * count, waiting = self->body.size - self->body_at;
    self->progress_ms = clock_boot_ms ();
    if (waiting > 0 && waiting + size > BODY_ROOM) {
        self->is_receive_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (self->body_at > 0) {
        memmove (self->body.data, self->body.data + self->body_at, waiting);
        self->body.size = waiting;
        self->body_at = 0;
    }
    buffer_append (&self->body, data, size);
    return size;
}

static void set_method (transfer_t *self, const request_t *request)
{
    curl_easy_setopt (self->easy, CURLOPT_CUSTOMREQUEST, request->method);
    if (request->has_body) {
        curl_easy_setopt (self->easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt (self->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t) request->body_bytes);
        curl_easy_setopt (self->easy, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt (self->easy, CURLOPT_READDATA, self);
    }
    else if (strcmp (request->method, "HEAD") == 0)
        curl_easy_setopt (self->easy, CURLOPT_NOBODY, 1L);
    else if (strcmp (request->method, "POST") == 0 || strcmp (request->method, "PUT") == 0) {
        curl_easy_setopt (self->easy, CURLOPT_POST, 1L);
        curl_easy_setopt (self->easy, CURLOPT_POSTFIELDS, "");
        curl_easy_setopt (self->easy, CURLOPT_POSTFIELDSIZE, 0L);
        curl_easy_setopt (self->easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

static void set_headers (transfer_t *self, const request_t *request)
{
    self->headers = curl_slist_append (NULL, "Expect:");
    for (const char *const *header = request->headers; header && *header; header++)
        self->headers = curl_slist_append (self->headers, *header);
    curl_easy_setopt (self->easy, CURLOPT_HTTPHEADER, self->headers);
    curl_easy_setopt (self->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt (self->easy, CURLOPT_HEADERDATA, self);
    curl_easy_setopt (self->easy, CURLOPT_WRITEFUNCTION, on_receive);
    curl_easy_setopt (self->easy, CURLOPT_WRITEDATA, self);
}

static void set_connection (transfer_t *self, const request_t *request)
{
    http_prepare (self->easy, request->url, request->certs, CONNECT_MS);
    curl_easy_setopt (self->easy, CURLOPT_BUFFERSIZE, (long) RECEIVE_SIZE);
    curl_easy_setopt (self->easy, CURLOPT_UPLOAD_BUFFERSIZE, (long) RECEIVE_SIZE);
    curl_easy_setopt (self->easy, CURLOPT_ERRORBUFFER, self->error);
    if (request->is_guarded)
        guard_set (&self->guard, self->easy, request->url, request->may_reach);
}

transfer_t *transfer_new (CURLM *multi, const request_t *request)
{
    transfer_t *self = mem_alloc (sizeof *self);
    self->multi = multi;
    self->easy = curl_easy_init ();
    self->timeout_ms = request->timeout_ms;
    self->is_stopped = request->is_stopped;
    self->progress_ms = clock_boot_ms ();
    self->is_body_complete = !request->has_body;
    self->answer.content_length = self->answer.retry_after_s = -1;
    if (!self->easy)
        abort ();                   /* out of memory */
    set_connection (self, request);
    set_headers (self, request);
    set_method (self, request);
    curl_multi_add_handle (multi, self->easy);
    return self;
}

void transfer_destroy (transfer_t **self_p)
{
    transfer_t *self = *self_p;
    if (!self)
        return;
    curl_multi_remove_handle (self->multi, self->easy);
    curl_easy_cleanup (self->easy);
    curl_slist_free_all (self->headers);
    buffer_free (&self->body);
    free (self);
    *self_p = NULL;
}

static void fail (transfer_t *self, CURLcode result, const char *text)
{
    self->is_done = true;
    self->result = result;
    strncpy (self->error, text, sizeof self->error - 1);
}

static void collect (transfer_t *self)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read (self->multi, &left));)
        if (message->msg == CURLMSG_DONE && message->easy_handle == self->easy) {
            self->is_done = true;
            self->result = message->data.result;
        }
}

typedef bool (condition_fn) (const transfer_t *self);

static bool is_sent (const transfer_t *self)
{
    return self->to_send_size == 0 || self->has_answer;
}

static bool is_answered (const transfer_t *self)
{
    return self->has_answer;
}

static bool is_readable (const transfer_t *self)
{
    return self->body.size > self->body_at;
}

/* Let curl work until the condition holds or the transfer has ended. */
static void pump (transfer_t *self, condition_fn *condition)
{
    self->progress_ms = clock_boot_ms ();
    while (!self->is_done && !condition (self)) {
        int running;
        if (curl_multi_perform (self->multi, &running) != CURLM_OK)
            fail (self, CURLE_FAILED_INIT, "libcurl refuses to go on");
        collect (self);
        if (self->is_done || condition (self))
            break;
        if (self->is_stopped && atomic_load (self->is_stopped))
            fail (self, CURLE_ABORTED_BY_CALLBACK, "the attempt has ended");
        else if (clock_boot_ms () - self->progress_ms > self->timeout_ms)
            fail (self, CURLE_OPERATION_TIMEDOUT, "no answer");
        else
            curl_multi_poll (self->multi, NULL, 0, WAIT_MS, NULL);
    }
}

/* Both directions may go on: their callbacks pause again where they must. */
static void go_on (transfer_t *self)
{
    if (!self->is_done && (self->is_send_paused || self->is_receive_paused)) {
        self->is_send_paused = self->is_receive_paused = false;
        curl_easy_pause (self->easy, CURLPAUSE_CONT);
    }
}

static int check (const transfer_t *self, err_t *err)
{
    if (!self->is_done || self->result == CURLE_OK)
        return 0;
    const char *text = self->error [0] ? self->error : curl_easy_strerror (self->result), *url = NULL;
    char host [HTTP_HOST_MAX];
    curl_easy_getinfo (self->easy, CURLINFO_EFFECTIVE_URL, &url);
    http_name_host (host, url ? url : "");
    if (guard_error (&self->guard, host, err) < 0)
        return -1;
    if (http_is_without_tls (self->result, text))
        return http_without_tls (host, err);
    return err_set (err, self->result == CURLE_ABORTED_BY_CALLBACK ? ERR_CANCELLED : ERR_REGISTRY, "%s", text);
}

bool transfer_is_early (const transfer_t *self)
{
    return self->has_answer || self->is_done;
}

int transfer_send (transfer_t *self, const void *data, size_t size, err_t *err)
{
    self->to_send = data;
    self->to_send_size = size;
    go_on (self);
    pump (self, is_sent);
    self->to_send_size = 0;
    return self->has_answer ? 0 : check (self, err);
}

int transfer_answer (transfer_t *self, answer_t *answer, err_t *err)
{
    self->is_body_complete = true;
    go_on (self);
    pump (self, is_answered);
    if (!self->has_answer && check (self, err) < 0)
        return -1;
    if (!self->has_answer)
        return err_set (err, ERR_REGISTRY, "the registry closed the connection without an answer");
    self->answer.place = guard_place (self->easy);
    *answer = self->answer;
    return 0;
}

ssize_t transfer_read (transfer_t *self, void *data, size_t size, err_t *err)
{
    if (!is_readable (self))
        go_on (self);
    pump (self, is_readable);
    size_t waiting = self->body.size - self->body_at;
    if (waiting == 0)
        return check (self, err) < 0 ? -1 : 0;
    if (size > waiting)
        size = waiting;
    memcpy (data, self->body.data + self->body_at, size);
    self->body_at += size;
    return (ssize_t) size;
}
