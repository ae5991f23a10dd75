/* docker_command.c - runs docker: environment, config.json. */
#include "worker/docker_private.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "worker/builder_judge.h"
#include "worker/door_names.h"

char *docker_config_file (const char *folder)
{
    return mem_printf ("%s/docker/config.json", folder);
}

int docker_write_config (const char *folder, const builder_task_t *task, err_t *err)
{
    AUTO_FREE char *path = docker_config_file (folder), *own = file_join (folder, "docker"), *tmp = file_join (folder, "tmp");
    AUTO_FREE char *text = task ? door_auth_text (door_port (task->door), task->password) : mem_strdup ("{}\n");
    int rc = file_make_folders (own, 0700, err) < 0 || file_make_folders (tmp, 0700, err) < 0
             || file_write_scratch (path, text, strlen (text), 0600, err) < 0 ? -1 : 0;
    sodium_memzero (text, strlen (text));
    return rc;
}

/* docker before 23 has BuildKit where DOCKER_BUILDKIT is 1; later ones call buildx, whose attestations would make an index of each image. */
static void add_environment (const docker_t *self, const char *folder, words_t *out)
{
    builder_command_add_path (out);
    words_add (out, "HOME=%s", folder);
    words_add (out, "TMPDIR=%s/tmp", folder);
    words_add (out, "DOCKER_CONFIG=%s/docker", folder);
    words_add (out, "DOCKER_BUILDKIT=1");
    words_add (out, "BUILDX_NO_DEFAULT_ATTESTATIONS=1");
    words_add (out, "DOCKER_CLI_HINTS=false");
    if (self->host)
        words_add (out, "DOCKER_HOST=%s", self->host);
}

int docker_run (docker_t *self, const char *folder, const words_t *words, const spawner_rules_t *rules, const builder_watch_t *watch, int *status,
                err_t *err)
{
    AUTO_WORDS words_t argv = { 0 }, environment = { 0 };
    words_add (&argv, "%s", self->program);
    for (size_t i = 0; i < words->count; i++)
        words_add (&argv, "%s", words->items [i]);
    add_environment (self, folder, &environment);
    return builder_command (self->spawner, &argv, &environment, folder, rules, watch, status, err);
}

static void on_said (void *argument, char stream, const char *line, size_t size)
{
    (void) stream;
    if (size > 0)
        builder_keep (argument, DOCKER_SAID_MAX, line, size);
}

int docker_ask (docker_t *self, const words_t *words, int64_t limit_ms, atomic_int *is_cancelled, char said [DOCKER_SAID_MAX], err_t *err)
{
    int status = 0;
    builder_watch_t watch = { .deadline_ms = clock_boot_ms () + limit_ms, .is_cancelled = is_cancelled, .on_line = on_said, .argument = said };
    said [0] = 0;
    if (docker_run (self, self->state_folder, words, NULL, &watch, &status, err) < 0)
        return -1;
    return status == 0 ? 0 : err_set (err, ERR_FARM, "%s", said [0] ? said : "it said nothing");
}
