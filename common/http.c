/* http.c - see http.h. One request is driven by libcurl's multi interface in the thread that waits for it: until the headers
 * are there, and then as far as the body is read.
 *
 *     http_open -> drive until headers      http_read -> take what has arrived; else drive until something has
 *     libcurl pauses the connection while 64 KiB lie here unread: bounded memory however long the body is */
#include "common/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/http_private.h"

enum { SLICE_MS = 500, KEPT_MAX = 16 };

http_t *http_new (void)
{
    http_t *self = mem_alloc (sizeof *self);
    http_init ();
    self->multi = curl_multi_init ();
    curl_multi_setopt (self->multi, CURLMOPT_MAXCONNECTS, (long) KEPT_MAX);
    return self;
}

http_t *http_new_beside (http_t *other)
{
    http_t *self = mem_alloc (sizeof *self);
    self->multi = other->multi;
    self->is_guest = true;
    return self;
}

static void drop_request (http_t *self)
{
    if (self->easy) {
        curl_multi_remove_handle (self->multi, self->easy);
        curl_easy_cleanup (self->easy);
    }
    curl_slist_free_all (self->headers);
    self->easy = NULL;
    self->headers = NULL;
    buffer_clear (&self->ahead);
    self->ahead_at = 0;
}

void http_destroy (http_t **self_p)
{
    http_t *self = *self_p;
    if (!self)
        return;
    drop_request (self);
    if (!self->is_guest)
        curl_multi_cleanup (self->multi);
    buffer_free (&self->ahead);
    free (self);
    *self_p = NULL;
}

/* -- how it ended -------------------------------------------------------------------------------------------------- */

const char *http_refused (const http_t *self)
{
    return self->guard.refused;
}

/* What is wrong with TLS depends on which end is misconfigured; say both. */
static int tls_error (const http_t *self, err_code code, const char *why, err_t *err)
{
    return err_set (err, code, "%s: no secure connection: %s; if its certificate is of an authority of your own, put "
                    "that into certs.d/%s/ca.crt; if it speaks plain http, list %s under registry/plain-http in the settings "
                    "of %s", self->host, why, self->host, self->host, program_invocation_short_name);
}

/* TLS 1.3 says so only when the first answer is read, so it comes as a broken connection. */
static bool wants_certificate (const char *why)
{
    return strstr (why, "alert bad certificate") || strstr (why, "alert certificate required");
}

static int outcome_error (const http_t *self, err_t *err)
{
    const char *why = self->error [0] ? self->error : curl_easy_strerror (self->outcome);
    if (self->flaw)
        return err_set (err, ERR_PROTOCOL, "%s does not answer as a registry does: %s", self->host, self->flaw);
    if (guard_error (&self->guard, self->host, err) < 0)
        return -1;
    if (http_is_without_tls (self->outcome, why))
        return http_without_tls (self->host, err);
    if (wants_certificate (why))
        return err_set (err, ERR_PROTOCOL, "%s wants a certificate of ours, and has got none that it takes: put client.cert and "
                        "client.key into certs.d/%s", self->host, self->host);
    switch (self->outcome) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
            return err_set (err, ERR_NETWORK, "%s: %s; check the name, and this machine's DNS", self->host, why);
        case CURLE_COULDNT_CONNECT:
        case CURLE_OPERATION_TIMEDOUT:
            return err_set (err, ERR_NETWORK, "%s cannot be reached: %s; check that it runs, and host and port", self->host,
                            why);
        case CURLE_SSL_CONNECT_ERROR:
            return tls_error (self, ERR_NETWORK, why, err);
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_ISSUER_ERROR:
            return tls_error (self, ERR_PROTOCOL, why, err);
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_WEIRD_SERVER_REPLY:
        case CURLE_BAD_CONTENT_ENCODING:
            return err_set (err, ERR_PROTOCOL, "%s does not answer as a registry does: %s", self->host, why);
        default:
            return err_set (err, ERR_NETWORK, "%s: the connection failed: %s", self->host, why);
    }
}

/* Of any request that shares these connections. */
static void note_outcomes (CURLM *multi)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read (multi, &left));) {
        http_t *whose = NULL;
        if (message->msg != CURLMSG_DONE || curl_easy_getinfo (message->easy_handle, CURLINFO_PRIVATE, (char **) &whose) != CURLE_OK)
            continue;
        whose->is_done = true;
        whose->outcome = message->data.result;
    }
}

/* -- driving ------------------------------------------------------------------------------------------------------- */

static int check_time (const http_t *self, err_t *err)
{
    int64_t now_ms = clock_boot_ms ();
    if (now_ms - self->progress_ms >= self->request.timeout_ms)
        return err_set (err, ERR_NETWORK, "%s: nothing has come or gone for %d ms; check that it is healthy", self->host,
                        self->request.timeout_ms);
    if (self->until_ms && now_ms >= self->until_ms)
        return err_set (err, ERR_NETWORK, "%s: the answer is not complete after %d ms", self->host, self->request.total_ms);
    return 0;
}

static bool has_unread (const http_t *self)
{
    return self->ahead.size > self->ahead_at;
}

/* Let libcurl work until the headers are there (is_body false), or some of the body, or the end. */
static int drive (http_t *self, bool is_body, err_t *err)
{
    for (;;) {
        int running;
        if (curl_multi_perform (self->multi, &running) != CURLM_OK)
            return err_set (err, ERR_FARM, "%s: libcurl cannot go on", self->host);
        note_outcomes (self->multi);
        if (self->is_done || (is_body ? has_unread (self) : self->has_answer))
            return 0;
        if (check_time (self, err) < 0)
            return -1;
        curl_multi_poll (self->multi, NULL, 0, self->request.timeout_ms < SLICE_MS ? self->request.timeout_ms : SLICE_MS,
                         NULL);
    }
}

void http_begin (http_t *self, const http_request_t *request, http_answer_t *answer)
{
    drop_request (self);
    self->request = *request;
    self->answer = answer;
    self->has_answer = self->is_done = self->is_paused = false;
    self->flaw = NULL;
    self->guard = (guard_t) { .may_reach = request->may_reach };
    self->outcome = CURLE_OK;
    self->header_bytes = self->body_at = 0;
    self->sent = 0;
    self->error [0] = 0;
    self->progress_ms = clock_boot_ms ();
    self->until_ms = request->total_ms > 0 ? self->progress_ms + request->total_ms : 0;
    *answer = (http_answer_t) { .content_length = -1, .retry_after_s = -1 };
    http_name_host (self->host, request->url);
    self->easy = curl_easy_init ();
    http_request_set (self, request);
    curl_easy_setopt (self->easy, CURLOPT_PRIVATE, self);
    curl_multi_add_handle (self->multi, self->easy);
}

/* What libcurl knows only after the last header. */
static void complete_answer (http_t *self)
{
    curl_off_t value = -1;
    if (curl_easy_getinfo (self->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &value) == CURLE_OK)
        self->answer->content_length = value;
    value = 0;
    if (curl_easy_getinfo (self->easy, CURLINFO_RETRY_AFTER, &value) == CURLE_OK && value > 0)
        self->answer->retry_after_s = value < INT32_MAX ? (int) value : INT32_MAX;
    self->answer->place = guard_place (self->easy);
}

int http_wait (http_t *self, err_t *err)
{
    int rc = drive (self, false, err);
    if (rc == 0 && !self->has_answer)
        rc = outcome_error (self, err);
    if (rc == 0)
        complete_answer (self);
    else
        drop_request (self);
    self->answer = NULL;
    return rc;
}

int http_open (http_t *self, const http_request_t *request, http_answer_t *answer, err_t *err)
{
    http_begin (self, request, answer);
    return http_wait (self, err);
}

ssize_t http_read (http_t *self, void *data, size_t size, err_t *err)
{
    if (!has_unread (self)) {
        buffer_clear (&self->ahead);
        self->ahead_at = 0;
        if (self->is_paused) {
            self->is_paused = false;
            self->progress_ms = clock_boot_ms ();       /* it was we who did not read */
            curl_easy_pause (self->easy, CURLPAUSE_CONT);
        }
        if (!has_unread (self) && !self->is_done && drive (self, true, err) < 0)
            return -1;
    }
    size_t left = self->ahead.size - self->ahead_at;
    if (left == 0)
        return self->outcome == CURLE_OK ? 0 : outcome_error (self, err);
    size = size < left ? size : left;
    memcpy (data, self->ahead.data + self->ahead_at, size);
    self->ahead_at += size;
    return (ssize_t) size;
}

int http_read_all (http_t *self, size_t max_bytes, buffer_t *out, err_t *err)
{
    char data [16384];
    size_t total = 0;
    for (ssize_t size; (size = http_read (self, data, sizeof data, err)) != 0; total += (size_t) size) {
        if (size < 0)
            return -1;
        if ((size_t) size > max_bytes - total)
            return err_set (err, ERR_PROTOCOL, "%s answers with more than %zu bytes where a small document belongs",
                            self->host, max_bytes);
        buffer_append (out, data, (size_t) size);
    }
    return 0;
}
