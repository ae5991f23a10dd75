/* docker_probe.c - finds out what docker and its daemon are, and whether a worker can use them. */
#include "worker/docker_private.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

enum { PROBE_MS = 60000 };

/* -- the program ------------------------------------------------------------------------------------------------- */

static int probe_program (docker_t *self, err_t *err)
{
    AUTO_WORDS words_t words = { 0 };
    char said [DOCKER_SAID_MAX];
    char *path = strchr (self->program, '/') ? NULL : builder_command_find (self->program);
    if (path) {
        free (self->program);
        self->program = path;
    }
    words_add (&words, "--version");
    if (docker_ask (self, &words, PROBE_MS, NULL, said, err) < 0)
        return err_wrap (err, "docker cannot be started; install %s, or set builder/program", self->base.driver->packages);
    if (strncmp (said, "Docker version ", 15) != 0)
        return err_set (err, ERR_FARM, "%s is no docker: it says \"%.100s\" to --version", self->program, said);
    return 0;
}

/* -- the daemon -------------------------------------------------------------------------------------------------- */

static const char *text_of (const json_t *facts, const char *field)
{
    const char *text = json_string_value (json_object_get (facts, field));
    return text ? text : "";
}

static bool has_security (const json_t *facts, const char *name)
{
    size_t i;
    json_t *option;
    json_array_foreach (json_object_get (facts, "security"), i, option)
        if (json_is_string (option) && strncmp (json_string_value (option), name, strlen (name)) == 0)
            return true;
    return false;
}

static json_t *ask_facts (docker_t *self, err_t *err)
{
    AUTO_WORDS words_t words = { 0 };
    char said [DOCKER_SAID_MAX];
    words_add (&words, "info");
    words_add (&words, "--format={\"root\":{{json .DockerRootDir}},\"storage\":{{json .Driver}},\"os\":{{json .OSType}},"
                       "\"architecture\":{{json .Architecture}},\"version\":{{json .ServerVersion}},\"security\":{{json .SecurityOptions}}}");
    if (docker_ask (self, &words, PROBE_MS, NULL, said, err) < 0) {
        err_wrap (err, "the docker daemon cannot be asked; start it (systemctl start docker), or set builder/docker-host");
        return NULL;
    }
    json_t *facts = json_loads (said, 0, NULL);
    if (!facts)
        err_set (err, ERR_FARM, "docker info says \"%.200s\"", said);
    return facts;
}

/* Its platform, as the farm writes it. */
static int read_platform (docker_t *self, const json_t *facts, err_t *err)
{
    platform_t platform;
    AUTO_FREE char *text = mem_printf ("%s/%s", text_of (facts, "os"), text_of (facts, "architecture"));
    if (platform_parse (&platform, text, err) < 0)
        return err_wrap (err, "the docker daemon's platform");
    platform_format (&platform, self->platform);
    return 0;
}

/* It has to be on this host, where the door is. */
static int take_facts (docker_t *self, const json_t *facts, err_t *err)
{
    self->root_folder = mem_strdup (text_of (facts, "root"));
    if (has_security (facts, "name=rootless"))
        return err_set (err, ERR_FARM, "the docker daemon is rootless: it has a network of its own, from which it cannot reach this worker's door; let root run it");
    if (*self->root_folder != '/' || access (self->root_folder, F_OK) != 0)
        return err_set (err, ERR_FARM, "the docker daemon's folder %.200s is not here: it has to run on this host", self->root_folder);
    const char *storage = text_of (facts, "storage");
    self->base.storage = strncmp (storage, "overlay", 7) == 0 ? "overlay" : strcmp (storage, "vfs") == 0 ? "vfs" : "other";
    self->base.version = mem_printf ("docker %.50s", text_of (facts, "version"));
    self->base.isolation = "oci";
    self->base.isolation_reason = mem_strdup ("in containers of the docker daemon");
    self->base.user = "docker";
    self->base.user_reason = mem_strdup (has_security (facts, "name=userns") ? "RUN steps have the ids that the docker daemon gives them (userns-remap)"
                                         : "RUN steps are root of this host in the docker daemon's containers: its userns-remap would give them other ids");
    return read_platform (self, facts, err);
}

static int probe_daemon (docker_t *self, err_t *err)
{
    AUTO_JSON json_t *facts = ask_facts (self, err);
    return facts ? take_facts (self, facts, err) : -1;
}

static int probe_network (docker_t *self, err_t *err)
{
    AUTO_WORDS words_t words = { 0 };
    char said [DOCKER_SAID_MAX];
    words_add (&words, "network");
    words_add (&words, "inspect");
    words_add (&words, "--format={{.Name}}");
    words_add (&words, "bridge");
    if (docker_ask (self, &words, PROBE_MS, NULL, said, err) < 0)
        return err_wrap (err, "the docker daemon has no network for RUN steps (dockerd --bridge none?)");
    return 0;
}

/* -- a build ----------------------------------------------------------------------------------------------------- */

/* What BuildKit has to be for that: there, and able to read a folder of ours. Nothing is kept but in its cache. */
static int probe_build (docker_t *self, err_t *err)
{
    static const char text [] = "FROM scratch\nCOPY Dockerfile /\n";
    AUTO_WORDS words_t build = { 0 }, rm = { 0 };
    AUTO_FREE char *folder = file_join (self->state_folder, "probe"), *file = file_join (folder, "Dockerfile"), *id_file = file_join (folder, "id");
    char said [DOCKER_SAID_MAX];
    if (file_make_folders (folder, 0700, err) < 0 || file_write_scratch (file, text, sizeof text - 1, 0600, err) < 0)
        return -1;
    words_add (&build, "build");
    words_add (&build, "--progress=plain");
    words_add (&build, "--iidfile=%s", id_file);
    words_add (&build, "%s", folder);
    int rc = docker_ask (self, &build, PROBE_MS, NULL, said, err);
    AUTO_FREE char *id = file_text (id_file);
    id [strcspn (id, "\n")] = 0;
    words_add (&rm, "rmi");
    words_add (&rm, "%s", id);
    if (*id)
        docker_ask (self, &rm, PROBE_MS, NULL, said, NULL);
    file_remove_tree (folder, NULL);
    return rc < 0 ? err_wrap (err, "%s cannot build with BuildKit; from docker 23 on that needs docker-buildx", self->program) : 0;
}

int docker_probe (docker_t *self, err_t *err)
{
    return probe_program (self, err) < 0 || probe_daemon (self, err) < 0 || probe_network (self, err) < 0 || probe_build (self, err) < 0 ? -1 : 0;
}
