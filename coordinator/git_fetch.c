/* git_fetch.c - the context of a repository: mirror, commit, files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "coordinator/git.h"

/* Of all its files, so that the same commit is the same context: git gives them the moment when it wrote them. (git show would go through the whole
 * tree, which may be without end.) */
static int read_time (const git_t *self, const char *mirror, const char *commit, int64_t *time_s, err_t *err)
{
    AUTO_BUFFER buffer_t output = { 0 };
    AUTO_FREE char *git_dir = mem_printf ("--git-dir=%s", mirror);
    const char *const arguments [] = { git_dir, "rev-list", "--max-count=1", "--no-commit-header", "--format=%ct", commit, NULL };
    git_call_t call = { .arguments = arguments, .output = &output };
    if (git_run (self, &call, err) < 0)
        return -1;
    *time_s = strtoll ((const char *) output.data, NULL, 10);
    if (*time_s < 0 || *time_s > 253402300799)
        *time_s = 0;
    return 0;
}

static int fetch (git_t *self, fetched_t *out, err_t *err)
{
    const fetch_job_t *job = self->job;
    __attribute__ ((cleanup (git_mirror_let_go))) git_mirror_t mirror = GIT_MIRROR_NONE;
    AUTO_FREE char *target = file_join (job->work, "tree");
    if (mkdir (target, 0755) < 0)
        return err_sys (err, errno, "make %s", target);
    if (git_prepare (self, &job->source, err) < 0 || git_mirror (self, &job->source, &mirror, out->commit, err) < 0
        || read_time (self, mirror.path, out->commit, &out->time_s, err) < 0
        || git_check_out (self, &job->source, &mirror, out->commit, target, job->source.folder, 0, err) < 0)
        return -1;
    if (git_check_path (target, job->source.folder, err) < 0)
        return -1;
    out->has_time = true;
    out->folder = *job->source.folder ? file_join (target, job->source.folder) : take (&target);
    return 0;
}

int git_fetch (const fetch_job_t *job, fetched_t *out, err_t *err)
{
    git_t git = { .job = job };
    int rc = fetch (&git, out, err);
    git_free (&git);
    return rc;
}
