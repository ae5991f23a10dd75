/* runtime_guard.c - see runtime_guard.h.
 *
 * A path says little in here, as buildah binds sources elsewhere before it names them. What a mount shows is its device and the path on that
 * device, which /proc/self/mountinfo tells of each. */
#include "worker/runtime_guard.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

enum { CONFIG_MAX = 4 << 20, MOUNTS_MAX = 4 << 20, ID_SIZE = 64 };

/* Where something really lies. */
typedef struct {
    char device [32], type [32];
    char path [2 * PATH_MAX];
} spot_t;

typedef struct {
    char device [32], type [32], root [PATH_MAX], point [PATH_MAX];
} mount_t;

/* -- /proc/self/mountinfo ----------------------------------------------------------------------------------------- */

/* "\040" is a space. In place. */
static void unescape (char *text)
{
    char *out = text;
    for (; *text; text++)
        if (text [0] == '\\' && text [1] >= '0' && text [1] <= '3' && text [2] && text [3]) {
            *out++ = (char) ((text [1] - '0') * 64 + (text [2] - '0') * 8 + (text [3] - '0'));
            text += 3;
        }
        else
            *out++ = *text;
    *out = 0;
}

static bool read_mount (const char *line, size_t size, mount_t *out)
{
    AUTO_FREE char *text = mem_strndup (line, size);
    char *dash = strstr (text, " - ");
    if (!dash || sscanf (text, "%*s %*s %31s %4095s %4095s", out->device, out->root, out->point) != 3 || sscanf (dash, " - %31s", out->type) != 1)
        return false;
    unescape (out->root);
    unescape (out->point);
    return true;
}

/* Is path folder, or below it? */
static bool is_within (const char *path, const char *folder)
{
    size_t size = strlen (folder);
    if (strcmp (folder, "/") == 0)
        return true;
    return strncmp (path, folder, size) == 0 && (!path [size] || path [size] == '/');
}

/* The mount that path is on: the longest point, of those the last. */
static bool find_spot (const char *path, const char *mounts, spot_t *out)
{
    mount_t mount;
    size_t longest = 0;
    bool is_found = false;
    for (const char *line = mounts; *line;) {
        size_t size = strcspn (line, "\n");
        if (read_mount (line, size, &mount) && is_within (path, mount.point) && (!is_found || strlen (mount.point) >= longest)) {
            const char *rest = path + (strcmp (mount.point, "/") == 0 ? 0 : strlen (mount.point));
            is_found = true;
            longest = strlen (mount.point);
            snprintf (out->device, sizeof out->device, "%s", mount.device);
            snprintf (out->type, sizeof out->type, "%s", mount.type);
            snprintf (out->path, sizeof out->path, "%s%s", strcmp (mount.root, "/") == 0 && *rest ? "" : mount.root, rest);
        }
        line += size + (line [size] == '\n');
    }
    return is_found;
}

/* -- what may be mounted ------------------------------------------------------------------------------------------ */

static bool is_below (const spot_t *spot, const char *folder, const char *below, const char *mounts)
{
    spot_t allowed;
    AUTO_FREE char *path = mem_printf ("%s%s", folder, below);
    return find_spot (path, mounts, &allowed) && strcmp (spot->device, allowed.device) == 0 && is_within (spot->path, allowed.path);
}

/* Behind `below` in the store comes the number of a container or of a layer, which nobody can guess, and then `rest`. */
static bool is_in_store (const spot_t *spot, const char *store, const char *below, const char *rest, const char *mounts)
{
    spot_t allowed;
    AUTO_FREE char *path = mem_printf ("%s%s", store, below);
    if (!find_spot (path, mounts, &allowed) || strcmp (spot->device, allowed.device) != 0 || !is_within (spot->path, allowed.path))
        return false;
    const char *id = spot->path + strlen (allowed.path);
    size_t size = *id == '/' ? strspn (id + 1, "0123456789abcdef") : 0;
    return size == ID_SIZE && is_within (id + 1 + size, rest);
}

/* Stages are overlays of their own; with vfs they are folders of the store. */
static bool is_of_the_build (const runtime_guard_t *self, const spot_t *spot, const char *mounts)
{
    spot_t context;
    if (!find_spot (self->context, mounts, &context))
        return false;
    if (strcmp (spot->type, "overlay") == 0 && strcmp (spot->device, context.device) != 0)
        return true;
    return is_below (spot, self->context, "", mounts) || (self->vault [0] && is_below (spot, self->vault, "", mounts)) || is_below (spot, self->scratch, "/tmp", mounts)
           || is_in_store (spot, self->store, "/storage-overlay/overlay-containers", "/userdata/buildah-volumes", mounts)
           || is_in_store (spot, self->store, "/storage-vfs/vfs-containers", "/userdata/buildah-volumes", mounts)
           || is_in_store (spot, self->store, "/storage-vfs/vfs/dir", "", mounts);
}

/* What a runtime gives every container; no name in a Dockerfile comes out like this. */
static bool is_usual (const char *source)
{
    static const char *const usual [] = { "/sys", "/proc", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty",
                                          "/dev/mqueue", "/dev/pts", "/dev/shm", "/sys/fs/cgroup" };
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (strcmp (source, usual [i]) == 0)
            return true;
    return false;
}

static bool is_bind (const json_t *mount)
{
    const char *type = json_string_value (json_object_get (mount, "type"));
    size_t i;
    json_t *option;
    if (type && strcmp (type, "bind") == 0)
        return true;
    json_array_foreach (json_object_get (mount, "options"), i, option) {
        const char *word = json_string_value (option);
        if (word && (strcmp (word, "bind") == 0 || strcmp (word, "rbind") == 0))
            return true;
    }
    return false;
}

static int check_mount (const runtime_guard_t *self, const json_t *mount, const char *mounts, err_t *err)
{
    const char *source = json_string_value (json_object_get (mount, "source")), *target = json_string_value (json_object_get (mount, "destination"));
    char real [PATH_MAX];
    spot_t spot;
    if (!source || !target || !is_bind (mount) || is_usual (source))
        return 0;
    if (realpath (source, real) && find_spot (real, mounts, &spot) && is_of_the_build (self, &spot, mounts))
        return 0;
    return err_set (err, ERR_BUILD, "the mount on %s leads out of the build: its source, or a link in it, may name only what is in the context or in "
                    "another stage, and the id of a cache may hold no \"..\"", target);
}

int runtime_guard_check (const runtime_guard_t *self, const json_t *config, const char *mounts, err_t *err)
{
    size_t i;
    json_t *mount;
    json_array_foreach (json_object_get (config, "mounts"), i, mount)
        if (check_mount (self, mount, mounts, err) < 0)
            return -1;
    return 0;
}

/* -- the program -------------------------------------------------------------------------------------------------- */

/* The folder behind --bundle; NULL where there is none: then no container is made. */
static const char *find_bundle (int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        bool is_long = strcmp (argv [i], "--bundle") == 0 || strcmp (argv [i], "-b") == 0;
        if (is_long && i + 1 < argc)
            return argv [i + 1];
        if (strncmp (argv [i], "--bundle=", 9) == 0)
            return argv [i] + 9;
    }
    return NULL;
}

static bool makes_container (int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp (argv [i], "create") == 0 || strcmp (argv [i], "run") == 0 || strcmp (argv [i], "restore") == 0)
            return true;
    return false;
}

static int check_bundle (const runtime_guard_t *self, const char *bundle, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    AUTO_FREE char *file = file_join (bundle, "config.json");
    json_error_t where;
    if (file_read (file, CONFIG_MAX, &text, err) < 0)
        return -1;
    AUTO_JSON json_t *config = json_loadb ((const char *) text.data, text.size, 0, &where);
    if (!config)
        return err_set (err, ERR_FARM, "%s is no JSON: %s", file, where.text);
    AUTO_FCLOSE FILE *info = fopen ("/proc/self/mountinfo", "re");
    AUTO_FREE char *mounts = mem_alloc (MOUNTS_MAX);
    if (!info || fread (mounts, 1, MOUNTS_MAX - 1, info) == 0)
        return err_sys (err, errno, "read /proc/self/mountinfo");
    return runtime_guard_check (self, config, mounts, err);
}

bool runtime_guard_is_meant (const char *name)
{
    const char *slash = strrchr (name, '/');
    return strcmp (slash ? slash + 1 : name, RUNTIME_GUARD_NAME) == 0;
}

int runtime_guard_main (int argc, char **argv)
{
    AUTO_FREE char *setting = mem_strdup (getenv (RUNTIME_GUARD_VARIABLE));
    char *rest = setting, *runtime = strsep (&rest, ":");
    runtime_guard_t guard = { 0 };
    guard.scratch = strsep (&rest, ":");
    guard.context = strsep (&rest, ":");
    guard.store = strsep (&rest, ":");
    guard.vault = rest;
    const char *bundle = find_bundle (argc, argv);
    err_t err = { 0 };
    if (!guard.vault || (makes_container (argc, argv) && !bundle))
        err_set (&err, ERR_FARM, "%s was not called by a builder of the farm", RUNTIME_GUARD_NAME);
    else if (!bundle || !guard.context [0] || check_bundle (&guard, bundle, &err) == 0) {
        unsetenv (RUNTIME_GUARD_VARIABLE);
        argv [0] = runtime;
        execvp (runtime, argv);
        err_sys (&err, errno, "%s", runtime);
    }
    fprintf (stderr, "%s\n", err.text);
    return 1;
}
