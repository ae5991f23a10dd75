/* log_reader.c - see log_reader.h. */
#include "farmctl/log_reader.h"

#include <stdlib.h>
#include <string.h>

#include "farmctl/output.h"

enum {
    LOST_MS = 5000,             /* how much later than wait_ms an answer may come */
    NOT_THERE_MS = 500,         /* a log that the worker has not begun yet */
    LINE_MAX_BYTES = 64 * 1024  /* the worker cuts at 16 KiB: more is nonsense, and cut here */
};

int log_reader_ask (log_reader_t *self, client_t *client, int64_t now_ms, int wait_ms, err_t *err)
{
    if (self->is_ended || now_ms < self->ask_at_ms)
        return 0;
    json_t *header = json_pack ("{s:I, s:I, s:I, s:i}", "job", (json_int_t) self->job, "attempt",
                                (json_int_t) self->attempt, "offset", (json_int_t) self->offset, "wait_ms", wait_ms);
    int64_t seq = client_send_objects (client, "read-log", header, NULL, err);
    self->asked_seq = seq < 0 ? 0 : seq;
    self->ask_at_ms = now_ms + wait_ms + LOST_MS;
    return seq < 0 ? -1 : 0;
}

void log_reader_forget (log_reader_t *self)
{
    if (!self->asked_seq)
        return;
    self->asked_seq = 0;
    self->ask_at_ms = 0;
}

/* "<ms> <stream> <text>"; a line of another form is shown as it is. */
static void give_line (const log_reader_t *self, char *text, log_line_fn *on_line, void *argument)
{
    char *rest;
    log_line_t line = { .time_ms = strtoll (text, &rest, 10), .stream = 'o', .text = text };
    if (rest > text && rest [0] == ' ' && (rest [1] == 'o' || rest [1] == 'w') && rest [2] == ' ') {
        line.stream = rest [1];
        line.text = rest + 3;
    }
    size_t length = strlen (line.text);
    if (length && line.text [length - 1] == '\r')
        line.text [length - 1] = 0;
    output_clean (line.text);
    on_line (argument, self, &line);
}

static void cut_lines (log_reader_t *self, const char *data, size_t size, log_line_fn *on_line, void *argument)
{
    while (size) {
        const char *end = memchr (data, '\n', size);
        size_t length = end ? (size_t) (end - data) : size;
        if (self->part.size < LINE_MAX_BYTES)
            buffer_append (&self->part, data, length);
        if (end) {
            buffer_append (&self->part, "", 1);
            give_line (self, (char *) self->part.data, on_line, argument);
            buffer_clear (&self->part);
            length++;
        }
        data += length;
        size -= length;
    }
}

static void end_log (log_reader_t *self, log_line_fn *on_line, void *argument)
{
    self->is_ended = true;
    if (self->part.size)
        cut_lines (self, "\n", 1, on_line, argument);
}

int log_reader_take (log_reader_t *self, const msg_t *answer, int64_t now_ms, log_line_fn *on_line, void *argument)
{
    if (!self->asked_seq || msg_int (answer, "re") != self->asked_seq)
        return 0;
    self->asked_seq = 0;
    self->ask_at_ms = now_ms;
    if (!msg_is (answer, "log-part")) {
        self->ask_at_ms = now_ms + NOT_THERE_MS;
        return 1;
    }
    size_t size;
    const char *data = (const char *) msg_body (answer, &size);
    if (msg_int (answer, "offset") == self->offset) {
        self->offset += (int64_t) size;
        cut_lines (self, data, size, on_line, argument);
    }
    if (msg_bool (answer, "is_ended"))
        end_log (self, on_line, argument);
    return 1;
}

void log_reader_free (log_reader_t *self)
{
    buffer_free (&self->part);
}
