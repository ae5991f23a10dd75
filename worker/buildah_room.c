/* buildah_room.c - the room that buildah runs in, where the host allows one (spawner_room.c makes it): whose ids, and what of the host it sees.
 *
 * Of the worker's own folders that is the store of the build's repository and, for an attempt, its context, its Dockerfile and its scratch folder. The
 * store belongs to the room's ids on the disk; the attempt's files are root's here and in there. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "worker/buildah_private.h"
#include "worker/runtime_guard.h"

enum { IDS_MIN = 65536 };
static const int64_t ids_end = 4294967295LL;            /* the last one means: none */

/* -- whether ---------------------------------------------------------------------------------------------------- */

static int parse_ids (const char *text, spawner_room_t *room, err_t *err)
{
    long long first, count;
    char more;
    if (sscanf (text, "%lld:%lld%c", &first, &count, &more) != 2 || first < 1 || count < IDS_MIN || first > ids_end || count > ids_end - first)
        return err_set (err, ERR_USAGE, "builder/ids is \"%.60s\": write FIRST:COUNT, a range of %d ids or more that nothing else on this "
                        "host has", text, IDS_MIN);
    room->first_id = first;
    room->ids = count;
    return 0;
}

int buildah_room_choose (buildah_t *self, const builder_settings_t *settings, err_t *err)
{
    const char *user = settings->user && *settings->user ? settings->user : "worker";
    if (strcmp (user, "auto") != 0 && strcmp (user, "own") != 0 && strcmp (user, "worker") != 0)
        return err_set (err, ERR_USAGE, "builder/user is \"%.50s\": write auto, own or worker", user);
    self->must_have_room = strcmp (user, "own") == 0;
    for (const char *const *path = settings->hidden; path && *path; path++)
        words_add (&self->hidden, "%s", *path);
    if (strcmp (user, "worker") == 0)
        buildah_room_refuse (self, "chosen in the settings");
    else if (geteuid () != 0)
        buildah_room_refuse (self, "only a worker that root runs can give it others");
    else {
        self->base.user = "own";
        return parse_ids (settings->ids && *settings->ids ? settings->ids : BUILDER_IDS, &self->room, err);
    }
    return self->must_have_room ? err_set (err, ERR_USAGE, "builder/user is own, but %s", self->base.user_reason) : 0;
}

void buildah_room_refuse (buildah_t *self, const char *why)
{
    free (self->base.user_reason);
    self->base.user_reason = mem_strdup (why);
    self->base.user = "worker";
    self->room = (spawner_room_t) { 0 };
}

/* -- the store -------------------------------------------------------------------------------------------------- */

int buildah_own (const buildah_t *self, const char *path, err_t *err)
{
    if (self->room.ids && lchown (path, (uid_t) self->room.first_id, (gid_t) self->room.first_id) != 0)
        return err_sys (err, errno, "give %s to the builder", path);
    return 0;
}

/* -- what it sees ----------------------------------------------------------------------------------------------- */

static void add_place (words_t *places, char kind, const char *here, const char *there)
{
    words_add (places, "%c%s", kind, here);
    words_add (places, "%s", there);
}

static bool is_in_the_room_anyway (const char *path)
{
    static const char *const folders [] = { "/usr/", "/bin/", "/sbin/", "/lib", "/opt/", "/etc/", "/nix/store/", "/gnu/store/" };
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (strncmp (path, folders [i], strlen (folders [i])) == 0)
            return true;
    return false;
}

/* Where this program lies. After an upgrade the kernel calls the file that runs deleted: the one in its place is taken. */
static bool find_own (char path [PATH_MAX])
{
    static const char mark [] = " (deleted)";
    ssize_t size = readlink ("/proc/self/exe", path, PATH_MAX - 1);
    if (size <= 0)
        return false;
    path [size] = 0;
    size_t rest = sizeof mark - 1;
    if ((size_t) size > rest && strcmp (path + size - rest, mark) == 0)
        path [(size_t) size - rest] = 0;
    return true;
}

static void add_program (const buildah_t *self, words_t *places)
{
    char own [PATH_MAX];
    if (self->program [0] == '/' && !is_in_the_room_anyway (self->program))
        add_place (places, ROOM_READ, self->program, self->program);
    if (find_own (own))
        add_place (places, ROOM_READ, own, RUNTIME_GUARD_PATH);
}

static void add_attempt (const builder_task_t *task, words_t *places)
{
    add_place (places, ROOM_SHIFTED, task->scratch_folder, task->scratch_folder);
    add_place (places, ROOM_SHIFTED, task->context_folder, task->context_folder);
    add_place (places, ROOM_SHIFTED, task->dockerfile, task->dockerfile);
    if (task->vault)
        add_place (places, ROOM_WRITE, task->vault, task->vault);
}

/* The place itself is the worker's: nothing that the builder could change leads out of it. */
static void add_repository (const char *place, const char *storage, bool is_attempt, words_t *places)
{
    static const struct { const char *name; char kind; bool of_attempts; } parts [] = {
        { "data", ROOM_WRITE, true }, { "runtime", ROOM_WRITE, true }, { "empty", ROOM_READ, true }, { "push-policy.json", ROOM_READ, true },
        { "storage.conf", ROOM_READ, true }, { "policy.json", ROOM_READ, false }, { "run", ROOM_WRITE, false }, { "own", ROOM_WRITE, false },
    };
    add_place (places, ROOM_WRITE, storage, storage);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        AUTO_FREE char *path = file_join (place, parts [i].name);
        if (parts [i].of_attempts || !is_attempt)
            add_place (places, parts [i].kind, path, path);
    }
}

void buildah_room_places (const buildah_t *self, const buildah_run_t *how, words_t *places)
{
    AUTO_FREE char *data = file_join (how->place, "data"), *storage = buildah_storage (self, how->place);
    for (size_t i = 0; i < self->hidden.count; i++)
        add_place (places, ROOM_HIDDEN, self->hidden.items [i], self->hidden.items [i]);
    add_repository (how->place, storage, how->task != NULL, places);
    add_place (places, ROOM_WRITE, data, "/var/lib/containers");       /* its memory of blobs */
    add_program (self, places);
    if (how->task)
        add_attempt (how->task, places);
    else                                /* as attempts will: a file system that cannot show files under other ids is found out at the start */
        add_place (places, ROOM_SHIFTED, data, "/mnt");
}

/* -- the door's password ---------------------------------------------------------------------------------------- */

char *buildah_authfile (const buildah_t *self, const builder_task_t *task)
{
    return self->room.ids ? mem_strdup (ROOM_SECRET_PATH) : file_join (task->scratch_folder, "auth.json");
}
