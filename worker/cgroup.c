/* cgroup.c - see cgroup.h: the worker's sub-tree. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/cgroup_private.h"

static const struct { unsigned bit; const char *name; } controllers [] = {
    { CGROUP_MEMORY, "memory" }, { CGROUP_CPU, "cpu" }, { CGROUP_PIDS, "pids" },
};
enum { CONTROLLERS = sizeof controllers / sizeof *controllers };

/* -- files ------------------------------------------------------------------------------------------------------ */

int cgroup_write (const char *folder, const char *name, const char *text, err_t *err)
{
    AUTO_FREE char *path = file_join (folder, name);
    return file_poke (path, text, err);
}

int cgroup_write_number (const char *folder, const char *name, int64_t number, err_t *err)
{
    char text [32];
    snprintf (text, sizeof text, "%lld", (long long) number);
    return cgroup_write (folder, name, text, err);
}

char *cgroup_read (const char *folder, const char *name)
{
    AUTO_FREE char *path = file_join (folder, name);
    return file_text (path);
}

/* -- controllers --------------------------------------------------------------------------------------------------- */

static bool has_word (const char *text, const char *word)
{
    size_t size = strlen (word);
    for (const char *at = text; (at = strstr (at, word)); at += size)
        if ((at == text || at [-1] == ' ') && (!at [size] || at [size] == ' ' || at [size] == '\n'))
            return true;
    return false;
}

/* One by one: each counts by itself. */
static void change_controllers (const char *folder, char sign, unsigned bits)
{
    for (int i = 0; i < CONTROLLERS; i++) {
        AUTO_FREE char *word = mem_printf ("%c%s", sign, controllers [i].name);
        if (bits & controllers [i].bit)
            cgroup_write (folder, "cgroup.subtree_control", word, NULL);
    }
}

static unsigned given_controllers (const char *folder)
{
    unsigned given = 0;
    AUTO_FREE char *text = cgroup_read (folder, "cgroup.subtree_control");
    for (int i = 0; i < CONTROLLERS; i++)
        if (has_word (text, controllers [i].name))
            given |= controllers [i].bit;
    return given;
}

unsigned cgroup_give_controllers (const char *folder)
{
    change_controllers (folder, '+', CGROUP_ALL);
    return given_controllers (folder);
}

/* -- the sub-tree ----------------------------------------------------------------------------------------------- */

bool cgroups_is_v2 (const char *mount)
{
    struct statfs info;
    return statfs (mount, &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC;
}

/* "0::/system.slice/farm-worker.service" of /proc/self/cgroup. NULL with err; the caller frees. */
static char *find_own (const char *mount, err_t *err)
{
    AUTO_FREE char *text = cgroup_read ("/proc/self", "cgroup");
    if (!cgroups_is_v2 (mount)) {
        err_set (err, ERR_FARM, "%s is no cgroup v2", mount);
        return NULL;
    }
    char *line = strncmp (text, "0::", 3) == 0 ? text : strstr (text, "\n0::");
    char *path = line ? strchr (line, '/') : NULL;
    if (path)
        path [strcspn (path, "\n")] = 0;
    if (!path || strstr (path, "/..")) {
        err_set (err, ERR_FARM, "this worker's own group is not below %s", mount);
        return NULL;
    }
    return mem_printf ("%s%s", mount, strcmp (path, "/") == 0 ? "" : path);
}

static int move_in (const cgroups_t *self, pid_t other, err_t *err)
{
    AUTO_FREE char *folder = file_join (self->folder, "worker");
    if (file_make_folders (folder, 0755, err) < 0)
        return -1;
    if (self->is_root)
        return 0;
    return cgroup_write_number (folder, "cgroup.procs", getpid (), err) < 0 ? -1 : cgroup_write_number (folder, "cgroup.procs", other, err);
}

static char *name_of (const char *state_folder)
{
    char hex [DIGEST_HEX_SIZE + 1];
    AUTO_FREE char *path = realpath (state_folder, NULL);
    const char *name = path ? path : state_folder;
    digest_t digest = digest_of (name, strlen (name));
    digest_to_hex (&digest, hex);
    return mem_printf ("farm-worker-%.16s", hex);
}

static int make_tree (cgroups_t *self, pid_t other, err_t *err)
{
    AUTO_FREE char *type = file_join (self->own, "cgroup.type");
    self->is_root = !file_exists (type);
    cgroup_each_below (self->jobs, cgroup_remove);
    if (file_make_folders (self->jobs, 0755, err) < 0 || move_in (self, other, err) < 0)
        return -1;
    self->controllers = cgroup_give_controllers (self->own) & cgroup_give_controllers (self->folder) & cgroup_give_controllers (self->jobs);
    return 0;
}

int cgroups_new (cgroups_t **out, const char *mount, const char *state_folder, pid_t other, err_t *err)
{
    AUTO_FREE char *own = find_own (mount, err), *name = name_of (state_folder);
    if (!own)
        return -1;
    cgroups_t *self = mem_alloc (sizeof *self);
    self->mount = mem_strdup (mount);
    self->own = take (&own);
    self->folder = file_join (self->own, name);
    self->jobs = file_join (self->folder, "jobs");
    if (make_tree (self, other, err) < 0) {
        cgroups_destroy (&self);
        return -1;
    }
    *out = self;
    return 0;
}

/* The group with the worker in it stays: it cannot go back to where there are controllers now. */
void cgroups_destroy (cgroups_t **self_p)
{
    cgroups_t *self = *self_p;
    if (!self)
        return;
    cgroup_remove_folders (self->folder);
    char *const texts [] = { self->mount, self->own, self->folder, self->jobs };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free (texts [i]);
    free (self);
    *self_p = NULL;
}

/* -- a try ------------------------------------------------------------------------------------------------------- */

/* Controllers first: those of OWN that have none of their own below may have processes beside them again. */
static void move_back (const cgroups_t *self, unsigned had, pid_t other)
{
    err_t err;
    change_controllers (self->jobs, '-', CGROUP_ALL);
    change_controllers (self->folder, '-', CGROUP_ALL);
    change_controllers (self->own, '-', CGROUP_ALL & ~had);
    if (!self->is_root && (cgroup_write_number (self->own, "cgroup.procs", getpid (), &err) < 0
                           || cgroup_write_number (self->own, "cgroup.procs", other, &err) < 0))
        log_warn ("cgroup", "%s: this program stays in %s", err.text, self->folder);
}

int cgroups_try (const char *mount, const char *state_folder, pid_t other, unsigned *given, char **place, err_t *err)
{
    cgroups_t *self = NULL;
    AUTO_FREE char *own = find_own (mount, err), *name = mem_printf ("%s/try.%d", state_folder, getpid ());
    if (!own)
        return -1;
    unsigned had = given_controllers (own);
    if (cgroups_new (&self, mount, name, other, err) < 0)
        return -1;
    *given = self->controllers;
    move_back (self, had, other);
    cgroups_destroy (&self);
    *place = take (&own);
    return 0;
}

const char *cgroups_folder (const cgroups_t *self)
{
    return self->folder;
}

unsigned cgroups_controllers (const cgroups_t *self)
{
    return self->controllers;
}

int64_t cgroups_memory_max (const cgroups_t *self)
{
    int64_t least = INT64_MAX;
    AUTO_FREE char *folder = mem_strdup (self->own);
    for (size_t size = strlen (self->mount); strlen (folder) > size; *strrchr (folder, '/') = 0) {
        AUTO_FREE char *text = cgroup_read (folder, "memory.max");
        char *end;
        int64_t bytes = strtoll (text, &end, 10);
        if (end > text && bytes < least)
            least = bytes;
    }
    return least;
}

void cgroups_limit_all (cgroups_t *self, int64_t memory_bytes)
{
    err_t err;
    if (self->controllers & CGROUP_MEMORY && cgroup_write_number (self->jobs, "memory.max", memory_bytes, &err) < 0)
        log_warn ("cgroup", "%s: jobs together are not limited", err.text);
}
