/* git_mirror.c - a folder for each repository with what was fetched of it, shallow: the next fetch brings what is new.
 *
 *     mirrors/HASH/            a bare repository; refs/archfarm/HASH of each ref that was asked for, so that it stays
 *     mirrors/HASH.lock        one fetch of a repository at a time; its time says when it was used
 *
 * A mirror that a killed git has left, or that is damaged, is only a cache: it is removed and made anew. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "coordinator/git.h"

enum { PACKS_MAX = 30, HASH_BYTES = 16 };

static void name_of (const char *text, char out [2 * HASH_BYTES + 1])
{
    uint8_t hash [HASH_BYTES];
    crypto_generichash (hash, sizeof hash, (const uint8_t *) text, strlen (text), NULL, 0);
    sodium_bin2hex (out, 2 * HASH_BYTES + 1, hash, sizeof hash);
}

/* Waits for whoever has it: so this program has no other then, or two could wait for each other. */
static int lock (const char *path, err_t *err)
{
    AUTO_CLOSE int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys (err, errno, "open %s", path);
    while (flock (fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return err_sys (err, errno, "lock %s", path);
    futimens (fd, NULL);
    return take_fd (&fd);
}

void git_mirror_let_go (git_mirror_t *self)
{
    auto_close (&self->lock);
    auto_free (&self->path);
}

/* -- git's part ------------------------------------------------------------------------------------------------- */

static int run (const git_t *self, const char *mirror, const char *const *arguments, buffer_t *output, err_t *err)
{
    AUTO_FREE char *folder = mem_printf ("--git-dir=%s", mirror);
    const char *all [32] = { folder };
    for (int i = 0; arguments [i]; i++)
        all [i + 1] = arguments [i];
    git_call_t call = { .arguments = all, .output = output };
    return git_run (self, &call, err);
}
#define RUN(self, mirror, output, err, ...) run (self, mirror, (const char *const []) { __VA_ARGS__, NULL }, output, err)

static int make (const git_t *self, const char *mirror, err_t *err)
{
    if (file_exists (mirror))
        return 0;
    return RUN (self, mirror, NULL, err, "init", "--quiet", "--bare", "--template=", mirror);
}

/* The commit that a name stands for; "" where it is none. */
static int read_commit (const git_t *self, const char *mirror, const char *name, char commit [65], err_t *err)
{
    AUTO_BUFFER buffer_t output = { 0 };
    AUTO_FREE char *peeled = mem_printf ("%s^{commit}", name);
    if (RUN (self, mirror, &output, err, "rev-parse", "--verify", "--quiet", "--end-of-options", peeled) < 0)
        return -1;
    const char *text = (const char *) output.data;
    snprintf (commit, 65, "%.*s", (int) strcspn (text, "\n"), text);
    return source_is_commit (commit) ? 0 : err_set (err, ERR_USAGE, "it names no commit");
}

static int fetch_one (const git_t *self, const char *mirror, const source_t *source, const char *depth, const char *ref, const char *kept, err_t *err)
{
    AUTO_FREE char *spec = mem_printf ("+%s:%s", ref, kept);
    return RUN (self, mirror, NULL, err, "fetch", "--quiet", "--no-tags", "--force", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules",
                depth, "--end-of-options", source->url, spec);
}

/* One where everything is asked for: a host that gives no single commits, or no shallow ones. */
static int fetch_all (const git_t *self, const char *mirror, const source_t *source, err_t *err)
{
    AUTO_FREE char *shallow = file_join (mirror, "shallow");
    return RUN (self, mirror, NULL, err, "fetch", "--quiet", "--force", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules", "--no-tags",
                file_exists (shallow) ? "--unshallow" : "--prune", "--end-of-options", source->url, "+refs/heads/*:refs/archfarm/heads/*",
                "+refs/tags/*:refs/archfarm/tags/*");
}

static bool gives_no_commits (const err_t *why)
{
    return strstr (why->text, "single commits") != NULL;
}

static bool is_not_shallow (const err_t *why)
{
    return strstr (why->text, "shallow") != NULL;
}

/* What HEAD there is, where no ref was given. */
static int fetch_ref (const git_t *self, const char *mirror, const source_t *source, char commit [65], err_t *err)
{
    char hash [2 * HASH_BYTES + 1];
    const char *ref = *source->ref ? source->ref : "HEAD";
    name_of (ref, hash);
    AUTO_FREE char *kept = mem_printf ("refs/archfarm/%s", hash);
    err_t why = { 0 };
    int rc = fetch_one (self, mirror, source, "--depth=1", ref, kept, &why);
    if (rc < 0 && is_not_shallow (&why))
        rc = fetch_one (self, mirror, source, "--no-depth", ref, kept, &why);
    if (rc == 0)
        return read_commit (self, mirror, kept, commit, err);
    if (!source_is_commit (ref) || !gives_no_commits (&why) || fetch_all (self, mirror, source, &why) < 0) {
        *err = why;
        return -1;
    }
    if (read_commit (self, mirror, ref, commit, &why) < 0)
        return err_set (err, ERR_USAGE, "there is no such commit in its branches and tags");
    return 0;
}

/* A whole commit stays what it is: nobody has to be asked again. */
static bool has_commit (const git_t *self, const char *mirror, const source_t *source)
{
    char commit [65], hash [2 * HASH_BYTES + 1];
    name_of (source->ref, hash);
    AUTO_FREE char *kept = mem_printf ("refs/archfarm/%s", hash);
    return source_is_commit (source->ref) && read_commit (self, mirror, kept, commit, NULL) == 0 && strcmp (commit, source->ref) == 0;
}

static int fetch (const git_t *self, const char *mirror, const source_t *source, char commit [65], err_t *err)
{
    if (make (self, mirror, err) < 0)
        return -1;
    if (has_commit (self, mirror, source)) {
        snprintf (commit, 65, "%.64s", source->ref);
        return 0;
    }
    return fetch_ref (self, mirror, source, commit, err);
}

/* -- keeping ---------------------------------------------------------------------------------------------------- */

/* Each fetch adds one. */
static int count_packs (const char *mirror)
{
    int count = 0;
    AUTO_FREE char *path = file_join (mirror, "objects/pack");
    DIR *folder = opendir (path);
    for (struct dirent *entry; folder && (entry = readdir (folder)); )
        count += strstr (entry->d_name, ".pack") != NULL;
    if (folder)
        closedir (folder);
    return count;
}

/* What a git that was killed has left would stop each later one. */
static void remove_locks (const char *folder, int depth)
{
    DIR *opened = opendir (folder);
    for (struct dirent *entry; opened && (entry = readdir (opened)); ) {
        AUTO_FREE char *path = file_join (folder, entry->d_name);
        size_t size = strlen (entry->d_name);
        if (size > 5 && strcmp (entry->d_name + size - 5, ".lock") == 0)
            unlink (path);
        else if (entry->d_type == DT_DIR && *entry->d_name != '.' && depth < 8 && strcmp (entry->d_name, "objects") != 0)
            remove_locks (path, depth + 1);
    }
    if (opened)
        closedir (opened);
}

/* Not where a ref is not there, or the host is not: the mirror has nothing to do with that. */
static bool may_be_damaged (const err_t *why)
{
    return why->code == ERR_FARM || strstr (why->text, "git cannot fetch it") || strstr (why->text, "is damaged");
}

int git_mirror (git_t *self, const source_t *source, git_mirror_t *out, char commit [65], err_t *err)
{
    char hash [2 * HASH_BYTES + 1];
    name_of (source->url, hash);
    AUTO_FREE char *path = file_join (self->job->mirrors, hash), *lock_path = mem_printf ("%s.lock", path);
    AUTO_CLOSE int held = lock (lock_path, err);
    if (held < 0)
        return -1;
    if (count_packs (path) > PACKS_MAX && file_remove_tree (path, err) < 0)
        return -1;
    remove_locks (path, 0);
    bool was_there = file_exists (path);
    err_t why = { 0 };
    int rc = fetch (self, path, source, commit, &why);
    if (rc < 0 && was_there && may_be_damaged (&why)) {
        if (file_remove_tree (path, err) < 0)
            return -1;
        rc = fetch (self, path, source, commit, &why);
    }
    if (rc < 0) {
        *err = why;
        return -1;
    }
    *out = (git_mirror_t) { take (&path), take_fd (&held) };
    return 0;
}
