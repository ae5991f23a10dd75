/* room_waiters.c - requests whose answers would be too much beside what is on the way already (common/backlog.h): they wait until their
 * senders, or others, have read. A request is small, its answer is not. */
#include "common/backlog.h"
#include "common/clock.h"
#include "common/log.h"
#include "coordinator/depot_answers.h"

enum { LOOK_MS = 10, REQUESTS_MAX = 8192, BYTES_MAX = 8 * 1024 * 1024 };

static size_t size_of (const request_t *request)
{
    size_t size;
    msg_body (request->message, &size);
    return size;
}

/* A worker that has waited for long asks once more for the same. */
static bool is_held (depot_service_t *self, const request_t *request)
{
    for (const request_t *other = zlistx_first (self->crowded); other; other = zlistx_next (self->crowded))
        if (other->fd == request->fd && streq (other->key, request->key) && msg_int (other->message, "seq") == msg_int (request->message, "seq"))
            return true;
    return false;
}

bool room_is_there (const request_t *request)
{
    return backlog_has_room (request->fd, request->key);
}

void room_wait (depot_service_t *self, request_t **request_p)
{
    if (is_held (self, *request_p))
        return;
    size_t size = size_of (*request_p);
    if (zlistx_size (self->crowded) >= REQUESTS_MAX || self->crowded_bytes + size > BYTES_MAX) {
        log_debug ("depot", "%.16s: a request is left out, for too many wait", (*request_p)->key);
        return;
    }
    self->crowded_bytes += size;
    zlistx_add_end (self->crowded, take (request_p));
}

static void remove_current (depot_service_t *self, const request_t *request)
{
    self->crowded_bytes -= size_of (request);
    zlistx_delete (self->crowded, zlistx_cursor (self->crowded));
}

void room_drop_key (depot_service_t *self, const char *key)
{
    for (request_t *request = zlistx_first (self->crowded); request; request = zlistx_next (self->crowded))
        if (streq (request->key, key))
            remove_current (self, request);
}

int room_look (depot_service_t *self, room_answer_fn *answer)
{
    int64_t now_ms = clock_boot_ms ();
    if (zlistx_size (self->crowded) == 0)
        return -1;
    if (now_ms < self->crowded_at_ms)
        return (int) (self->crowded_at_ms - now_ms);
    self->crowded_at_ms = now_ms + LOOK_MS;
    for (request_t *request = zlistx_first (self->crowded); request; request = zlistx_next (self->crowded))
        if (room_is_there (request)) {
            self->crowded_bytes -= size_of (request);
            request = zlistx_detach_cur (self->crowded);
            answer (self, &request);
        }
    return LOOK_MS;
}
