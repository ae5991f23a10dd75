/* http_request.c - one request of http.c as libcurl sees it: what it is set to, and what it calls. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/http_private.h"

/* -- the answer's headers ------------------------------------------------------------------------------------------ */

static const char *value_of (const char *line, const char *name)
{
    size_t size = strlen (name);
    if (strncasecmp (line, name, size) != 0 || line [size] != ':')
        return NULL;
    return line + size + 1 + strspn (line + size + 1, " \t");
}

static void keep (http_t *self, char *out, size_t capacity, const char *value, const char *flaw)
{
    if (strlen (value) >= capacity)
        self->flaw = flaw;
    else
        strcpy (out, value);
}

static void keep_challenge (http_t *self, const char *value)
{
    char *out = self->answer->challenge;
    size_t used = strlen (out);
    if (used + strlen (value) + 3 > sizeof self->answer->challenge)
        self->flaw = "its WWW-Authenticate is too long";
    else
        sprintf (out + used, "%s%s", used ? ", " : "", value);
}

static void keep_header (http_t *self, const char *line)
{
    http_answer_t *answer = self->answer;
    const char *value;
    if ((value = value_of (line, "Content-Type"))) {
        AUTO_FREE char *type = mem_strndup (value, strcspn (value, "; \t"));
        keep (self, answer->content_type, sizeof answer->content_type, type, "its Content-Type is too long");
    } else if ((value = value_of (line, "Docker-Content-Digest")))
        keep (self, answer->digest, sizeof answer->digest, value, "its Docker-Content-Digest is too long");
    else if ((value = value_of (line, "Location")))
        keep (self, answer->location, sizeof answer->location, value, "its Location is too long");
    else if ((value = value_of (line, "WWW-Authenticate")))
        keep_challenge (self, value);
}

/* Below 200 (100 Continue) another head follows. */
static void end_headers (http_t *self)
{
    long status = 0;
    curl_easy_getinfo (self->easy, CURLINFO_RESPONSE_CODE, &status);
    self->answer->status = (int) status;
    self->has_answer = status >= 200;
}

/* One line, as libcurl hands it over: without a NUL behind it. */
static size_t on_header (char *data, size_t unit, size_t count, void *argument)
{
    http_t *self = argument;
    size_t size = unit * count;
    self->progress_ms = clock_boot_ms ();
    self->header_bytes += size;
    if (self->header_bytes > HTTP_HEADERS_MAX)
        self->flaw = "its headers are too long";
    if (self->flaw)
        return 0;
    if (self->has_answer)
        return size;                    /* a trailer */
    AUTO_FREE char *line = mem_strndup (data, size);
    line [strcspn (line, "\r\n")] = 0;
    if (strncmp (line, "HTTP/", 5) == 0)
        *self->answer = (http_answer_t) { .content_length = -1, .retry_after_s = -1 };
    else if (*line)
        keep_header (self, line);
    else
        end_headers (self);
    return self->flaw ? 0 : size;
}

/* -- bodies -------------------------------------------------------------------------------------------------------- */

static size_t on_arrival (char *data, size_t unit, size_t count, void *argument)
{
    http_t *self = argument;
    size_t size = unit * count;
    self->progress_ms = clock_boot_ms ();
    if (self->ahead.size - self->ahead_at + size > AHEAD_MAX && self->ahead.size > self->ahead_at) {
        self->is_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    buffer_append (&self->ahead, data, size);
    return size;
}

static size_t on_send (char *out, size_t unit, size_t count, void *argument)
{
    http_t *self = argument;
    size_t size = unit * count;
    if (self->request.read) {
        ssize_t got = self->request.read (out, size, self->request.read_argument);
        self->progress_ms = clock_boot_ms ();
        return got < 0 ? CURL_READFUNC_ABORT : (size_t) got;
    }
    size_t left = self->request.body_size - self->body_at;
    size = size < left ? size : left;
    if (size)
        memcpy (out, (const char *) self->request.body + self->body_at, size);
    self->body_at += size;
    return size;
}

/* libcurl starts a body again when a kept connection turns out to be dead. */
static int on_seek (void *argument, curl_off_t offset, int origin)
{
    http_t *self = argument;
    if (self->request.read || origin != SEEK_SET || offset < 0 || (size_t) offset > self->request.body_size)
        return CURL_SEEKFUNC_CANTSEEK;
    self->body_at = (size_t) offset;
    return CURL_SEEKFUNC_OK;
}

static int on_progress (void *argument, curl_off_t to_receive, curl_off_t received, curl_off_t to_send, curl_off_t sent)
{
    http_t *self = argument;
    (void) to_receive, (void) received, (void) to_send;
    if (sent != self->sent)
        self->progress_ms = clock_boot_ms ();
    self->sent = sent;
    return 0;
}

static void set_body (http_t *self, const http_request_t *request)
{
    curl_off_t size = request->read ? (curl_off_t) request->body_bytes : (curl_off_t) request->body_size;
    if (request->read || request->body) {
        curl_easy_setopt (self->easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt (self->easy, CURLOPT_INFILESIZE_LARGE, size);
        curl_easy_setopt (self->easy, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt (self->easy, CURLOPT_READDATA, self);
        curl_easy_setopt (self->easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt (self->easy, CURLOPT_SEEKDATA, self);
    } else if (strcmp (request->method, "HEAD") == 0)
        curl_easy_setopt (self->easy, CURLOPT_NOBODY, 1L);
    else if (strcmp (request->method, "GET") != 0) {
        curl_easy_setopt (self->easy, CURLOPT_POSTFIELDS, "");
        curl_easy_setopt (self->easy, CURLOPT_POSTFIELDSIZE, 0L);
    }
    curl_easy_setopt (self->easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static void set_callbacks (http_t *self)
{
    curl_easy_setopt (self->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt (self->easy, CURLOPT_HEADERDATA, self);
    curl_easy_setopt (self->easy, CURLOPT_WRITEFUNCTION, on_arrival);
    curl_easy_setopt (self->easy, CURLOPT_WRITEDATA, self);
    curl_easy_setopt (self->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt (self->easy, CURLOPT_XFERINFODATA, self);
    curl_easy_setopt (self->easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt (self->easy, CURLOPT_ERRORBUFFER, self->error);
}

static void set_headers (http_t *self, const http_request_t *request)
{
    self->headers = curl_slist_append (NULL, "Expect:");
    if (!request->body && !request->read)
        self->headers = curl_slist_append (self->headers, "Content-Type:");
    for (const char *const *header = request->headers; header && *header; header++)
        self->headers = curl_slist_append (self->headers, *header);
    curl_easy_setopt (self->easy, CURLOPT_HTTPHEADER, self->headers);
}

void http_request_set (http_t *self, const http_request_t *request)
{
    http_prepare (self->easy, request->url, request->certs, request->timeout_ms);
    set_body (self, request);
    set_headers (self, request);
    set_callbacks (self);
    if (request->is_guarded)
        guard_set (&self->guard, self->easy, request->url, request->may_reach);
}
