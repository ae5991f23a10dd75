/* depot_bodies.c - the bytes of objects, one behind the other in files: segments.
 *
 *     segments/000001   |aaaaaaaa|bbb|      |ccccccccc|dd|     full, apart from what was given back (depot_space.c)
 *     segments/000002   |eeeeeeeeeeee|fff| end: the next goes here, and all up to here is committed between transactions
 *
 * What lies behind the last object is of no transaction: it is cut off when the depot is opened and written over.
 * Whoever reads holds `reading`, shared; it is taken alone to take bytes or files away. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/depot_private.h"
#include "common/file.h"

enum { WRITE_OUT_BYTES = 1024 * 1024 };

char *bodies_path (const depot_t *self, int64_t segment)
{
    return mem_printf ("%s/segments/%06lld", self->folder, (long long) segment);
}

/* -- files that are open ---------------------------------------------------------------------------------------- */

void bodies_close (depot_t *self, int64_t segment)
{
    slot_t *slot = &self->slots [segment % SLOTS];
    if (slot->segment != segment)
        return;
    pthread_rwlock_wrlock (&self->reading);
    close (slot->fd);
    slot->segment = 0;
    pthread_rwlock_unlock (&self->reading);
}

void bodies_close_all (depot_t *self)
{
    for (int i = 0; i < SLOTS; i++)
        if (self->slots [i].segment)
            bodies_close (self, self->slots [i].segment);
}

int bodies_fd (depot_t *self, int64_t segment, int flags)
{
    slot_t *slot = &self->slots [segment % SLOTS];
    if (slot->segment == segment)
        return slot->fd;
    AUTO_FREE char *path = bodies_path (self, segment);
    int fd = open (path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd < 0)
        return -1;
    if (slot->segment)
        bodies_close (self, slot->segment);
    *slot = (slot_t) { segment, fd };
    return fd;
}

/* -- writing ---------------------------------------------------------------------------------------------------- */

static int fail (const depot_t *self, const char *what, int64_t segment, err_t *err)
{
    AUTO_FREE char *path = bodies_path (self, segment);
    return err_sys (err, errno, "%s %s", what, path);
}

static int write_all (int fd, const uint8_t *data, size_t size, off_t offset)
{
    while (size > 0) {
        ssize_t written = pwrite (fd, data, size, offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        data += written;
        size -= (size_t) written;
        offset += written;
    }
    return 0;
}

/* The disk begins while more is being put, so that the commit finds little left to wait for. */
static void start_write_out (depot_t *self, int fd)
{
    if (self->is_relaxed || self->end.offset - self->written_out < WRITE_OUT_BYTES)
        return;
    sync_file_range (fd, self->written_out, self->end.offset - self->written_out, SYNC_FILE_RANGE_WRITE);
    self->written_out = self->end.offset;
}

static int begin_segment (depot_t *self, err_t *err)
{
    if (bodies_sync (self, err) < 0)
        return -1;
    self->end = (place_t) { .segment = self->end.segment + 1 };
    self->written_out = 0;
    return 0;
}

int bodies_append (depot_t *self, const void *data, size_t size, place_t *place, err_t *err)
{
    *place = (place_t) { 0 };
    if (size == 0)
        return 0;
    if (self->end.offset > 0 && self->end.offset + (int64_t) size > self->segment_bytes && begin_segment (self, err) < 0)
        return -1;
    int fd = bodies_fd (self, self->end.segment, O_CREAT);
    if (fd < 0)
        return fail (self, "open", self->end.segment, err);
    self->is_unsynced = true;
    if (write_all (fd, data, size, self->end.offset) < 0)
        return fail (self, "write to", self->end.segment, err);
    *place = (place_t) { self->end.segment, self->end.offset, (int64_t) size };
    self->end.offset += (int64_t) size;
    start_write_out (self, fd);
    return 0;
}

int bodies_sync (depot_t *self, err_t *err)
{
    if (!self->is_unsynced || self->is_relaxed)
        return 0;
    int fd = bodies_fd (self, self->end.segment, 0);
    AUTO_FREE char *path = bodies_path (self, self->end.segment);
    if (fd < 0 || fdatasync (fd) < 0)
        return fail (self, "sync", self->end.segment, err);
    if (self->end.segment != self->synced_segment && file_sync_name (path, err) < 0)
        return -1;
    self->synced_segment = self->end.segment;
    self->is_unsynced = false;
    return 0;
}

void bodies_cut (depot_t *self, const place_t *end)
{
    for (int64_t segment = self->end.segment; segment > end->segment; segment--)
        bodies_remove (self, segment);
    int fd = bodies_fd (self, end->segment, 0);
    struct stat status;
    if (fd >= 0 && fstat (fd, &status) == 0 && status.st_size > end->offset && ftruncate (fd, end->offset) < 0)
        (void) 0;               /* it is written over */
    self->end = *end;
    self->written_out = end->offset;
    if (self->synced_segment > end->segment)
        self->synced_segment = 0;
}

void bodies_remove (depot_t *self, int64_t segment)
{
    AUTO_FREE char *path = bodies_path (self, segment);
    bodies_close (self, segment);
    unlink (path);              /* one that stays is found when the depot is opened again */
}

/* -- reading ---------------------------------------------------------------------------------------------------- */

bool bodies_is_possible (const place_t *place)
{
    return place->segment > 0 && place->segment <= SEGMENT_LAST && place->offset >= 0 && place->offset <= SEGMENT_BYTES
        && place->size > 0 && place->size <= SEGMENT_BYTES;
}

uint64_t bodies_counted (const place_t *place)
{
    return place->size >= 0 && place->size <= SEGMENT_BYTES ? (uint64_t) place->size : 0;
}

int bodies_hold (depot_t *self, const place_t *place, int *fd, err_t *err)
{
    errno = ENOENT;
    *fd = bodies_is_possible (place) ? bodies_fd (self, place->segment, 0) : -1;
    if (*fd < 0 && errno != ENOENT)
        return fail (self, "open", place->segment, err);
    pthread_rwlock_rdlock (&self->reading);
    return 0;
}

static bool read_all (int fd, const place_t *place, buffer_t *out)
{
    buffer_reserve (out, (size_t) place->size + 1);
    while (out->size < (size_t) place->size) {
        ssize_t got = pread (fd, out->data + out->size, (size_t) place->size - out->size, place->offset + (off_t) out->size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        out->size += (size_t) got;
    }
    return true;
}

bool bodies_read (depot_t *self, const place_t *place, int fd, buffer_t *out)
{
    buffer_clear (out);
    bool is_whole = place->size == 0 || (fd >= 0 && place->size <= OBJECT_MAX && read_all (fd, place, out));
    pthread_rwlock_unlock (&self->reading);
    return is_whole;
}

/* -- open ------------------------------------------------------------------------------------------------------- */

int bodies_open (depot_t *self, const place_t *end, err_t *err)
{
    AUTO_FREE char *folder = file_join (self->folder, "segments");
    AUTO_FREE char *path = bodies_path (self, end->segment);
    if (!file_exists (folder) && (file_make_folders (folder, 0700, err) < 0 || file_sync_name (folder, err) < 0))
        return -1;
    self->synced_segment = file_exists (path) ? end->segment : 0;
    self->end = (place_t) { .segment = end->segment };
    bodies_cut (self, end);
    return 0;
}
