/* untar.c - see untar.h. libarchive reads and writes; what it is given to write was looked at before. */
#include "common/untar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/tree.h"

enum { BLOCK = 256 * 1024, NAME_MAX_BYTES = 4095 };

typedef struct {
    const untar_limits_t *limits;
    struct archive *in, *out;
    int64_t bytes, entries;
    struct timespec root_time;      /* the folder's own, where it has an entry */
    struct timespec begin;
} work_t;

static void work_free (work_t *self)
{
    archive_read_free (self->in);
    archive_write_free (self->out);
}

static int refuse_archive (const work_t *self, err_t *err)
{
    const char *why = archive_error_string (self->in);
    return err_set (err, ERR_USAGE, "it is no archive that can be read: %s", why ? why : "it ends too early");
}

static int refuse_size (const work_t *self, err_t *err)
{
    return err_set (err, ERR_USAGE, "it has more than %lld MB unpacked%s", (long long) self->limits->bytes_max / 1000000, self->limits->advice);
}

/* -- one entry -------------------------------------------------------------------------------------------------- */

/* "./a/b/" and "a//b" are a/b; "" for the folder itself. */
static int check_name (const char *name, err_t *err)
{
    int depth = 0;
    if (!name || strlen (name) > NAME_MAX_BYTES || *name == '/')
        return err_set (err, ERR_USAGE, "it has the name \"%.100s\", which begins with / or is too long: names are to be below a folder", name ? name : "");
    for (const char *at = name; *at; at += strspn (at, "/")) {
        size_t size = strcspn (at, "/");
        if (size == 2 && strncmp (at, "..", 2) == 0)
            return err_set (err, ERR_USAGE, "it has the name \"%.100s\", which leads out of its folder", name);
        depth += size > 1 || *at != '.';
        at += size;
    }
    return depth <= TREE_DEPTH_MAX + 1 ? 0
           : err_set (err, ERR_USAGE, "it has the name \"%.100s…\", which has more than %d folders: a context may be so deep and no deeper", name, TREE_DEPTH_MAX);
}

static int check_kind (struct archive_entry *entry, err_t *err)
{
    mode_t kind = archive_entry_filetype (entry);
    if (archive_entry_hardlink (entry) || kind == AE_IFREG || kind == AE_IFDIR || kind == AE_IFLNK)
        return 0;
    return err_set (err, ERR_USAGE, "%.200s is a device, a pipe or a socket: those can be no part of a context", archive_entry_pathname (entry));
}

/* libarchive gives a hard link that carries content its mode, through the link if that is what it leads to: another file's, outside. */
static int check_link (struct archive_entry *entry, const char *link, err_t *err)
{
    struct stat is;
    if (check_name (link, err) < 0)
        return -1;
    if (archive_entry_size (entry) > 0 && lstat (link, &is) == 0 && S_ISLNK (is.st_mode))
        return err_set (err, ERR_USAGE, "%.200s is a hard link to a link, %.200s, and has content: that is no file", archive_entry_pathname (entry), link);
    return 0;
}

static int check (work_t *self, struct archive_entry *entry, err_t *err)
{
    const char *link = archive_entry_hardlink (entry);
    if (check_name (archive_entry_pathname (entry), err) < 0 || check_kind (entry, err) < 0 || (link && check_link (entry, link, err) < 0))
        return -1;
    if (++self->entries > self->limits->entries_max)
        return err_set (err, ERR_USAGE, "it has more than %lld entries%s", (long long) self->limits->entries_max, self->limits->advice);
    const char *name = archive_entry_pathname (entry);
    if (strspn (name, "./") == strlen (name) && archive_entry_mtime_is_set (entry))
        self->root_time = (struct timespec) { .tv_sec = archive_entry_mtime (entry), .tv_nsec = archive_entry_mtime_nsec (entry) };
    if (archive_entry_size_is_set (entry) && archive_entry_size (entry) > self->limits->bytes_max - self->bytes)
        return refuse_size (self, err);
    archive_entry_set_perm (entry, archive_entry_perm (entry) & 0777);
    archive_entry_set_fflags (entry, 0, 0);
    archive_entry_acl_clear (entry);
    archive_entry_xattr_clear (entry);
    return 0;
}

/* Without a number it is the archive's fault: what can have no content has some. */
static int refuse_data (const work_t *self, err_t *err)
{
    int errnum = archive_errno (self->out);
    const char *why = archive_error_string (self->out);
    return errnum > 0 ? err_sys (err, errnum, "write a file of the archive")
           : err_set (err, ERR_USAGE, "it has content where there can be none: %s", why ? why : "an entry that is no file");
}

/* What an entry says of its size is not believed: bytes are counted as they come. */
static int copy_data (work_t *self, struct archive_entry *entry, int64_t *end, err_t *err)
{
    const void *data;
    size_t size;
    int64_t offset;
    int rc;
    while ((rc = archive_read_data_block (self->in, &data, &size, &offset)) == ARCHIVE_OK) {
        self->bytes += (int64_t) size;
        if (self->bytes > self->limits->bytes_max || offset > self->limits->bytes_max)
            return refuse_size (self, err);
        *end = offset + (int64_t) size;
        if (archive_entry_size_is_set (entry) && offset > archive_entry_size (entry))      /* libarchive would write less than nothing */
            return err_set (err, ERR_USAGE, "%.200s has content behind its end", archive_entry_pathname (entry));
        if (archive_write_data_block (self->out, data, size, offset) < ARCHIVE_OK)
            return refuse_data (self, err);
    }
    return rc == ARCHIVE_EOF ? 0 : refuse_archive (self, err);
}

/* Holes count as what they are read as: else small archives would be contexts without end. */
static int copy_file (work_t *self, struct archive_entry *entry, err_t *err)
{
    int64_t before = self->bytes, size = archive_entry_size_is_set (entry) ? archive_entry_size (entry) : 0, end = 0;
    if (copy_data (self, entry, &end, err) < 0)
        return -1;
    int64_t whole = before + (end > size ? end : size);
    self->bytes = whole > self->bytes ? whole : self->bytes;
    return self->bytes > self->limits->bytes_max ? refuse_size (self, err) : 0;
}

static int write_entry (work_t *self, struct archive_entry *entry, err_t *err)
{
    const char *name = archive_entry_pathname (entry);
    if (archive_write_header (self->out, entry) < ARCHIVE_OK) {
        int errnum = archive_errno (self->out);
        if (err_is_full (errnum))
            return err_sys (err, errnum, "write %.200s", name);
        return err_set (err, ERR_USAGE, "%.200s cannot be written: %s", name, archive_error_string (self->out));
    }
    if (copy_file (self, entry, err) < 0)
        return -1;
    if (archive_write_finish_entry (self->out) < ARCHIVE_WARN)
        return err_sys (err, archive_errno (self->out), "write %.200s", name);
    return 0;
}

/* -- the whole -------------------------------------------------------------------------------------------------- */

static bool is_before (const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static int set_time (const char *path, const struct timespec *to, err_t *err)
{
    const struct timespec times [2] = { *to, *to };
    return utimensat (AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : err_sys (err, errno, "set the time of a folder");
}

static int reset_below (const work_t *self, FTS *walk, err_t *err)
{
    static const struct timespec none;
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    for (FTSENT *entry; (entry = fts_read (walk));) {
        const struct timespec *time = &entry->fts_statp->st_mtim;
        if ((entry->fts_info != FTS_D && entry->fts_info != FTS_DNR) || is_before (time, &self->begin) || is_before (&now, time))
            continue;
        if (set_time (entry->fts_accpath, &none, err) < 0)
            return -1;
    }
    return 0;
}

/* The same archive is the same context: a folder has no time where the archive gives it none, and not that at which it was written. libarchive
 * leaves the latter to those that have no entry, or had something put into them behind it; they are known by it. */
static int reset_times (const work_t *self, err_t *err)
{
    char *const here [] = { (char []) { "." }, NULL };
    FTS *walk = fts_open (here, FTS_PHYSICAL, NULL);
    if (!walk)
        return err_sys (err, errno, "list the archive's folders");
    int rc = reset_below (self, walk, err);
    fts_close (walk);
    return rc < 0 ? -1 : set_time (".", &self->root_time, err);
}

static int unpack (work_t *self, int fd, err_t *err)
{
    struct archive_entry *entry;
    int rc;
    clock_gettime (CLOCK_REALTIME_COARSE, &self->begin);        /* files are stamped by this one */
    if (archive_read_open_fd (self->in, fd, BLOCK) != ARCHIVE_OK)
        return refuse_archive (self, err);
    while ((rc = archive_read_next_header (self->in, &entry)) == ARCHIVE_OK || rc == ARCHIVE_WARN)
        if (check (self, entry, err) < 0 || write_entry (self, entry, err) < 0)
            return -1;
    if (rc != ARCHIVE_EOF || self->entries == 0)
        return refuse_archive (self, err);
    if (archive_write_close (self->out) < ARCHIVE_WARN)         /* sets times of folders */
        return err_sys (err, archive_errno (self->out), "write the archive's folders");
    return reset_times (self, err);
}

int untar (int fd, const char *folder, const untar_limits_t *limits, err_t *err)
{
    __attribute__ ((cleanup (work_free))) work_t self = { .limits = limits, .in = archive_read_new (), .out = archive_write_disk_new () };
    if (chdir (folder) < 0)
        return err_sys (err, errno, "change to %s", folder);
    archive_read_support_filter_gzip (self.in);
    archive_read_support_filter_bzip2 (self.in);
    archive_read_support_filter_xz (self.in);
    archive_read_support_filter_zstd (self.in);
    archive_read_support_format_tar (self.in);
    archive_read_support_format_zip_streamable (self.in);
    archive_write_disk_set_options (self.out, ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT
                                    | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS | ARCHIVE_EXTRACT_UNLINK);
    return unpack (&self, fd, err);
}
