/* log_waiters.c - read-log: first whose it is, which the gateway knows; then answered at once when there is something to say, else kept until bytes come, the log ends or
 * the time that the reader gave is over. */
#include <string.h>

#include "common/clock.h"
#include "coordinator/depot_answers.h"
#include "coordinator/rights.h"

enum {
    PART_MAX = 256 * 1024, ASKING_MS = 5000, OWNERS_MAX = 65536,
    WAITERS_MAX = 1024,
    OF_KEY_MAX = 128            /* of them: all the connections that a key may have (connections/per-key), each with a build for four platforms */
};

static void send_part (depot_service_t *self, request_t *request, const buffer_t *bytes, bool is_ended)
{
    json_t *header = json_pack ("{s:I, s:I, s:b}", "re", (json_int_t) msg_int (request->message, "seq"), "offset",
                                (json_int_t) msg_int (request->message, "offset"), "is_ended", is_ended);
    answer (self, request, "log-part", header, bytes);
}

/* True when it was answered. */
static bool try_answer (depot_service_t *self, request_t *request, bool must)
{
    err_t err = { 0 };
    if (request->asking) {
        if (must) {
            err_set (&err, ERR_NETWORK, "whose log that is could not be found out in time: ask again");
            answer_error (self, request, &err);
        }
        return must;
    }
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

/* -- whose it is -------------------------------------------------------------------------------------------------- */

/* 1 it may be read; 0 the gateway was asked, which takes a place among those who wait; -1 no. */
static int check_owner (depot_service_t *self, request_t *request, bool is_full, err_t *err)
{
    int64_t job = msg_int (request->message, "job");
    if (rights_sees_all (request->speaker.role))
        return 1;
    ptrdiff_t owner = id_map_find (&self->owners, job);
    if (owner == request->speaker.id)
        return 1;
    if (owner >= 0)
        return err_set (err, ERR_DENIED, "read-log: job %lld is of somebody else's build", (long long) job);
    if (is_full)
        return err_set (err, ERR_FULL, "read-log: too many wait for logs: ask again later");
    request->asking = ++self->asked;
    AUTO_FREE char *text = mem_printf ("%lld", (long long) job), *question = mem_printf ("%lld", (long long) request->asking);
    zstr_sendx (self->pipe, "OWNER", text, question, NULL);
    return 0;
}

static void keep (depot_service_t *self, request_t **request, int64_t wait_ms)
{
    (*request)->deadline_ms = clock_boot_ms () + wait_ms;
    zlistx_add_end (self->waiters, take (request));
}

/* Each key has its share of those who wait, so that nobody keeps others from asking. They are few enough to be counted. */
static bool is_full_for (depot_service_t *self, const char *key)
{
    size_t count = 0;
    for (request_t *request = zlistx_first (self->waiters); request; request = zlistx_next (self->waiters))
        count += streq (request->key, key);
    return count >= OF_KEY_MAX || zlistx_size (self->waiters) >= WAITERS_MAX;
}

void answer_read_log (depot_service_t *self, request_t **request_p)
{
    err_t err = { 0 };
    request_t *request = *request_p;
    int64_t wait_ms = msg_int (request->message, "wait_ms");
    bool is_full = is_full_for (self, request->key);
    int rc = check_owner (self, request, is_full, &err);
    if (rc < 0)
        answer_error (self, request, &err);
    else if (rc == 0)
        keep (self, request_p, ASKING_MS);
    else if (!try_answer (self, request, wait_ms == 0 || is_full))
        keep (self, request_p, wait_ms);
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

/* True when it was answered. */
static bool go_on (depot_service_t *self, request_t *request)
{
    err_t err = { 0 };
    int64_t wait_ms = msg_int (request->message, "wait_ms");
    request->asking = 0;
    if (check_owner (self, request, false, &err) < 0) {
        answer_error (self, request, &err);
        return true;
    }
    request->deadline_ms = clock_boot_ms () + wait_ms;
    return try_answer (self, request, wait_ms == 0);
}

/* It may be there a moment later, and was asked for again meanwhile: this answers whoever asked that question, and is not kept. */
static void refuse_absent (depot_service_t *self, int64_t job, int64_t question)
{
    err_t err;
    err_set (&err, ERR_DENIED, "read-log: there is no job %lld", (long long) job);
    for (request_t *request = zlistx_first (self->waiters); request; request = zlistx_next (self->waiters))
        if (request->asking && request->asking == question) {
            answer_error (self, request, &err);
            remove_current (self);
        }
}

void waiters_note_owner (depot_service_t *self, int64_t job, int64_t owner, int64_t question)
{
    if (owner == 0) {
        refuse_absent (self, job, question);
        return;
    }
    if (self->owners.count >= OWNERS_MAX)
        id_map_clear (&self->owners);
    id_map_set (&self->owners, job, (size_t) owner);
    for (request_t *request = zlistx_first (self->waiters); request; request = zlistx_next (self->waiters))
        if (request->asking && msg_int (request->message, "job") == job && go_on (self, request))
            remove_current (self);
}

void waiters_note_speaker (depot_service_t *self, const char *key, const speaker_t *speaker)
{
    for (request_t *request = zlistx_first (self->waiters); request; request = zlistx_next (self->waiters)) {
        if (!streq (request->key, key) || streq (request->speaker.role, speaker->role))
            continue;
        request->speaker = *speaker;
        if (go_on (self, request))
            remove_current (self);
    }
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
