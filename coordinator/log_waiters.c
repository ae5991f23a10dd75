/* log_waiters.c - read-log: answered at once when there is something to say, else kept until bytes come, the log ends or
 * the time that the reader gave is over. */
#include <string.h>

#include "common/clock.h"
#include "coordinator/depot_answers.h"

enum { PART_MAX = 256 * 1024, WAITERS_MAX = 1024 };

static void send_part (depot_service_t *self, request_t *request, const buffer_t *bytes, bool is_ended)
{
    json_t *header = json_pack ("{s:I, s:I, s:b}", "re", (json_int_t) msg_int (request->message, "seq"), "offset",
                                (json_int_t) msg_int (request->message, "offset"), "is_ended", is_ended);
    msg_t *message = msg_new ("log-part", header, bytes->data, bytes->size);
    msg_send (&message, self->socket, request->peer, NULL);     /* a reader that is gone needs no answer */
}

/* True when it was answered. */
static bool try_answer (depot_service_t *self, request_t *request, bool must)
{
    err_t err = { 0 };
    AUTO_BUFFER buffer_t bytes = { 0 };
    bool is_ended = false;
    const msg_t *message = request->message;
    if (build_logs_read (self->logs, msg_int (message, "job"), msg_int (message, "attempt"), msg_int (message, "offset"),
                         PART_MAX, &bytes, &is_ended, &err) < 0) {
        answer_error (self, request, &err);
        return true;
    }
    if (bytes.size == 0 && !is_ended && !must)
        return false;
    send_part (self, request, &bytes, is_ended);
    return true;
}

void answer_read_log (depot_service_t *self, request_t **request_p)
{
    request_t *request = *request_p;
    int64_t wait_ms = msg_int (request->message, "wait_ms");
    bool must = wait_ms == 0 || zlistx_size (self->waiters) >= WAITERS_MAX;
    if (try_answer (self, request, must))
        return;
    request->deadline_ms = clock_boot_ms () + wait_ms;
    zlistx_add_end (self->waiters, request);
    *request_p = NULL;
}

/* Removal under zlistx: deleting the cursor's item leaves the cursor so that next goes on behind it. */
static void remove_current (depot_service_t *self)
{
    zlistx_delete (self->waiters, zlistx_cursor (self->waiters));
}

void waiters_wake (depot_service_t *self, int64_t job, int64_t attempt)
{
    for (request_t *request = zlistx_first (self->waiters); request; request = zlistx_next (self->waiters))
        if (msg_int (request->message, "job") == job && msg_int (request->message, "attempt") == attempt
        &&  try_answer (self, request, false))
            remove_current (self);
}

void waiters_drop_key (depot_service_t *self, const char *key)
{
    for (request_t *request = zlistx_first (self->waiters); request; request = zlistx_next (self->waiters))
        if (streq (request->key, key))
            remove_current (self);
}

int waiters_expire (depot_service_t *self)
{
    int64_t now = clock_boot_ms (), next = INT64_MAX;
    for (request_t *request = zlistx_first (self->waiters); request; request = zlistx_next (self->waiters))
        if (request->deadline_ms <= now) {
            try_answer (self, request, true);
            remove_current (self);
        } else if (request->deadline_ms < next)
            next = request->deadline_ms;
    return next == INT64_MAX ? -1 : (int) (next - now);
}
