/* buildah_probe.c - finds out what of buildah or podman works here: a container made from nothing, with the host's own programs bound
 * into it read-only, has to run /bin/true. What the kernel, the file system, cgroups, the runtime and the network allow is
 * then known, and needs no guess. */
#include "worker/buildah_probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"

enum { PROBE_MS = 60000 };

/* The last line, and the last "Error: …" among what a command printed. */
typedef struct {
    char last [256], error [512];
} heard_t;

static void on_heard (void *argument, char stream, const char *line, size_t size)
{
    heard_t *self = argument;
    (void) stream;
    if (size == 0)
        return;
    snprintf (self->last, sizeof self->last, "%.*s", (int) (size < 255 ? size : 255), line);
    if (size > 7 && memcmp (line, "Error: ", 7) == 0)
        snprintf (self->error, sizeof self->error, "%.*s", (int) (size - 7 < 511 ? size - 7 : 511), line + 7);
}

static int run (buildah_t *self, const words_t *words, heard_t *heard, err_t *err)
{
    int status = 0;
    AUTO_FREE char *place = buildah_place (self, NULL), *scratch = file_join (place, "own");
    buildah_run_t how = { .place = place, .scratch_folder = scratch, .watch = { .deadline_ms = clock_boot_ms () + PROBE_MS,
                                                                              .on_line = on_heard, .argument = heard } };
    memset (heard, 0, sizeof *heard);
    if (buildah_open_place (self, place, NULL, err) < 0 || buildah_run (self, words, &how, &status, err) < 0)
        return -1;
    if (status != 0)
        return err_set (err, ERR_FARM, "%s", heard->error [0] ? heard->error : heard->last);
    return 0;
}

static bool is_installed (const char *name)
{
    AUTO_FREE char *path = builder_command_find (name);
    return path != NULL;
}

/* A builder in a room has only the folders of programs there that it is told. */
static void settle_program (buildah_t *self)
{
    char *path = strchr (self->program, '/') ? NULL : builder_command_find (self->program);
    if (!path)
        return;
    free (self->program);
    self->program = path;
}

int buildah_probe_version (buildah_t *self, err_t *err)
{
    AUTO_WORDS words_t words = { 0 };
    heard_t heard;
    char name [64], number [64];
    settle_program (self);
    words_add (&words, "--version");
    if (run (self, &words, &heard, err) < 0)
        return err_wrap (err, "the builder cannot be started; install %s, or set builder/program", self->base.driver->packages);
    if (sscanf (heard.last, "%63s version %63s", name, number) != 2 || strcmp (name, self->kind->name) != 0)
        return err_set (err, ERR_FARM, "%s is no %s: it says \"%.100s\" to --version", self->program, self->kind->name, heard.last);
    self->base.version = mem_printf ("%s %s", name, number);
    return 0;
}

static void add_host_folders (words_t *words)
{
    static const char *const folders [] = { "/usr", "/bin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store" };
    struct stat info;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (stat (folders [i], &info) == 0 && S_ISDIR (info.st_mode)) {
            words_add (words, "--volume");
            words_add (words, "%s:%s:ro", folders [i], folders [i]);
        }
}

/* buildah ------------------------------------------------------------------------------------------------------------ */

static int try_run (buildah_t *self, const char *container, const buildah_candidate_t *candidate, err_t *err)
{
    AUTO_WORDS words_t words = { 0 };
    AUTO_FREE char *place = buildah_place (self, NULL), *root = file_join (place, "runtime/probe");
    heard_t heard;
    words_add (&words, "run");
    words_add (&words, "--isolation=%s", candidate->isolation);
    if (candidate->runtime) {
        words_add (&words, "--runtime=%s", candidate->runtime);     /* not the guard: it binds the host's programs */
        words_add (&words, "--runtime-flag=root=%s", root);
    }
    words_add (&words, "--network=%s", candidate->network);
    add_host_folders (&words);
    words_add (&words, "%s", container);
    words_add (&words, "/bin/true");
    int rc = run (self, &words, &heard, err);
    buildah_end_steps_in (self, candidate->runtime, root);
    return rc;
}

/* A container from nothing, a run in it, and its end. */
int buildah_try_container (buildah_t *self, const buildah_candidate_t *candidate, err_t *err)
{
    AUTO_WORDS words_t from = { 0 }, rm = { 0 };
    AUTO_FREE char *place = buildah_place (self, NULL);
    heard_t heard;
    words_add (&from, "from");
    words_add (&from, "--signature-policy=%s/policy.json", place);
    words_add (&from, "scratch");
    if (run (self, &from, &heard, err) < 0)
        return err_wrap (err, "storage driver %s", self->base.storage);
    char container [sizeof heard.last];
    strcpy (container, heard.last);
    int rc = try_run (self, container, candidate, err);
    words_add (&rm, "rm");
    words_add (&rm, "%s", container);
    run (self, &rm, &heard, NULL);      /* what stays is removed with all others later */
    return rc;
}

/* podman ------------------------------------------------------------------------------------------------------------- */

/* What such a build needs, in a folder of the builder's. */
static int write_probe (const buildah_t *self, const char *folder, const char *dockerfile, err_t *err)
{
    static const char text [] = "FROM scratch\nRUN [\"/bin/true\"]\n";
    if (file_make_folders (folder, 0700, err) < 0 || file_write_scratch (dockerfile, text, sizeof text - 1, 0600, err) < 0)
        return -1;
    return buildah_own (self, folder, err) < 0 ? -1 : buildah_own (self, dockerfile, err);
}

static void add_probe (const buildah_candidate_t *candidate, const char *place, const char *folder, const char *root, words_t *words)
{
    words_add (words, "build");
    words_add (words, "--isolation=%s", candidate->isolation);
    words_add (words, "--network=%s", candidate->network);
    words_add (words, "--signature-policy=%s/policy.json", place);
    if (candidate->runtime)
        words_add (words, "--runtime-flag=root=%s", root);
    words_add (words, "--no-cache");
    words_add (words, "--force-rm");
    words_add (words, "--squash-all");
    words_add (words, "--iidfile=%s/image-id", folder);
    add_host_folders (words);
    words_add (words, "--file=%s/Dockerfile", folder);
    words_add (words, "%s", folder);
}

static void remove_probe (buildah_t *self, const char *folder)
{
    AUTO_WORDS words_t words = { 0 };
    AUTO_FREE char *path = file_join (folder, "image-id"), *id = file_text (path);
    heard_t heard;
    id [strcspn (id, "\n")] = 0;
    words_add (&words, "rmi");
    words_add (&words, "%s", id);
    if (*id)
        run (self, &words, &heard, NULL);       /* what stays is pruned with the rest later */
    file_remove_tree (folder, NULL);
}

/* The runtime is one of its global options. */
int buildah_try_build (buildah_t *self, const buildah_candidate_t *candidate, err_t *err)
{
    AUTO_WORDS words_t words = { 0 };
    AUTO_FREE char *place = buildah_place (self, NULL), *folder = file_join (place, "own/probe"), *dockerfile = file_join (folder, "Dockerfile");
    AUTO_FREE char *root = file_join (place, "runtime/probe");
    heard_t heard;
    add_probe (candidate, place, folder, root, &words);
    self->runtime = candidate->runtime;
    int rc = write_probe (self, folder, dockerfile, err) < 0 ? -1 : run (self, &words, &heard, err);
    remove_probe (self, folder);
    buildah_end_steps_in (self, candidate->runtime, root);
    self->runtime = NULL;
    return rc;
}

/* All ways ----------------------------------------------------------------------------------------------------------- */

static void accept (buildah_t *self, const buildah_candidate_t *candidate, const char *wanted, const char *refused)
{
    self->base.isolation = candidate->isolation;
    self->runtime = candidate->runtime;
    self->network = candidate->network;
    free (self->base.isolation_reason);
    if (candidate->runtime)
        self->base.isolation_reason = mem_printf ("%s works here%s", candidate->runtime,
                                   strcmp (candidate->network, "host") == 0 ? ", on the host's network" : "");
    else if (strcmp (wanted, "chroot") == 0)
        self->base.isolation_reason = mem_strdup ("chosen in the settings");
    else
        self->base.isolation_reason = mem_printf ("oci does not work here: %s", refused [0] ? refused : "neither crun nor runc is installed");
}

/* Isolation with the first driver that works: a runtime with a network of its own, on the host's, then chroot. */
static int try_all (buildah_t *self, const char *wanted, err_t *err)
{
    static const buildah_candidate_t candidates [] = {
        { "oci", "crun", "private" }, { "oci", "runc", "private" }, { "oci", "crun", "host" }, { "oci", "runc", "host" },
        { "chroot", NULL, "host" },
    };
    char refused [512] = "";
    err_t last;
    err_set (&last, ERR_FARM, "neither crun nor runc is installed");
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        const buildah_candidate_t *candidate = &candidates [i];
        if ((strcmp (wanted, "auto") != 0 && strcmp (wanted, candidate->isolation) != 0)
            || (candidate->runtime && !is_installed (candidate->runtime)))
            continue;
        if (self->kind->try_candidate (self, candidate, &last) == 0) {
            accept (self, candidate, wanted, refused);
            return 0;
        }
        snprintf (refused, sizeof refused, "%.511s", last.text);
    }
    return err_set (err, last.code, "%s", last.text);
}

int buildah_probe_isolation (buildah_t *self, const char *wanted, err_t *err)
{
    static const char *const drivers [] = { "overlay", "vfs" };
    if (strcmp (wanted, "auto") != 0 && strcmp (wanted, "oci") != 0 && strcmp (wanted, "chroot") != 0)
        return err_set (err, ERR_USAGE, "\"%.50s\" is no isolation: write auto, oci or chroot", wanted);
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
        self->base.storage = drivers [i];
        if (try_all (self, wanted, err) == 0)
            return 0;
    }
    return err_wrap (err, "no container can be run with %s, isolation %s", self->program, wanted);
}
