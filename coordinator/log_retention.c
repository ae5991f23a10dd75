/* log_retention.c - see log_retention.h. */
#include "coordinator/log_retention.h"

#include <dirent.h>
#include <fcntl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    log_name_t name;
    char file [64];
    int64_t written_ms, size_bytes;
    bool is_doomed;
} kept_t;

static int compare_kept (const void *a, const void *b)
{
    const kept_t *one = a, *other = b;
    return (one->written_ms > other->written_ms) - (one->written_ms < other->written_ms);
}

static int compare_names (const void *a, const void *b)
{
    const log_name_t *one = a, *other = b;
    if (one->job != other->job)
        return one->job < other->job ? -1 : 1;
    return (one->attempt > other->attempt) - (one->attempt < other->attempt);
}

static bool read_name (const char *file, log_name_t *name)
{
    long long job, attempt;
    int end = 0;
    if (sscanf (file, "%lld-%lld.log%n", &job, &attempt, &end) != 2 || end == 0 || file [end])
        return false;
    *name = (log_name_t) { job, attempt };
    return true;
}

/* A file that is a log, and not open. */
static void add_kept (const build_logs_t *logs, DIR *folder, const char *file, buffer_t *all)
{
    struct stat status;
    kept_t kept;
    memset (&kept, 0, sizeof kept);
    if (strlen (file) >= sizeof kept.file || !read_name (file, &kept.name) || build_logs_is_open (logs, kept.name.job, kept.name.attempt)
        || fstatat (dirfd (folder), file, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG (status.st_mode))
        return;
    strcpy (kept.file, file);
    kept.written_ms = (int64_t) status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000;
    kept.size_bytes = status.st_size;
    buffer_append (all, &kept, sizeof kept);
}

/* Marks the doomed; returns the bytes of the others. */
static int64_t mark_doomed (const log_limits_t *limits, kept_t *kept, size_t count)
{
    int64_t left = 0;
    AUTO_BUFFER buffer_t sorted = { 0 };
    if (limits->doomed_count > 0) {
        buffer_append (&sorted, limits->doomed, limits->doomed_count * sizeof *limits->doomed);
        qsort (sorted.data, limits->doomed_count, sizeof *limits->doomed, compare_names);
    }
    for (size_t i = 0; i < count; i++) {
        kept [i].is_doomed = limits->doomed_count > 0
            && bsearch (&kept [i].name, sorted.data, limits->doomed_count, sizeof *limits->doomed, compare_names);
        left += kept [i].is_doomed ? 0 : kept [i].size_bytes;
    }
    return left;
}

int log_retention_apply (const build_logs_t *logs, const log_limits_t *limits, buffer_t *gone, uint64_t *bytes, err_t *err)
{
    AUTO_BUFFER buffer_t all = { 0 };
    DIR *folder = opendir (build_logs_folder (logs));
    if (!folder)
        return err_sys (err, errno, "list the logs in %s", build_logs_folder (logs));
    for (struct dirent *entry; (entry = readdir (folder));)
        add_kept (logs, folder, entry->d_name, &all);
    kept_t *kept = (kept_t *) all.data;
    size_t count = all.size / sizeof *kept;
    if (count > 0)
        qsort (kept, count, sizeof *kept, compare_kept);
    int64_t left = mark_doomed (limits, kept, count);
    for (size_t i = 0; i < count; i++) {
        bool is_too_much = limits->total_bytes > 0 && left > limits->total_bytes;
        if (!kept [i].is_doomed && kept [i].written_ms >= limits->before_ms && !is_too_much)
            continue;
        if (!limits->is_dry && unlinkat (dirfd (folder), kept [i].file, 0) < 0)
            continue;
        left -= kept [i].is_doomed ? 0 : kept [i].size_bytes;
        *bytes += (uint64_t) kept [i].size_bytes;
        buffer_append (gone, &kept [i].name, sizeof kept [i].name);
    }
    closedir (folder);
    return 0;
}
