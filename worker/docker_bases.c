/* docker_bases.c - asks the door which image each name in a task's Dockerfile means, and writes the copy that docker gets. */
#include "worker/docker_private.h"

#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/registry.h"
#include "worker/builder_judge.h"
#include "worker/builder_spec.h"
#include "worker/door_names.h"

enum { DOOR_TIMEOUT_MS = 120000 };     /* it asks again and again itself */

/* -- names ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const builder_task_t *task;
    registry_t *door;
    json_t *known;                  /* {"host/path:tag": the name to stand there} */
} resolver_t;

static char *describe (const reference_t *image)
{
    return mem_printf ("%s/%s%s%s", image->host, image->path, *image->digest ? "@" : ":", *image->digest ? image->digest : image->tag);
}

/* It is not the registry alone that says why. */
static void explain (const resolver_t *self, const char *image, const err_t *why, err_t *err)
{
    AUTO_FREE char *text = mem_printf ("%s: %s", image, why->code == ERR_NOT_FOUND ? "not found" : why->text);
    if (builder_judge_registry (self->task, text, err) == 0)
        err_set (err, why->code, "%s", text);
}

/* What the door says the name means: it asks for it as for any builder, and notes it. */
static char *ask_door (const resolver_t *self, const reference_t *image, const char *whole, err_t *err)
{
    manifest_t manifest = { 0 };
    AUTO_FREE char *name = door_name (door_port (self->task->door), image);
    reference_t there;
    err_t why = { 0 };
    if (!door_can_mask (image->host) || reference_parse (&there, name, NULL) < 0) {
        err_set (err, ERR_BUILD, "%s: docker cannot be told of such a registry", whole);
        return NULL;
    }
    door_allow (self->task->door, self->task->job, self->task->attempt, image->host, image->path);      /* a frontend is no base image */
    strcpy (there.tag, image->tag);
    strcpy (there.digest, image->digest);
    int rc = registry_get_manifest (self->door, &there, &manifest, &why);
    if (rc < 0)
        explain (self, whole, &why, err);
    char *pinned = rc < 0 ? NULL : mem_printf ("%s@%s", name, manifest.digest);
    manifest_free (&manifest);
    return pinned;
}

/* Each once, and not more of them than the door lets through. */
static char *resolve (void *argument, const reference_t *image, err_t *err)
{
    resolver_t *self = argument;
    AUTO_FREE char *whole = describe (image);
    const char *known = json_string_value (json_object_get (self->known, whole));
    if (known)
        return mem_strdup (known);
    if (self->task->is_cancelled && atomic_load (self->task->is_cancelled)) {
        err_set (err, ERR_CANCELLED, "cancelled");
        return NULL;
    }
    if (json_object_size (self->known) == IMAGES_MAX) {
        err_set (err, ERR_BUILD, "the Dockerfile names more than %d images", IMAGES_MAX);
        return NULL;
    }
    char *name = ask_door (self, image, whole, err);
    if (name)
        json_object_set_new (self->known, whole, json_string (name));
    return name;
}

static int copy_of_task (const docker_t *self, const builder_task_t *task, registry_t *door, const buffer_t *text, buffer_t *out, json_t *given, err_t *err)
{
    char platform [PLATFORM_MAX];
    AUTO_JSON json_t *known = json_object ();
    resolver_t resolver = { task, door, known };
    docker_names_t names = { json_object_get (task->spec, "build_args"), platform, self->platform, resolve, &resolver };
    platform_format (&task->platform, platform);
    return docker_copy_dockerfile (&names, text->data ? (const char *) text->data : "", text->size, out, given, err);
}

/* -- files ------------------------------------------------------------------------------------------------------- */

/* The second file keeps BuildKit from reading the context's .dockerignore: farmctl has left out what it names. */
static int write_files (const char *folder, const char *file, const buffer_t *text, err_t *err)
{
    static const char nothing [] = "# nothing is left out\n";
    AUTO_FREE char *ignore = mem_printf ("%s.dockerignore", file);
    return file_make_folders (folder, 0700, err) < 0 || file_write_scratch (file, text->data, text->size, 0600, err) < 0
           || file_write_scratch (ignore, nothing, sizeof nothing - 1, 0600, err) < 0 ? -1 : 0;
}

int docker_write_dockerfile (const docker_t *self, const builder_task_t *task, json_t *given, char **file, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 }, copy = { 0 };
    AUTO_FREE char *folder = file_join (task->scratch_folder, "dockerfile"), *path = file_join (folder, "Dockerfile");
    AUTO_FREE char *host = mem_printf ("127.0.0.1:%d", door_port (task->door)), *config = docker_config_file (task->scratch_folder);
    if (file_read (task->dockerfile, DOCKERFILE_MAX, &text, err) < 0)
        return -1;
    const char *plain [] = { host, NULL };
    registry_settings_t settings = { .plain_http_hosts = plain, .auth_file = config, .timeout_ms = DOOR_TIMEOUT_MS };
    AUTO (registry) registry_t *door = registry_new (&settings);
    registry_set_deadline (door, task->deadline_ms);
    if (copy_of_task (self, task, door, &text, &copy, given, err) < 0 || write_files (folder, path, &copy, err) < 0)
        return -1;
    *file = take (&path);
    return 0;
}
