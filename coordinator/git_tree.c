/* git_tree.c - the files of a commit. What there is, and how much, is looked at in git's own lists before a file is written; submodules are fetched
 * here as the repository itself is, by the same rules, and not by git submodule: .gitmodules is a stranger's. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/tree.h"
#include "coordinator/git.h"

enum { MODULES_MAX = 64, NESTING_MAX = 8 };

/* A submodule's folder, its address as .gitmodules has it (NULL: it has none), and commit. */
typedef struct { char *path, *url, commit [65]; } module_t;

typedef struct {
    git_t *git;                     /* which counts for all repositories of the context */
    module_t *modules;              /* owned */
    size_t module_count;
} listing_t;

static void listing_free (listing_t *self)
{
    for (size_t i = 0; i < self->module_count; i++) {
        free (self->modules [i].path);
        free (self->modules [i].url);
    }
    free (self->modules);
}

/* -- what there is ---------------------------------------------------------------------------------------------- */

static int add_module (listing_t *self, const char *commit, const char *path, err_t *err)
{
    if (self->module_count == MODULES_MAX)
        return err_set (err, ERR_USAGE, "it has more than %d submodules", MODULES_MAX);
    self->modules = mem_resize (self->modules, (self->module_count + 1) * sizeof *self->modules);
    module_t *module = &self->modules [self->module_count++];
    *module = (module_t) { .path = mem_strdup (path) };
    snprintf (module->commit, sizeof module->commit, "%.*s", (int) strcspn (commit, " "), commit);
    return source_is_commit (module->commit) ? 0 : err_set (err, ERR_USAGE, "its submodule %s has no commit", path);
}

/* "100644 blob HASH    1234\tPATH": git's own numbers. */
static int take_entry (void *argument, const char *record, err_t *err)
{
    listing_t *self = argument;
    git_t *git = self->git;
    const char *type = strchr (record, ' '), *tab = strchr (record, '\t');
    const char *hash = type ? strchr (type + 1, ' ') : NULL, *size = hash ? strchr (hash + 1, ' ') : NULL;
    if (!size || !tab || size > tab)
        return err_set (err, ERR_FARM, "git lists a tree in a form that is not known");
    if (++git->entries > git->job->entries_max)
        return err_set (err, ERR_USAGE, "there are more than %lld files, those of submodules too (git/entries of the coordinator)",
                        (long long) git->job->entries_max);
    if (strncmp (record, "160000", 6) == 0)
        return add_module (self, hash + 1, tab + 1, err);
    git->bytes += strtoll (size, NULL, 10);
    if (git->bytes > git->job->size_max)
        return err_set (err, ERR_USAGE, "the files, those of submodules too, have more than %lld MB together (git/size of the coordinator)",
                        (long long) git->job->size_max / 1000000);
    return 0;
}

static int list (const git_t *self, const char *mirror, const char *commit, const char *folder, listing_t *listing, err_t *err)
{
    AUTO_FREE char *git_dir = mem_printf ("--git-dir=%s", mirror), *below = *folder ? mem_printf ("%s/", folder) : NULL;
    const char *arguments [] = { git_dir, "ls-tree", "-r", "-l", "-z", "--full-tree", "--end-of-options", commit, "--", below, NULL };
    if (!below)
        arguments [8] = NULL;
    git_call_t call = { .arguments = arguments, .record = take_entry, .argument = listing };
    int64_t before = self->entries;
    if (git_run (self, &call, err) < 0)
        return -1;
    if (self->entries > before)
        return 0;
    return *folder ? err_set (err, ERR_USAGE, "commit %.12s has no folder %s", commit, folder) : err_set (err, ERR_USAGE, "commit %.12s has no files", commit);
}

/* -- files ------------------------------------------------------------------------------------------------------ */

static int run_in (const git_t *self, const char *mirror, const char *target, const char *const *arguments, err_t *err)
{
    AUTO_FREE char *git_dir = mem_printf ("--git-dir=%s", mirror), *tree = mem_printf ("--work-tree=%s", target);
    const char *all [16] = { "-C", target, git_dir, tree, "-c", "core.bare=false" };
    for (int i = 0; arguments [i]; i++)
        all [i + 6] = arguments [i];
    git_call_t call = { .arguments = all };
    return git_run (self, &call, err);
}
#define RUN_IN(self, mirror, target, err, ...) run_in (self, mirror, target, (const char *const []) { __VA_ARGS__, NULL }, err)

static int write_files (const git_t *self, const char *mirror, const char *commit, const char *target, const char *folder, err_t *err)
{
    if (RUN_IN (self, mirror, target, err, "read-tree", commit) < 0)
        return -1;
    return RUN_IN (self, mirror, target, err, "checkout", "--quiet", "--force", "--no-recurse-submodules", "--", *folder ? folder : ".");
}

/* No part of it may be a link: it would lead out of the folder. */
int git_check_path (const char *root, const char *path, err_t *err)
{
    AUTO_BUFFER buffer_t sofar = { 0 };
    struct stat info;
    buffer_text (&sofar, root);
    for (const char *at = path; *at; ) {
        size_t size = strcspn (at, "/");
        bool is_bad = size == 0 || (size == 1 && *at == '.') || (size == 2 && strncmp (at, "..", 2) == 0);
        buffer_printf (&sofar, "/%.*s", (int) size, at);
        if (is_bad || lstat ((const char *) sofar.data, &info) < 0 || !S_ISDIR (info.st_mode))
            return err_set (err, ERR_USAGE, "%s is no folder of it", path);
        at += size + (at [size] == '/');
    }
    return 0;
}

/* -- submodules ------------------------------------------------------------------------------------------------- */

typedef struct { const char *path; char *name, *url; } wanted_t;

/* "submodule.NAME.path\nVALUE", in the order of the file; a section's path may stand behind its url, so names are found first. */
static int find_name (void *argument, const char *record, err_t *err)
{
    (void) err;
    wanted_t *self = argument;
    const char *end = strchr (record, '\n');
    if (!end || strncmp (record, "submodule.", 10) != 0 || end - record < 15 || strncmp (end - 5, ".path", 5) != 0 || strcmp (end + 1, self->path) != 0)
        return 0;
    free (self->name);
    self->name = mem_strndup (record + 10, (size_t) (end - record) - 15);
    return 0;
}

static int find_url (void *argument, const char *record, err_t *err)
{
    (void) err;
    wanted_t *self = argument;
    const char *end = strchr (record, '\n');
    size_t size = strlen (self->name);
    if (!end || strncmp (record, "submodule.", 10) != 0 || strncmp (record + 10, self->name, size) != 0 || strncmp (record + 10 + size, ".url\n", 5) != 0)
        return 0;
    free (self->url);
    self->url = mem_strdup (end + 1);
    return 0;
}

static int read_modules (const git_t *self, const char *mirror, const char *commit, git_record_fn *record, wanted_t *wanted, err_t *err)
{
    AUTO_FREE char *git_dir = mem_printf ("--git-dir=%s", mirror), *blob = mem_printf ("%s:.gitmodules", commit);
    const char *const arguments [] = { git_dir, "config", "--blob", blob, "-z", "--list", NULL };
    git_call_t call = { .arguments = arguments, .record = record, .argument = wanted };
    return git_run (self, &call, err);
}

static int read_url (const git_t *self, const char *mirror, const char *commit, module_t *module, err_t *err)
{
    wanted_t wanted = { .path = module->path };
    int rc = read_modules (self, mirror, commit, find_name, &wanted, err);
    if (rc == 0 && wanted.name)
        rc = read_modules (self, mirror, commit, find_url, &wanted, err);
    free (wanted.name);
    module->url = wanted.url;
    return rc;
}

static int check_out_module (git_t *self, const source_t *source, const char *target, const module_t *module, int depth, err_t *err)
{
    source_t theirs;
    char pinned [65];
    if (source_of_submodule (source, module->url, &theirs, err) < 0)
        return -1;
    snprintf (theirs.ref, sizeof theirs.ref, "%s", module->commit);
    if (++self->modules > MODULES_MAX)
        return err_set (err, ERR_USAGE, "there are more than %d submodules", MODULES_MAX);
    __attribute__ ((cleanup (git_mirror_let_go))) git_mirror_t mirror = GIT_MIRROR_NONE;
    AUTO_FREE char *below = file_join (target, module->path);
    if (git_check_path (target, module->path, err) < 0 || git_prepare (self, &theirs, err) < 0 || git_mirror (self, &theirs, &mirror, pinned, err) < 0)
        return -1;
    return git_check_out (self, &theirs, &mirror, pinned, below, "", depth + 1, err);
}

/* All that is wanted of the mirror itself. */
static int use_mirror (const git_t *self, const char *mirror, const char *commit, const char *target, const char *folder, listing_t *listing, err_t *err)
{
    if (list (self, mirror, commit, folder, listing, err) < 0 || write_files (self, mirror, commit, target, folder, err) < 0)
        return -1;
    for (size_t i = 0; i < listing->module_count; i++)
        if (read_url (self, mirror, commit, &listing->modules [i], err) < 0)
            return err_wrap (err, "submodule %s", listing->modules [i].path);
    return 0;
}

/* A submodule that .gitmodules does not name stays an empty folder, as with git. */
int git_check_out (git_t *self, const source_t *source, git_mirror_t *mirror, const char *commit, const char *target, const char *folder, int depth, err_t *err)
{
    __attribute__ ((cleanup (listing_free))) listing_t listing = { .git = self };
    if (depth > NESTING_MAX)
        return err_set (err, ERR_USAGE, "its submodules have submodules %d deep", NESTING_MAX);
    if (use_mirror (self, mirror->path, commit, target, folder, &listing, err) < 0)
        return -1;
    git_mirror_let_go (mirror);
    for (size_t i = 0; i < listing.module_count; i++)
        if (listing.modules [i].url && check_out_module (self, source, target, &listing.modules [i], depth, err) < 0)
            return err_wrap (err, "submodule %s", listing.modules [i].path);
    return 0;
}
