/* builder_spec.c - see builder_spec.h. */
#include "worker/builder_spec.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"

static void add_map (words_t *words, const char *option, const json_t *map)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *) map, key, value)
        words_add (words, "%s=%s=%s", option, key, json_string_value (value) ? json_string_value (value) : "");
}

void builder_add_spec (const json_t *spec, words_t *words)
{
    const char *target = json_string_value (json_object_get (spec, "target"));
    add_map (words, "--build-arg", json_object_get (spec, "build_args"));
    add_map (words, "--label", json_object_get (spec, "labels"));
    if (target && *target)
        words_add (words, "--target=%s", target);
    if (json_is_true (json_object_get (spec, "no_cache")))
        words_add (words, "--no-cache");
}

int builder_find_hosts (const builder_task_t *task, hosts_t *hosts, builder_outcome_t *outcome, err_t *err)
{
    AUTO_BUFFER buffer_t dockerfile = { 0 };
    if (file_read (task->dockerfile, DOCKERFILE_MAX, &dockerfile, err) < 0)
        return -1;
    hosts_find (dockerfile.data ? (const char *) dockerfile.data : "", dockerfile.size, json_object_get (task->spec, "build_args"), hosts);
    if (hosts->elsewhere [0])
        return err_set (err, ERR_BUILD, "%.200s: a base image comes from a registry: push it to one, and name it there with its host or a tag",
                        hosts->elsewhere);
    outcome->is_repeatable = !hosts->may_fetch;
    for (int i = 0; i < hosts->image_count; i++)
        door_allow (task->door, task->job, task->attempt, hosts->images [i].host, hosts->images [i].path);
    return 0;
}

void builder_secret_word (const builder_task_t *task, char word [SECRET_WORD_SIZE])
{
    unsigned char hash [SECRET_WORD_BYTES];
    crypto_generichash (hash, sizeof hash, (const unsigned char *) task->password, strlen (task->password), NULL, 0);
    sodium_bin2hex (word, SECRET_WORD_SIZE, hash, sizeof hash);
}

int builder_find_reach (const builder_task_t *task, reach_t **out, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    if (!json_is_true (json_object_get (task->spec, "pruned")))
        return 0;
    if (file_read (task->dockerfile, DOCKERFILE_MAX, &text, err) < 0)
        return -1;
    *out = reach_new (text.data ? (const char *) text.data : "", text.size, json_object_get (task->spec, "build_args"));
    return *out ? 0 : err_set (err, ERR_PRUNED, "farmctl left out of the context what no instruction reads, but this worker cannot tell what that is: "
                               "let both have one version, or submit again with --whole-context");
}

int builder_refuse_trigger (const char *step, const char *trigger, builder_outcome_t *outcome, err_t *err)
{
    snprintf (outcome->failed_step, sizeof outcome->failed_step, "%s", step);
    return err_set (err, ERR_PRUNED, "the base image has the trigger ONBUILD %s, which reads files that were left out of the context, as no instruction "
                    "of the Dockerfile reads them: submit again with --whole-context", trigger);
}
