/* buildah_containers.c - the working containers of builders: each attempt's go at its end, and what killed ones left goes with them.
 *
 * buildah gives its containers no name of ours. But it remembers the --secret options with each container, and an unused
 * secret changes nothing in a build: an empty one, named after the attempt, marks its containers. A Dockerfile that knew its name could have it mounted, or
 * have its own containers bear another's mark: so the name has something of the attempt's password in it. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "worker/buildah_private.h"
#include "worker/builder_spec.h"

enum { CLEAN_MS = 60000, REMOVE_TRIES = 3, CONTAINER_FILE_MAX = 4 * 1024 * 1024 };

void buildah_mark (const builder_task_t *task, char mark [BUILDAH_MARK_SIZE])
{
    char word [SECRET_WORD_SIZE];
    builder_secret_word (task, word);
    snprintf (mark, BUILDAH_MARK_SIZE, "id=farm-attempt-%lld-%d-%s,", (long long) task->job, task->attempt, word);
}

char *buildah_containers_folder (const buildah_t *self, const char *place)
{
    AUTO_FREE char *storage = buildah_storage (self, place);
    return mem_printf ("%s/%s-containers", storage, self->base.storage);
}

static bool is_id (const char *text)
{
    return strlen (text) == 64 && strspn (text, "0123456789abcdef") == 64;
}

static bool has_word (const words_t *words, const char *word)
{
    for (size_t i = 0; i < words->count; i++)
        if (strcmp (words->items [i], word) == 0)
            return true;
    return false;
}

bool buildah_is_marked (const char *containers, const char *id, const char *mark)
{
    AUTO_FREE char *path = mem_printf ("%s/%s/userdata/buildah.json", containers, id);
    AUTO_BUFFER buffer_t text = { 0 };
    return file_read (path, CONTAINER_FILE_MAX, &text, NULL) == 0 && memmem (text.data, text.size, mark, strlen (mark));
}

/* Is another attempt than this one in the place? Under the lock. */
static bool has_others (const buildah_t *self, const char *place, const builder_task_t *task)
{
    for (const active_t *at = self->active; at; at = at->next)
        if (strcmp (at->place, place) == 0 && (!task || at->job != task->job || at->attempt != task->attempt))
            return true;
    return false;
}

/* Those that the store lists; a newer store has a list apart for those that need not outlive a crash. */
static int read_list (const char *containers, const char *name, words_t *out, err_t *err)
{
    AUTO_FREE char *path = file_join (containers, name);
    AUTO_BUFFER buffer_t text = { 0 };
    size_t i;
    json_t *item;
    if (access (path, F_OK) < 0 && errno == ENOENT)
        return 0;
    if (file_read (path, CONTAINER_FILE_MAX, &text, err) < 0)
        return -1;
    AUTO_JSON json_t *list = json_loadb (text.data ? (const char *) text.data : "", text.size, 0, NULL);
    if (!json_is_array (list))
        return err_set (err, ERR_FARM, "%s is no list of containers", path);
    json_array_foreach (list, i, item) {
        const char *id = json_string_value (json_object_get (item, "id"));
        if (id && is_id (id))
            words_add (out, "%s", id);
    }
    return 0;
}

/* A builder was killed before it wrote down what its container is. buildah rm takes one for its own that has these words, and could not
 * remove one that is made from scratch otherwise. */
static int claim (const buildah_t *self, const char *containers, const char *id, err_t *err)
{
    AUTO_FREE char *folder = mem_printf ("%s/%s/userdata", containers, id), *path = file_join (folder, "buildah.json");
    AUTO_FREE char *text = mem_printf ("{\"type\":\"buildah 0.0.1\",\"container-id\":\"%s\"}\n", id);
    if (access (path, F_OK) == 0)
        return 0;
    AUTO_FREE char *above = mem_printf ("%s/%s", containers, id);
    if (file_make_folders (folder, 0700, err) < 0 || file_write_scratch (path, text, strlen (text), 0600, err) < 0)
        return -1;
    return buildah_own (self, above, err) < 0 || buildah_own (self, folder, err) < 0 ? -1 : buildah_own (self, path, err);
}

/* Folders of containers that the store does not list: it was killed while it removed them, and cannot any more. */
static int remove_unlisted (const char *containers, const words_t *listed, err_t *err)
{
    DIR *folder = opendir (containers);
    int rc = 0;
    for (struct dirent *item; rc == 0 && folder && (item = readdir (folder));) {
        AUTO_FREE char *path = file_join (containers, item->d_name);
        if (is_id (item->d_name) && !has_word (listed, item->d_name))
            rc = file_remove_tree (path, err);
    }
    if (folder)
        closedir (folder);
    return rc;
}

/* Of the listed those of the task; all, and what is left of others, when nobody else is in the place: a builder that is killed while it makes
 * or removes one leaves it without a mark, without a folder, or only that. Under the lock: none can come from elsewhere. */
static int choose_containers (buildah_t *self, const char *place, const builder_task_t *task, words_t *out, err_t *err)
{
    AUTO_FREE char *containers = buildah_containers_folder (self, place);
    AUTO_WORDS words_t listed = { 0 };
    bool are_all = !has_others (self, place, task);
    char mark [BUILDAH_MARK_SIZE] = "";
    if (task)
        buildah_mark (task, mark);
    if (read_list (containers, "containers.json", &listed, err) < 0 || read_list (containers, "volatile-containers.json", &listed, err) < 0)
        return -1;
    for (size_t i = 0; i < listed.count; i++)
        if (are_all || (task && buildah_is_marked (containers, listed.items [i], mark)))
            words_add (out, "%s", listed.items [i]);
    for (size_t i = 0; are_all && i < listed.count; i++)
        if (claim (self, containers, listed.items [i], err) < 0)
            return -1;
    return are_all ? remove_unlisted (containers, &listed, err) : 0;
}

static int remove_once (buildah_t *self, const char *place, const builder_task_t *task, err_t *err)
{
    AUTO_WORDS words_t words = { 0 };
    words_add (&words, "rm");
    if (self->kind->rm_option)
        words_add (&words, "%s", self->kind->rm_option);
    size_t options = words.count;
    pthread_mutex_lock (&self->lock);
    int rc = choose_containers (self, place, task, &words, err);
    pthread_mutex_unlock (&self->lock);
    if (rc < 0)
        err_wrap (err, "what builders left in %s", place);
    /* Those that were chosen before something went wrong go all the same. */
    err_t why;
    if (words.count > options && buildah_run_store (self, place, &words, CLEAN_MS, NULL, &why) < 0)
        rc = err_set (err, why.code, "remove %zu working containers: %s", words.count - options, why.text);
    return rc;
}

/* buildah itself may be killed while it removes them (a full memory), and nobody else comes by until the next build. */
static void remove_from (buildah_t *self, const char *place, const builder_task_t *task)
{
    err_t err;
    for (int left = REMOVE_TRIES; left > 0 && remove_once (self, place, task, &err) < 0; left--)
        log_warn ("builder", "%s%s", err.text, left > 1 ? "; it is tried again" : "");
}

void buildah_remove_containers (buildah_t *self, const builder_task_t *task)
{
    AUTO_WORDS words_t places = { 0 };
    AUTO_FREE char *place = buildah_place (self, task);
    if (task)
        words_add (&places, "%s", place);
    else
        buildah_list_places (self, &places);
    for (size_t i = 0; i < places.count; i++)
        remove_from (self, places.items [i], task);
}
