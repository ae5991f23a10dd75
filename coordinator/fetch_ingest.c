/* fetch_ingest.c - a folder as the tree of objects that a laptop would send of it, written as packs: what an object names comes before it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/digest_map.h"
#include "common/file.h"
#include "common/pack.h"
#include "common/scan.h"
#include "coordinator/fetch.h"

typedef struct {
    scan_t *scan;
    digest_map_t given;
    buffer_t pack;
} ingest_t;

static void ingest_free (ingest_t *self)
{
    scan_destroy (&self->scan);
    digest_map_free (&self->given);
    buffer_free (&self->pack);
}

/* -- packs ------------------------------------------------------------------------------------------------------ */

static int flush (ingest_t *self, err_t *err)
{
    int rc = self->pack.size ? fetch_frame_write (STDOUT_FILENO, 'P', self->pack.data, self->pack.size, err) : 0;
    buffer_clear (&self->pack);
    return rc;
}

static int give (ingest_t *self, object_kind kind, const digest_t *digest, const buffer_t *data, err_t *err)
{
    digest_map_set (&self->given, digest, 1);
    if (pack_add (&self->pack, kind, digest, data->data, data->size))
        return 0;
    if (flush (self, err) < 0)
        return -1;
    return pack_add (&self->pack, kind, digest, data->data, data->size) ? 0 : err_set (err, ERR_FARM, "an object does not fit into a pack");
}

static int give_object (ingest_t *self, const scan_object_t *object, err_t *err)
{
    AUTO_BUFFER buffer_t data = { 0 };
    AUTO_FREE scan_object_t *children = NULL;
    if (digest_map_find (&self->given, &object->digest) >= 0)
        return 0;
    size_t count = scan_children (self->scan, object, &children);
    for (size_t i = 0; i < count; i++)
        if (give_object (self, &children [i], err) < 0)
            return -1;
    if (scan_read (self->scan, object, &data, err) < 0)
        return -1;
    return give (self, object->kind, &object->digest, &data, err);
}

/* -- beside the tree -------------------------------------------------------------------------------------------- */

/* Links in it stay in the context, as they do for a builder. */
static int open_below (const char *folder, const char *path)
{
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    AUTO_CLOSE int root = open (folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return root < 0 ? -1 : (int) syscall (SYS_openat2, root, path, &how, sizeof how);
}

static int read_dockerfile (const fetch_job_t *job, const char *folder, buffer_t *out, err_t *err)
{
    struct stat info;
    char block [65536];
    AUTO_CLOSE int fd = open_below (folder, job->dockerfile);
    if (fd < 0 || fstat (fd, &info) < 0 || !S_ISREG (info.st_mode))
        return err_set (err, ERR_USAGE, "no Dockerfile: there is no file %s in it; name another with -f", job->dockerfile);
    if (info.st_size == 0 || info.st_size > FETCH_DOCKERFILE_MAX)
        return err_set (err, ERR_USAGE, "the Dockerfile %s %s", job->dockerfile, info.st_size ? "is longer than 256 KiB" : "is empty");
    for (ssize_t size; (size = read (fd, block, sizeof block)) != 0; ) {
        if (size < 0)
            return err_sys (err, errno, "read the Dockerfile %s", job->dockerfile);
        buffer_append (out, block, (size_t) size);
    }
    return 0;
}

/* A link, or a folder that is one, would have the coordinator read what it leads to. NULL: there is none. */
static int find_ignore (const fetch_job_t *job, const char *folder, char **path, err_t *err)
{
    AUTO_FREE char *own = mem_printf ("%s.dockerignore", job->dockerfile);
    const char *const names [] = { own, ".dockerignore" };
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH };
    AUTO_CLOSE int root = open (folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        struct stat info;
        AUTO_CLOSE int fd = (int) syscall (SYS_openat2, root, names [i], &how, sizeof how);
        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
            continue;
        if (fd < 0 || fstat (fd, &info) < 0 || !S_ISREG (info.st_mode))
            return err_set (err, ERR_USAGE, "%s is no file of its own: let it be one, and no link", names [i]);
        *path = file_join (folder, names [i]);
        return 0;
    }
    return 0;
}

/* -- the whole -------------------------------------------------------------------------------------------------- */

static int scan (ingest_t *self, const fetch_job_t *job, const fetched_t *fetched, err_t *err)
{
    AUTO_FREE char *ignore = NULL;
    if (find_ignore (job, fetched->folder, &ignore, err) < 0
        || scan_names (&self->scan, fetched->folder, ignore, NULL, NULL, err) < 0)
        return -1;
    if (fetched->has_time)
        scan_set_time (self->scan, fetched->time_s);
    return scan_content (self->scan, err);
}

static void note (const ingest_t *self, const digest_t *dockerfile, size_t size, json_t *outcome)
{
    char root [DIGEST_HEX_SIZE + 1], beside [DIGEST_HEX_SIZE + 1];
    digest_to_hex (scan_root (self->scan), root);
    digest_to_hex (dockerfile, beside);
    json_object_update_new (outcome, json_pack ("{s:s, s:{s:s, s:I}, s:I, s:I}", "context", root, "dockerfile", "digest", beside, "size", (json_int_t) size,
                                                "files", (json_int_t) scan_files (self->scan), "bytes", (json_int_t) scan_bytes (self->scan)));
}

static int ingest (ingest_t *self, const fetch_job_t *job, const fetched_t *fetched, json_t *outcome, err_t *err)
{
    AUTO_BUFFER buffer_t dockerfile = { 0 };
    if (read_dockerfile (job, fetched->folder, &dockerfile, err) < 0 || scan (self, job, fetched, err) < 0)
        return -1;
    digest_t digest = digest_of (dockerfile.data, dockerfile.size);
    scan_object_t top = scan_top (self->scan);
    if (digest_map_find (&self->given, &digest) < 0 && give (self, OBJECT_CONTENT, &digest, &dockerfile, err) < 0)
        return -1;
    if (give_object (self, &top, err) < 0 || flush (self, err) < 0)
        return -1;
    note (self, &digest, dockerfile.size, outcome);
    return 0;
}

int fetch_ingest (const fetch_job_t *job, const fetched_t *fetched, json_t *outcome, err_t *err)
{
    __attribute__ ((cleanup (ingest_free))) ingest_t self = { .scan = NULL };
    return ingest (&self, job, fetched, outcome, err);
}
