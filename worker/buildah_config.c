/* buildah_config.c - the files that tell buildah or podman to go through the door, and with which password.
 *
 * Every registry that the Dockerfile names gets a [[registry]] whose location *is* the door: not a mirror, after which
 * buildah would try the registry itself. The host is the first part of the door's path; since a reference cannot have a
 * ':' there, "registry.lan:5000" is written "registry.lan__5000". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "worker/buildah_private.h"
#include "worker/builder_spec.h"

static int write_text (const char *folder, const char *name, const char *text, mode_t mode, err_t *err)
{
    AUTO_FREE char *path = file_join (folder, name);
    return file_write_scratch (path, text, strlen (text), mode, err);
}

/* Base images come from registries alone: "FROM dir:/…" or "FROM oci-archive:/…" would read the worker's disk. What is pushed comes
 * from the store. */
static const char policy [] = "{\"default\": [{\"type\": \"reject\"}],\n"
                              " \"transports\": {\"docker\": {\"\": [{\"type\": \"insecureAcceptAnything\"}]}}}\n";
static const char push_policy [] = "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}\n";

static int write_shared (const buildah_t *self, const char *place, const char *name, const char *text, err_t *err)
{
    AUTO_FREE char *path = file_join (place, name);
    return write_text (place, name, text, 0600, err) < 0 ? -1 : buildah_own (self, path, err);
}

/* The last two are for commands that are of no attempt. */
int buildah_write_place (const buildah_t *self, const char *place, err_t *err)
{
    static const struct { const char *name, *text; } files [] = {
        { "policy.json", policy }, { "push-policy.json", push_policy }, { "storage.conf", "[storage]\ndriver = \"overlay\"\n" }, { "empty", "" },
        { "own/registries.conf", "" }, { "own/auth.json", "{}\n" },
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (write_shared (self, place, files [i].name, files [i].text, err) < 0)
            return -1;
    return 0;
}

char *buildah_destination (const builder_task_t *task)
{
    AUTO_FREE char *name = door_name (door_port (task->door), &task->repository);
    return mem_printf ("docker://%s:attempt-%lld-%d", name, (long long) task->job, task->attempt);
}

static int write_registries (const builder_task_t *task, const hosts_t *hosts, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    buffer_text (&text, "unqualified-search-registries = [\"docker.io\"]\nshort-name-mode = \"disabled\"\n");
    for (int i = 0; i < hosts->count; i++) {
        char masked [REFERENCE_HOST_MAX + 2];
        if (!door_can_mask (hosts->names [i]))
            continue;
        door_mask (hosts->names [i], masked);
        buffer_printf (&text, "\n[[registry]]\nprefix = \"%s\"\nlocation = \"127.0.0.1:%d/%s\"\ninsecure = true\n",
                       hosts->names [i], door_port (task->door), masked);
    }
    return write_text (task->scratch_folder, "registries.conf", (const char *) text.data, 0600, err);
}

/* Only images of those registries that are reached by the door: one that a base image's trigger names, or a variable that is not known here,
 * would come from its registry itself. */
static int write_policy (const builder_task_t *task, const hosts_t *hosts, err_t *err)
{
    AUTO_JSON json_t *docker = json_object ();
    for (int i = 0; i < hosts->count; i++)
        if (door_can_mask (hosts->names [i]))
            json_object_set_new (docker, hosts->names [i], json_pack ("[{s:s}]", "type", "insecureAcceptAnything"));
    AUTO_JSON json_t *document = json_pack ("{s:[{s:s}], s:{s:O}}", "default", "type", "reject", "transports", "docker", docker);
    AUTO_FREE char *text = json_dumps (document, JSON_COMPACT);
    return write_text (task->scratch_folder, "policy.json", text, 0600, err);
}

/* The registries of images that the worker's settings let through beside those that are named. */
static void add_bases (const buildah_t *self, hosts_t *hosts)
{
    for (size_t i = 0; i < self->bases.count; i++) {
        const char *pattern = self->bases.items [i], *slash = strchr (pattern, '/');
        AUTO_FREE char *host = mem_strndup (pattern, slash ? (size_t) (slash - pattern) : 0);
        if (*host && door_can_mask (host))
            hosts_add (hosts, host);
    }
}

/* Distributions ship aliases that send "fedora" to another registry than Docker does, around the door: ours come first. */
static int write_short_names (const buildah_t *self, const builder_task_t *task, const hosts_t *hosts, err_t *err)
{
    AUTO_FREE char *path = file_join (task->scratch_folder, self->kind->short_names_file), *folder = mem_strndup (path, (size_t) (strrchr (path, '/') - path));
    AUTO_BUFFER buffer_t text = { 0 };
    buffer_text (&text, "[aliases]\n");
    for (int i = 0; i < hosts->short_name_count; i++)
        buffer_printf (&text, "\"%s\" = \"docker.io/%s%s\"\n", hosts->short_names [i],
                       strchr (hosts->short_names [i], '/') ? "" : "library/", hosts->short_names [i]);
    return file_make_folders (folder, 0700, err) < 0 ? -1 : file_write_scratch (path, text.data, text.size, 0600, err);
}

/* In a room it is no file. */
static int write_password (const buildah_t *self, const builder_task_t *task, err_t *err)
{
    AUTO_FREE char *text = door_auth_text (door_port (task->door), task->password);
    return self->room.ids ? 0 : write_text (task->scratch_folder, "auth.json", text, 0600, err);
}

int buildah_write_attempt (const buildah_t *self, const builder_task_t *task, builder_outcome_t *outcome, bool *binds, err_t *err)
{
    AUTO_FREE hosts_t *hosts = mem_alloc (sizeof *hosts);
    if (builder_find_hosts (task, hosts, outcome, err) < 0)
        return -1;
    *binds = hosts->binds;
    hosts_add (hosts, "docker.io");
    hosts_add (hosts, task->repository.host);
    add_bases (self, hosts);
    if (write_registries (task, hosts, err) < 0 || write_policy (task, hosts, err) < 0 || write_short_names (self, task, hosts, err) < 0 || write_password (self, task, err) < 0)
        return err_wrap (err, "prepare the builder's settings");
    return 0;
}
