/* build_log.c - see build_log.h. */
#include "coordinator/build_log.h"

#include <czmq.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"

struct build_logs {
    char *folder;
    int64_t limit_bytes;
    zhashx_t *writers;          /* "<job>-<attempt>" -> int64_t principal, of the open ones */
    uint64_t received_bytes;
};

static void free_writer (void **item)
{
    auto_free (item);
}

int build_logs_new (build_logs_t **out, const char *folder, int64_t limit_bytes, err_t *err)
{
    if (file_make_folders (folder, 0700, err) < 0)
        return err_wrap (err, "make the folder of logs");
    build_logs_t *self = mem_alloc (sizeof *self);
    self->folder = mem_strdup (folder);
    self->limit_bytes = limit_bytes;
    self->writers = zhashx_new ();
    zhashx_set_destructor (self->writers, free_writer);
    *out = self;
    return 0;
}

void build_logs_destroy (build_logs_t **self_p)
{
    build_logs_t *self = *self_p;
    if (!self)
        return;
    zhashx_destroy (&self->writers);
    free (self->folder);
    free (self);
    *self_p = NULL;
}

static char *log_name (int64_t job, int64_t attempt)
{
    return mem_printf ("%lld-%lld", (long long) job, (long long) attempt);
}

static char *log_path (const build_logs_t *self, int64_t job, int64_t attempt)
{
    return mem_printf ("%s/%lld-%lld.log", self->folder, (long long) job, (long long) attempt);
}

static int open_file (const build_logs_t *self, int64_t job, int64_t attempt, int flags, err_t *err)
{
    AUTO_FREE char *path = log_path (self, job, attempt);
    int fd = open (path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == ENOENT)
        return err_set (err, ERR_NOT_FOUND, "there is no log of job %lld, attempt %lld (any more)", (long long) job, (long long) attempt);
    if (fd < 0)
        return err_sys (err, errno, "open the log %s", path);
    return fd;
}

void build_logs_open (build_logs_t *self, int64_t job, int64_t attempt, int64_t principal)
{
    AUTO_FREE char *name = log_name (job, attempt);
    int64_t *writer = mem_alloc (sizeof *writer);
    *writer = principal;
    zhashx_update (self->writers, name, writer);
}

void build_logs_close (build_logs_t *self, int64_t job, int64_t attempt)
{
    AUTO_FREE char *name = log_name (job, attempt);
    zhashx_delete (self->writers, name);
}

/* -- writing ---------------------------------------------------------------------------------------------------- */

/* Write at the end; what a full disk left half-written is cut off again, so that an offset always means whole bytes. */
static int add (int fd, int64_t length, const void *data, size_t size, err_t *err)
{
    if (lseek (fd, length, SEEK_SET) < 0)
        return err_sys (err, errno, "seek in a log");
    if (file_write_all (fd, data, size, err) == 0)
        return 0;
    if (ftruncate (fd, length) < 0)
        return err_wrap (err, "and cut off what was half-written");
    return -1;
}

/* The last bytes that fit and a line that says so: the file is then longer than the limit, which marks it as full. */
static int add_last (build_logs_t *self, int fd, int64_t length, const uint8_t *data, err_t *err)
{
    AUTO_BUFFER buffer_t last = { 0 };
    size_t room = (size_t) (self->limit_bytes - length);
    buffer_append (&last, data, room);
    if (room > 0 && data [room - 1] != '\n')
        buffer_text (&last, "\n");
    buffer_printf (&last, "%lld w the log has reached its limit of %lld bytes; the rest is left out\n",
                   (long long) clock_wall_ms (), (long long) self->limit_bytes);
    return add (fd, length, last.data, last.size, err);
}

static int check_writer (build_logs_t *self, int64_t job, int64_t attempt, int64_t principal, err_t *err)
{
    AUTO_FREE char *name = log_name (job, attempt);
    const int64_t *writer = zhashx_lookup (self->writers, name);
    if (!writer)
        return err_set (err, ERR_STALE, "the log of job %lld, attempt %lld is closed", (long long) job, (long long) attempt);
    if (*writer != principal)
        return err_set (err, ERR_DENIED, "job %lld, attempt %lld is another worker's", (long long) job, (long long) attempt);
    return 0;
}

int build_logs_append (build_logs_t *self, int64_t job, int64_t attempt, int64_t principal, int64_t offset,
                       const void *data, size_t size, int64_t *end, err_t *err)
{
    struct stat status;
    if (check_writer (self, job, attempt, principal, err) < 0)
        return -1;
    AUTO_CLOSE int fd = open_file (self, job, attempt, O_RDWR | O_CREAT, err);
    if (fd < 0)
        return -1;
    if (fstat (fd, &status) < 0)
        return err_sys (err, errno, "ask for a log's length");
    int64_t length = status.st_size;
    if (length > self->limit_bytes) {
        *end = offset + (int64_t) size;
        return 0;
    }
    *end = length;
    if (offset != length || size == 0)
        return 0;
    bool is_last = (int64_t) size > self->limit_bytes - length;
    if ((is_last ? add_last (self, fd, length, data, err) : add (fd, length, data, size, err)) < 0)
        return err_wrap (err, "log of job %lld, attempt %lld", (long long) job, (long long) attempt);
    self->received_bytes += size;
    *end = offset + (int64_t) size;
    return 0;
}

/* -- reading ---------------------------------------------------------------------------------------------------- */

static ssize_t read_at (int fd, void *data, size_t size, int64_t offset)
{
    ssize_t got;
    do
        got = pread (fd, data, size, offset);
    while (got < 0 && errno == EINTR);
    return got;
}

int build_logs_read (build_logs_t *self, int64_t job, int64_t attempt, int64_t offset, size_t max_bytes, buffer_t *out,
                     bool *is_ended, err_t *err)
{
    err_t why = { 0 };
    struct stat status = { .st_size = 0 };
    bool is_open = build_logs_is_open (self, job, attempt);
    AUTO_CLOSE int fd = open_file (self, job, attempt, O_RDONLY, &why);
    if (fd < 0 && !(is_open && why.code == ERR_NOT_FOUND)) {        /* an open one has perhaps no line yet */
        *err = why;
        return -1;
    }
    if (fd >= 0 && fstat (fd, &status) < 0)
        return err_sys (err, errno, "ask for a log's length");
    buffer_clear (out);
    int64_t left = status.st_size > offset ? status.st_size - offset : 0;
    if (left > (int64_t) max_bytes)
        left = (int64_t) max_bytes;
    buffer_reserve (out, (size_t) left + 1);
    ssize_t got = left > 0 ? read_at (fd, out->data, (size_t) left, offset) : 0;
    if (got < 0)
        return err_sys (err, errno, "read the log of job %lld, attempt %lld", (long long) job, (long long) attempt);
    out->size = (size_t) got;
    *is_ended = !is_open && offset + got >= status.st_size;
    return 0;
}

/* -- removing ----------------------------------------------------------------------------------------------------- */

int64_t build_logs_remove (build_logs_t *self, int64_t job, int64_t attempt)
{
    struct stat status;
    AUTO_FREE char *path = log_path (self, job, attempt);
    if (build_logs_is_open (self, job, attempt) || lstat (path, &status) < 0 || unlink (path) < 0)
        return -1;
    return status.st_size;
}

bool build_logs_is_open (const build_logs_t *self, int64_t job, int64_t attempt)
{
    AUTO_FREE char *name = log_name (job, attempt);
    return zhashx_lookup (self->writers, name) != NULL;
}

const char *build_logs_folder (const build_logs_t *self)
{
    return self->folder;
}

uint64_t build_logs_received (const build_logs_t *self)
{
    return self->received_bytes;
}
