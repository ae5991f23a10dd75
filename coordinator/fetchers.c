/* fetchers.c - see fetchers.h. */
#include "coordinator/fetchers.h"

#include <dirent.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/actor.h"
#include "common/file.h"
#include "common/mem.h"

enum { FETCHERS_MAX = 16 };

struct fetchers {
    fetcher_settings_t settings;
    fetcher_t fetchers [FETCHERS_MAX];
    zsock_t *actors [FETCHERS_MAX];
    bool is_busy [FETCHERS_MAX];
    int64_t ids [FETCHERS_MAX];     /* of what a busy one is at */
    int count;
    bool winds_down;
    zlistx_t *waiting;              /* of json_t */
};

static void free_task (void **item)
{
    json_decref (*item);
    *item = NULL;
}

/* Of a coordinator that was killed. */
static void sweep (const char *folder)
{
    DIR *opened = opendir (folder);
    for (struct dirent *entry; opened && (entry = readdir (opened)); ) {
        AUTO_FREE char *path = file_join (folder, entry->d_name);
        if (strncmp (entry->d_name, "work-", 5) == 0)
            file_remove_tree (path, NULL);
    }
    if (opened)
        closedir (opened);
}

static int start (fetchers_t *self, int count, err_t *err)
{
    for (; self->count < count; self->count++) {
        fetcher_t *fetcher = &self->fetchers [self->count];
        fetcher->settings = &self->settings;
        fetcher->number = self->count;
        fetcher->wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fetcher->wake_fd < 0)
            return err_sys (err, errno, "make an eventfd");
        self->actors [self->count] = actor_new (fetcher_actor, fetcher, err);
        if (!self->actors [self->count]) {
            close (fetcher->wake_fd);
            return -1;
        }
    }
    return 0;
}

fetchers_t *fetchers_new (int count, const fetcher_settings_t *settings, err_t *err)
{
    AUTO (fetchers) fetchers_t *self = mem_alloc (sizeof *self);
    self->settings = *settings;
    self->settings.folder = mem_strdup (settings->folder);
    self->waiting = zlistx_new ();
    zlistx_set_destructor (self->waiting, free_task);
    sweep (settings->folder);
    return start (self, count < 1 ? 1 : count > FETCHERS_MAX ? FETCHERS_MAX : count, err) < 0 ? NULL : take (&self);
}

static void wake (fetcher_t *fetcher)
{
    uint64_t one = 1;
    (void) !write (fetcher->wake_fd, &one, sizeof one);
}

static void stop_all (fetchers_t *self)
{
    for (int i = 0; i < self->count; i++) {
        atomic_store (&self->fetchers [i].is_stopped, true);
        wake (&self->fetchers [i]);
    }
}

void fetchers_destroy (fetchers_t **self_p)
{
    fetchers_t *self = *self_p;
    if (!self)
        return;
    stop_all (self);
    for (int i = 0; i < self->count; i++) {
        actor_destroy (&self->actors [i]);
        close (self->fetchers [i].wake_fd);
    }
    zlistx_destroy (&self->waiting);
    free (self->settings.folder);
    free (self);
    *self_p = NULL;
}

void fetchers_poll (fetchers_t *self, zpoller_t *poller)
{
    for (int i = 0; i < self->count; i++)
        zpoller_add (poller, self->actors [i]);
}

static int64_t id_of (const json_t *task)
{
    return json_integer_value (json_object_get (task, "fetch"));
}

void fetchers_add (fetchers_t *self, const json_t *task)
{
    zlistx_add_end (self->waiting, json_incref ((json_t *) task));
}

void fetchers_drop (fetchers_t *self, int64_t fetch)
{
    for (int i = 0; i < self->count; i++)
        if (self->is_busy [i] && self->ids [i] == fetch) {
            atomic_store (&self->fetchers [i].dropped, fetch);
            wake (&self->fetchers [i]);
        }
    for (json_t *task = zlistx_first (self->waiting); task; task = zlistx_next (self->waiting))
        if (id_of (task) == fetch) {
            zlistx_delete (self->waiting, zlistx_cursor (self->waiting));
            return;
        }
}

void fetchers_hand_out (fetchers_t *self)
{
    for (int i = 0; i < self->count && !self->winds_down; i++) {
        json_t *task = self->is_busy [i] ? NULL : zlistx_first (self->waiting);
        if (!task)
            continue;
        AUTO_FREE char *text = json_dumps (task, JSON_COMPACT);
        self->is_busy [i] = true;
        self->ids [i] = id_of (task);
        zstr_sendx (self->actors [i], "fetch", text, NULL);
        zlistx_delete (self->waiting, zlistx_cursor (self->waiting));
    }
}

void fetchers_wind_down (fetchers_t *self)
{
    self->winds_down = true;
    stop_all (self);
}

bool fetchers_are_idle (const fetchers_t *self)
{
    for (int i = 0; i < self->count; i++)
        if (self->is_busy [i])
            return false;
    return true;
}

/* Of what was ended here nobody hears: it is begun anew, or nobody waits for it. */
static bool counts (const json_t *event)
{
    const char *code = json_string_value (json_object_get (event, "code"));
    return !code || err_from_name (code) != ERR_INTERRUPTED;
}

json_t *fetchers_next (fetchers_t *self)
{
    for (int i = 0; i < self->count; i++) {
        char *verb = NULL, *text = NULL;
        if (!self->is_busy [i] || !(zsock_events (self->actors [i]) & ZMQ_POLLIN) || zstr_recvx (self->actors [i], &verb, &text, NULL) < 0)
            continue;
        AUTO_JSON json_t *event = json_loads (text, 0, NULL);
        zstr_free (&verb);
        zstr_free (&text);
        self->is_busy [i] = false;
        fetchers_hand_out (self);
        if (event && counts (event))
            return take (&event);
    }
    return NULL;
}
