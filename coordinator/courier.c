/* courier.c - see courier.h. */
#include "coordinator/courier.h"

#include "common/clock.h"
#include "common/http.h"

enum { SLICE_MS = 1000 };

typedef struct {
    zsock_t *pipe;
    const letter_settings_t *settings;
    CURLM *multi;
    zlistx_t *letters;              /* of letter_t */
    bool is_over;
} courier_t;

static void say (courier_t *self, int64_t id, const outcome_t *outcome)
{
    AUTO_JSON json_t *header = json_pack ("{s:I, s:b, s:b, s:s%, s:I}", "id", (json_int_t) id, "ok", outcome->is_ok, "final", outcome->is_final, "text", outcome->text,
                                          strlen (outcome->text), "retry_after_s", (json_int_t) outcome->retry_after_s);
    if (!header)                    /* what it said is no UTF-8 */
        header = json_pack ("{s:I, s:b, s:b, s:s}", "id", (json_int_t) id, "ok", outcome->is_ok, "final", outcome->is_final, "text", "it does not say why");
    AUTO_FREE char *text = json_dumps (header, JSON_COMPACT);
    zstr_sendx (self->pipe, "DELIVERED", text, NULL);
}

static void begin (courier_t *self, const char *text)
{
    outcome_t outcome = { .is_ok = false };
    json_t *task = json_loads (text, 0, NULL);
    int64_t id = json_integer_value (json_object_get (task, "id"));
    letter_t *letter = letter_new (self->settings, task, clock_wall_ms (), &outcome);
    if (!letter) {
        say (self, id, &outcome);
        return;
    }
    zlistx_add_end (self->letters, letter);
    curl_multi_add_handle (self->multi, letter->easy);
}

static void take_commands (courier_t *self)
{
    while (!self->is_over && zsock_events (self->pipe) & ZMQ_POLLIN) {
        char *verb = NULL, *text = NULL;
        int count = zstr_recvx (self->pipe, &verb, &text, NULL);
        if (count == 2 && streq (verb, "DELIVER"))
            begin (self, text);
        else
            self->is_over = count < 0 || streq (verb, "$TERM");
        zstr_free (&verb);
        zstr_free (&text);
    }
}

static void end (courier_t *self, letter_t *letter, CURLcode code)
{
    outcome_t outcome;
    curl_multi_remove_handle (self->multi, letter->easy);
    letter_end (letter, code, &outcome);
    say (self, json_integer_value (json_object_get (letter->task, "id")), &outcome);
    zlistx_delete (self->letters, zlistx_find (self->letters, letter));
}

static void take_ends (courier_t *self)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read (self->multi, &left)); ) {
        letter_t *letter = NULL;
        if (message->msg == CURLMSG_DONE && curl_easy_getinfo (message->easy_handle, CURLINFO_PRIVATE, (char **) &letter) == CURLE_OK)
            end (self, letter, message->data.result);
    }
}

static void free_letter (void **item)
{
    letter_destroy ((letter_t **) item);
}

/* The pipe's descriptor tells of changes only, so the pipe is looked at first each time. */
void courier_actor (zsock_t *pipe, void *settings)
{
    courier_t self = { .pipe = pipe, .settings = settings, .letters = zlistx_new () };
    http_init ();
    self.multi = curl_multi_init ();
    zlistx_set_destructor (self.letters, free_letter);
    zsock_signal (pipe, 0);
    struct curl_waitfd wake = { .fd = zsock_fd (pipe), .events = CURL_WAIT_POLLIN };
    for (take_commands (&self); !self.is_over; take_commands (&self)) {
        int running;
        curl_multi_perform (self.multi, &running);
        take_ends (&self);
        if (!(zsock_events (pipe) & ZMQ_POLLIN))
            curl_multi_poll (self.multi, &wake, 1, SLICE_MS, NULL);
    }
    for (letter_t *letter = zlistx_first (self.letters); letter; letter = zlistx_next (self.letters))
        curl_multi_remove_handle (self.multi, letter->easy);
    zlistx_destroy (&self.letters);
    curl_multi_cleanup (self.multi);
}
