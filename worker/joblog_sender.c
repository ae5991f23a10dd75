/* joblog_sender.c - see joblog_sender.h.
 *
 *     offset   0        base        acked         sent          end
 *              |- gone --|- had by --|- on the way -|- not sent --|
 *                           the coordinator
 *
 * The file begins at base: what the coordinator has all of is cut off now and then. An answer says how long the log is at the
 * coordinator; when that is not what was expected, sending goes back to there, and answers to what was sent before do not count. */
#include "worker/joblog_sender.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

enum {
    ON_THE_WAY_MAX = 4, PART_MAX = 256 * 1024, HIGH_WATER = 16,
    ASK_MS = 5000, ASK_MAX_MS = 60000,      /* without an answer: ask how long the log is */
    PAUSE_MS = 250, PAUSE_MAX_MS = 8000,    /* after a refusal; doubles */
    REFUSALS_MAX = 5,                       /* of a closed log, 8 s: it may be open again after a restart */
    FAILED_READS_MAX = 5,                   /* of the file, one after the other, 8 s as well */
    CUT_BYTES = 1024 * 1024
};
static const int64_t default_limit_bytes = 256 << 20;

typedef struct { int64_t seq, end; } part_t;

struct sender {
    connection_t *connection;
    int64_t job, attempt;
    int fd;
    int64_t limit_bytes;
    int64_t base, acked, sent, end;
    int64_t seq;
    part_t parts [ON_THE_WAY_MAX];          /* oldest first */
    int on_the_way;
    bool is_asking;
    int64_t ask_at, go_on_at;               /* boot clock; INT64_MAX and 0: not waited for */
    int ask_ms, refusals, failed_reads;
    uint64_t left_out;                      /* lines, since the last that fitted */
    bool has_failed;                        /* the file could not be written: told once */
    bool is_closed;                         /* the coordinator takes no more, or the file cannot be used */
    buffer_t part;
};

int sender_new (sender_t **out, const joblog_settings_t *settings, err_t *err)
{
    AUTO (sender) sender_t *self = mem_alloc (sizeof *self);
    self->job = settings->job;
    self->attempt = settings->attempt;
    self->limit_bytes = settings->limit_bytes > 0 ? settings->limit_bytes : default_limit_bytes;
    self->ask_at = INT64_MAX;
    self->ask_ms = ASK_MS;
    self->fd = open (settings->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (self->fd < 0)
        return err_sys (err, errno, "make %s", settings->file);
    if (connection_new (&self->connection, settings->endpoint, settings->own, settings->server_key, HIGH_WATER, err) < 0)
        return -1;
    *out = take (&self);
    return 0;
}

void sender_destroy (sender_t **self_p)
{
    sender_t *self = *self_p;
    if (!self)
        return;
    connection_destroy (&self->connection);
    auto_close (&self->fd);
    buffer_free (&self->part);
    free (self);
    *self_p = NULL;
}

bool sender_is_done (const sender_t *self)
{
    return self->is_closed || self->acked >= self->end;
}

int sender_poll_items (sender_t *self, zmq_pollitem_t items [CONNECTION_ITEMS])
{
    return connection_poll_items (self->connection, items);
}

int64_t sender_due_ms (const sender_t *self)
{
    int64_t due = connection_due_ms (self->connection);
    due = self->ask_at < due ? self->ask_at : due;
    return self->go_on_at && self->go_on_at < due ? self->go_on_at : due;
}

static void close_log (sender_t *self, const char *why)
{
    if (!self->is_closed)
        log_debug ("joblog", "log of job %lld, attempt %lld ends: %s", (long long) self->job, (long long) self->attempt, why);
    self->is_closed = true;
    self->on_the_way = 0;
    self->ask_at = INT64_MAX;
    self->go_on_at = 0;
}

/* -- the file --------------------------------------------------------------------------------------------------- */

static void write_end (sender_t *self, const void *data, size_t size)
{
    err_t err;
    if (lseek (self->fd, self->end - self->base, SEEK_SET) < 0)
        err_sys (&err, errno, "seek");
    else if (file_write_all (self->fd, data, size, &err) == 0) {
        self->end += (int64_t) size;
        return;
    }
    if (!self->has_failed)
        log_warn ("joblog", "the log of job %lld, attempt %lld misses lines: %s", (long long) self->job,
                  (long long) self->attempt, err.text);
    self->has_failed = true;
    self->left_out++;
}

void sender_tell_left_out (sender_t *self)
{
    uint64_t count = self->left_out;
    if (count == 0 || self->is_closed)
        return;
    AUTO_FREE char *line = mem_printf ("%lld w %llu lines are left out here: the coordinator was away or slow, or the disk full\n",
                                       (long long) clock_wall_ms (), (unsigned long long) count);
    self->left_out = 0;
    write_end (self, line, strlen (line));
    if (self->left_out)
        self->left_out = count;
}

void sender_add (sender_t *self, const void *line, size_t size)
{
    if (self->is_closed)
        return;
    bool has_room = self->end - self->base + (int64_t) size <= self->limit_bytes;
    if (has_room)
        sender_tell_left_out (self);
    if (has_room && !self->left_out)
        write_end (self, line, size);
    else
        self->left_out++;
}

/* The coordinator has all: begin the file anew. */
static void cut_file (sender_t *self)
{
    int64_t enough = self->limit_bytes / 2 < CUT_BYTES ? self->limit_bytes / 2 : CUT_BYTES;
    if (self->acked < self->end || self->end - self->base < enough)
        return;
    if (ftruncate (self->fd, 0) == 0)
        self->base = self->end;
}

/* -- answers ---------------------------------------------------------------------------------------------------- */

static void go_back_to (sender_t *self, int64_t offset)
{
    self->sent = offset;
    self->on_the_way = 0;
    self->is_asking = false;
    self->ask_at = INT64_MAX;
}

/* The part that an answer is for; those before it were overtaken: their answers were lost. -1: none any more. */
static int64_t expected_end (sender_t *self, int64_t re)
{
    for (int i = 0; i < self->on_the_way; i++)
        if (self->parts [i].seq == re) {
            int64_t end = self->parts [i].end;
            self->on_the_way -= i + 1;
            memmove (self->parts, self->parts + i + 1, (size_t) self->on_the_way * sizeof *self->parts);
            return end;
        }
    return -1;
}

static void on_logged (sender_t *self, const msg_t *message)
{
    int64_t offset = msg_int (message, "offset"), end = expected_end (self, msg_int (message, "re"));
    if (end < 0)
        return;
    if (offset > self->end || offset < self->base) {
        close_log (self, "the coordinator names an offset that it cannot have");
        return;
    }
    if (offset > self->acked)
        self->acked = offset;
    if (offset != end || self->is_asking)
        go_back_to (self, offset);
    self->ask_ms = ASK_MS;
    self->refusals = 0;
    self->ask_at = self->on_the_way ? clock_boot_ms () + ASK_MS : INT64_MAX;
}

/* `times`: how often it went wrong before */
static void rest (sender_t *self, int times)
{
    self->go_on_at = clock_boot_ms () + (times < 5 ? PAUSE_MS << times : PAUSE_MAX_MS);
}

/* Who may write a log is told to the depot service by another way than this: right after its restart we may be too early. */
static void on_error (sender_t *self, const msg_t *message)
{
    const char *text = msg_text (message, "text");
    if (expected_end (self, msg_int (message, "re")) < 0)
        return;
    log_debug ("joblog", "job %lld, attempt %lld: %s", (long long) self->job, (long long) self->attempt, text);
    if (err_from_name (msg_text (message, "code")) == ERR_STALE && self->refusals >= REFUSALS_MAX) {
        close_log (self, text);
        return;
    }
    go_back_to (self, self->acked);
    rest (self, self->refusals++);
}

static void take_answers (sender_t *self)
{
    err_t err;
    AUTO (msg) msg_t *message = NULL;
    while ((message = connection_receive (self->connection, &err)) || err.code != ERR_NONE) {
        if (message && msg_is (message, "logged"))
            on_logged (self, message);
        else if (message && msg_is (message, "error"))
            on_error (self, message);
        msg_destroy (&message);
    }
}

/* -- sending ---------------------------------------------------------------------------------------------------- */

static int read_part (sender_t *self, size_t size, err_t *err)
{
    buffer_clear (&self->part);
    buffer_reserve (&self->part, size + 1);
    while (self->part.size < size) {
        ssize_t got = pread (self->fd, self->part.data + self->part.size, size - self->part.size,
                             self->sent - self->base + (int64_t) self->part.size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_sys (err, got < 0 ? errno : EIO, "read the log");
        self->part.size += (size_t) got;
    }
    return 0;
}

/* The next bytes from `sent`; with size 0 the coordinator only says how long the log is. */
static int send_part (sender_t *self, size_t size, err_t *err)
{
    if (read_part (self, size, err) < 0)
        return -1;
    json_t *header = json_pack ("{s:I, s:I, s:I, s:I}", "seq", (json_int_t) ++self->seq, "job", (json_int_t) self->job,
                                "attempt", (json_int_t) self->attempt, "offset", (json_int_t) self->sent);
    msg_t *message = msg_new ("log", header, self->part.data, size);
    if (connection_send (self->connection, &message, NULL) < 0) {
        rest (self, 0);         /* its queue is full, or it has just ended */
        return 0;
    }
    self->sent += (int64_t) size;
    self->parts [self->on_the_way++] = (part_t) { self->seq, self->sent };
    if (self->ask_at == INT64_MAX)
        self->ask_at = clock_boot_ms () + self->ask_ms;
    return 0;
}

/* A disk that could not be read once may be read the next time: the file is the only place where these lines are. */
static void on_failed_read (sender_t *self, const err_t *why)
{
    if (self->failed_reads < FAILED_READS_MAX) {
        rest (self, self->failed_reads++);
        return;
    }
    log_warn ("joblog", "the log of job %lld, attempt %lld ends here: %s", (long long) self->job, (long long) self->attempt, why->text);
    close_log (self, why->text);
}

static void send_parts (sender_t *self)
{
    err_t err = { 0 };
    while (!self->is_closed && !self->is_asking && !self->go_on_at && self->on_the_way < ON_THE_WAY_MAX
           && self->sent < self->end) {
        int64_t left = self->end - self->sent;
        if (send_part (self, left < PART_MAX ? (size_t) left : PART_MAX, &err) < 0)
            on_failed_read (self, &err);
        else
            self->failed_reads = 0;
    }
}

/* No answer: what is on the way may be lost. A question costs a slow coordinator nothing. */
static void ask (sender_t *self)
{
    go_back_to (self, self->acked);
    self->ask_ms = self->ask_ms < ASK_MAX_MS / 2 ? 2 * self->ask_ms : ASK_MAX_MS;
    if (send_part (self, 0, NULL) == 0 && self->on_the_way)
        self->is_asking = true;
}

static void take_changes (sender_t *self)
{
    connection_change change;
    while ((change = connection_next (self->connection)) != CONNECTION_SAME)
        if (!self->is_closed && (change == CONNECTION_UP || change == CONNECTION_DOWN)) {
            go_back_to (self, self->acked);
            self->go_on_at = 0;
        }
}

void sender_work (sender_t *self)
{
    take_changes (self);
    take_answers (self);
    int64_t now = clock_boot_ms ();
    if (self->go_on_at && now >= self->go_on_at)
        self->go_on_at = 0;
    if (self->is_closed || !connection_is_up (self->connection))
        return;
    if (now >= self->ask_at)
        ask (self);
    send_parts (self);
    cut_file (self);
}
