/* joblog.c - see joblog.h. This file has the slot's side and the thread's loop; joblog_sender.c what is on the way. */
#include "worker/joblog.h"

#include <czmq.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "common/actor.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "worker/joblog_sender.h"

enum { WAITING_MAX = 256 };     /* lines on the way to the thread, of 16 KiB at most */

struct joblog {
    sender_t *sender;
    zsock_t *actor;
};

/* -- the thread ------------------------------------------------------------------------------------------------- */

typedef struct {
    zsock_t *pipe;
    sender_t *sender;
    int64_t flush_at;           /* boot clock: answer a flush then at the latest; INT64_MAX: nobody waits */
    bool is_over;
} loop_t;

static void end_flush (loop_t *self, const char *answer)
{
    self->flush_at = INT64_MAX;
    zstr_send (self->pipe, answer);
}

/* ["LINE", bytes], ["FLUSH", timeout] or ["$TERM"] */
static void take_command (loop_t *self)
{
    zmsg_t *command = zmsg_recv (self->pipe);
    zframe_t *verb = command ? zmsg_first (command) : NULL;
    zframe_t *value = verb ? zmsg_next (command) : NULL;
    if (verb && value && zframe_streq (verb, "LINE"))
        sender_add (self->sender, zframe_data (value), zframe_size (value));
    else if (verb && value && zframe_streq (verb, "FLUSH")) {
        AUTO_FREE char *text = zframe_strdup (value);
        self->flush_at = clock_boot_ms () + strtoll (text, NULL, 10);
        sender_tell_left_out (self->sender);
    }
    else
        self->is_over = true;
    zmsg_destroy (&command);
}

static void wait_for_work (loop_t *self)
{
    zmq_pollitem_t items [1 + CONNECTION_ITEMS] = { { .socket = zsock_resolve (self->pipe), .events = ZMQ_POLLIN } };
    int count = 1 + sender_poll_items (self->sender, items + 1);
    int64_t due = sender_due_ms (self->sender);
    due = self->flush_at < due ? self->flush_at : due;
    int64_t left = due == INT64_MAX ? -1 : due - clock_boot_ms ();
    zmq_poll (items, count, due == INT64_MAX ? -1 : left < 0 ? 0 : (long) left);
}

/* All lines that are there first, so that a burst leaves in few messages. */
static void joblog_actor (zsock_t *pipe, void *sender)
{
    loop_t self = { .pipe = pipe, .sender = sender, .flush_at = INT64_MAX };
    zsock_signal (pipe, 0);
    while (!self.is_over) {
        wait_for_work (&self);
        for (int i = 0; i < WAITING_MAX && !self.is_over && zsock_events (pipe) & ZMQ_POLLIN; i++)
            take_command (&self);
        sender_work (self.sender);
        if (self.flush_at == INT64_MAX || zsock_events (pipe) & ZMQ_POLLIN)
            continue;
        if (sender_is_done (self.sender))
            end_flush (&self, "FLUSHED");
        else if (clock_boot_ms () >= self.flush_at)
            end_flush (&self, "LATE");
    }
}

/* -- the slot's side -------------------------------------------------------------------------------------------- */

int joblog_new (joblog_t **out, const joblog_settings_t *settings, err_t *err)
{
    AUTO (joblog) joblog_t *self = mem_alloc (sizeof *self);
    if (sender_new (&self->sender, settings, err) < 0 || !(self->actor = actor_new (joblog_actor, self->sender, err)))
        return err_wrap (err, "log of job %lld, attempt %d", (long long) settings->job, settings->attempt);
    *out = take (&self);
    return 0;
}

void joblog_destroy (joblog_t **self_p)
{
    joblog_t *self = *self_p;
    if (!self)
        return;
    actor_destroy (&self->actor);
    sender_destroy (&self->sender);
    free (self);
    *self_p = NULL;
}

/* How much of a text of more than `room` bytes stays, so that no character of UTF-8 is cut in two. */
static size_t cut (const char *text, size_t room)
{
    size_t size = room;
    for (int i = 0; i < 3 && size > 0 && ((unsigned char) text [size] & 0xc0) == 0x80; i++)
        size--;
    return ((unsigned char) text [size] & 0xc0) == 0x80 ? room : size;
}

void joblog_line (joblog_t *self, char stream, const char *text, size_t size)
{
    static const char mark [] = " [cut: the line is longer than 16 KiB]";
    char head [32];
    bool is_long = size > JOBLOG_TEXT_MAX;
    int head_size = snprintf (head, sizeof head, "%lld %c ", (long long) clock_wall_ms (), stream);
    if (is_long)
        size = cut (text, JOBLOG_TEXT_MAX - (sizeof mark - 1));
    AUTO_BUFFER buffer_t line = { 0 };
    buffer_reserve (&line, (size_t) head_size + size + sizeof mark + 1);
    buffer_append (&line, head, (size_t) head_size);
    buffer_append (&line, text, size);
    for (size_t i = (size_t) head_size; i < line.size; i++)
        if (line.data [i] == '\n')
            line.data [i] = ' ';
    if (is_long)
        buffer_append (&line, mark, sizeof mark - 1);
    buffer_append (&line, "\n", 1);
    zmsg_t *command = zmsg_new ();
    zmsg_addstr (command, "LINE");
    zmsg_addmem (command, line.data, line.size);
    zmsg_send (&command, self->actor);
    zmsg_destroy (&command);
}

void joblog_say (joblog_t *self, const char *format, ...)
{
    va_list args;
    char text [4096];
    va_start (args, format);
    int size = vsnprintf (text, sizeof text, format, args);
    va_end (args);
    joblog_line (self, 'w', text, size < (int) sizeof text ? (size_t) size : sizeof text - 1);
}

bool joblog_flush (joblog_t *self, int timeout_ms)
{
    char text [16];
    snprintf (text, sizeof text, "%d", timeout_ms);
    zstr_sendx (self->actor, "FLUSH", text, NULL);
    AUTO_FREE char *answer = zstr_recv (self->actor);
    return answer && streq (answer, "FLUSHED");
}
