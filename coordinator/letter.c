/* letter.c - see letter.h: what both kinds have in common, and hooks. Mails: letter_mail.c.
 *
 * A hook's receiver is a stranger: it has hook/timeout-ms for all of its answer, of which 64 KiB are taken at most; redirects are not followed;
 * and it does not lead to an address inside, whatever its name means when the connection is made (common/inside.h). */
#include "coordinator/letter.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/http.h"
#include "common/url.h"
#include "coordinator/hook_secret.h"
#include "coordinator/letter_private.h"
#include "coordinator/news_log.h"

enum { RECEIVED_MAX = 64 * 1024, RETRY_AFTER_MAX_S = 3600 };

const char *letter_text (const json_t *object, const char *field)
{
    const char *text = json_string_value (json_object_get (object, field));
    return text ? text : "";
}

void letter_name_farm (char out [256])
{
    out [0] = 0;
    if (gethostname (out, 255) < 0 || !*out)
        snprintf (out, 256, "archfarm");
    out [255] = 0;
}

void letter_log_tail (const letter_t *self, buffer_t *out)
{
    const json_t *facts = json_object_get (self->task, "facts");
    news_log_tail (self->settings->logs_folder, json_integer_value (json_object_get (facts, "job")), json_integer_value (json_object_get (facts, "attempt")), out);
}

/* -- a hook ----------------------------------------------------------------------------------------------------- */

static char *document_of (const letter_t *self)
{
    char farm [256];
    const json_t *facts = json_object_get (self->task, "facts");
    AUTO_BUFFER buffer_t log = { 0 };
    AUTO_JSON json_t *document = json_deep_copy (facts);
    letter_name_farm (farm);
    letter_log_tail (self, &log);
    AUTO_JSON json_t *head = json_pack ("{s:O, s:O, s:O, s:O, s:O, s:s, s:s}", "id", json_object_get (self->task, "uid"), "thread", json_object_get (self->task, "thread"),
                                        "event", json_object_get (self->task, "event"), "name", json_object_get (self->task, "name"), "at_ms",
                                        json_object_get (self->task, "at_ms"), "farm", farm, "log", log.size ? (const char *) log.data : "");
    json_object_update (document, head);
    json_object_del (document, "job");
    return json_dumps (document, JSON_COMPACT);
}

void letter_add_header (letter_t *self, const char *name, const char *value)
{
    AUTO_FREE char *line = mem_printf ("%s: %s", name, value);
    self->headers = curl_slist_append (self->headers, line);
}

static void sign (letter_t *self, int64_t now_ms)
{
    const char *uid = letter_text (self->task, "uid");
    AUTO_FREE char *seconds = mem_printf ("%lld", (long long) now_ms / 1000);
    AUTO_FREE char *signature = hook_sign (self->settings->key, letter_text (self->task, "name"), letter_text (self->task, "salt"), uid, seconds,
                                           self->body.data, self->body.size);
    letter_add_header (self, "webhook-id", uid);
    letter_add_header (self, "webhook-timestamp", seconds);
    letter_add_header (self, "webhook-signature", signature);
}

static size_t on_received (char *data, size_t unit, size_t count, void *argument)
{
    letter_t *self = argument;
    (void) data;
    self->received_bytes += unit * count;
    return self->received_bytes > RECEIVED_MAX ? 0 : unit * count;
}

static void set_request (letter_t *self, const char *url)
{
    const http_certs_t certs = { .ca_file = (char *) self->settings->hook_ca_file };
    http_prepare (self->easy, url, &certs, self->settings->hook_timeout_ms);
    curl_easy_setopt (self->easy, CURLOPT_TIMEOUT_MS, (long) self->settings->hook_timeout_ms);
    curl_easy_setopt (self->easy, CURLOPT_POST, 1L);
    curl_easy_setopt (self->easy, CURLOPT_POSTFIELDS, self->body.data);
    curl_easy_setopt (self->easy, CURLOPT_POSTFIELDSIZE, (long) self->body.size);
    curl_easy_setopt (self->easy, CURLOPT_HTTPHEADER, self->headers);
    curl_easy_setopt (self->easy, CURLOPT_HEADERFUNCTION, on_received);
    curl_easy_setopt (self->easy, CURLOPT_HEADERDATA, self);
    curl_easy_setopt (self->easy, CURLOPT_WRITEFUNCTION, on_received);
    curl_easy_setopt (self->easy, CURLOPT_WRITEDATA, self);
    if (self->is_guarded)
        guard_set (&self->guard, self->easy, url, PLACE_OUTSIDE);
}

static int begin_hook (letter_t *self, int64_t now_ms, outcome_t *outcome)
{
    origin_t origin;
    const char *url = letter_text (self->task, "address");
    if (url_origin (url, &origin, NULL) < 0 || !origin_is_allowed (&origin, self->settings->hook_plain_http)) {
        *outcome = (outcome_t) { .is_final = true, .text = "it may not be called (any more): it has no TLS, and is not listed under hook/plain-http" };
        return -1;
    }
    http_name_host (self->where, url);
    self->is_guarded = !origin_is_listed (&origin, self->settings->hook_inside);
    AUTO_FREE char *document = document_of (self);
    buffer_text (&self->body, document);
    self->headers = curl_slist_append (NULL, "Content-Type: application/json");
    self->headers = curl_slist_append (self->headers, "Expect:");
    sign (self, now_ms);
    set_request (self, url);
    return 0;
}

static void end_hook (letter_t *self, CURLcode code, outcome_t *out)
{
    long status = 0;
    curl_off_t after = 0;
    char *location = NULL;
    curl_easy_getinfo (self->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo (self->easy, CURLINFO_REDIRECT_URL, &location);
    if (curl_easy_getinfo (self->easy, CURLINFO_RETRY_AFTER, &after) == CURLE_OK && after > 0)
        out->retry_after_s = after < RETRY_AFTER_MAX_S ? (int64_t) after : RETRY_AFTER_MAX_S;
    if (self->is_guarded && self->guard.refused [0]) {
        out->is_final = true;
        snprintf (out->text, sizeof out->text, "%s: its address %s lies inside (loopback, link-local or private): an admin can list it under hook/inside",
                  self->where, self->guard.refused);
    } else if (status >= 200 && status < 300) {
        out->is_ok = true;                  /* whatever becomes of the rest of its answer */
        snprintf (out->text, sizeof out->text, "%s: %ld", self->where, status);
    } else if (status >= 300 && status < 400)
        snprintf (out->text, sizeof out->text, "%s: %ld, a redirect, which is not followed%s", self->where, status,
                  location ? ": give the address that it leads to" : "");
    else if (status >= 200) {
        out->is_final = status == 410;
        snprintf (out->text, sizeof out->text, "%s: %ld from it", self->where, status);
    } else
        snprintf (out->text, sizeof out->text, "%s: %.256s", self->where, self->error [0] ? self->error : curl_easy_strerror (code));
}

/* -- both ------------------------------------------------------------------------------------------------------- */

letter_t *letter_new (const letter_settings_t *settings, json_t *task, int64_t now_ms, outcome_t *outcome)
{
    AUTO (letter) letter_t *self = mem_alloc (sizeof *self);
    self->settings = settings;
    self->task = task;
    self->is_mail = strcmp (letter_text (task, "kind"), "mail") == 0;
    http_init ();
    self->easy = curl_easy_init ();
    if (!self->easy) {
        *outcome = (outcome_t) { .text = "libcurl has no handle for it" };
        return NULL;
    }
    curl_easy_setopt (self->easy, CURLOPT_ERRORBUFFER, self->error);
    curl_easy_setopt (self->easy, CURLOPT_PRIVATE, self);
    curl_easy_setopt (self->easy, CURLOPT_FORBID_REUSE, 1L);       /* the next is far away: the other end would have hung up */
    if ((self->is_mail ? letter_begin_mail (self, outcome) : begin_hook (self, now_ms, outcome)) < 0)
        return NULL;
    return take (&self);
}

void letter_destroy (letter_t **self_p)
{
    letter_t *self = *self_p;
    if (!self)
        return;
    curl_easy_cleanup (self->easy);
    curl_mime_free (self->mime);
    curl_slist_free_all (self->headers);
    curl_slist_free_all (self->to);
    buffer_free (&self->body);
    json_decref (self->task);
    free (self);
    *self_p = NULL;
}

void letter_end (letter_t *self, CURLcode code, outcome_t *out)
{
    *out = (outcome_t) { .is_ok = false };
    if (self->is_mail)
        letter_end_mail (self, code, out);
    else
        end_hook (self, code, out);
}
