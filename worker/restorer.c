/* restorer.c - see restorer.h.
 *
 *     link --RESTORE root--> +----------+ --missing, put--> coordinator's depot service
 *          <--RESTORED------ | restorer | <--cache
 *                            +----------+
 */
#include "worker/restorer.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/actor.h"
#include "common/log.h"
#include "common/msg.h"
#include "worker/restore.h"

enum { NICE = 10 };

struct restorer {
    const attempt_parts_t *parts;
    zsock_t *actor;
    atomic_int is_cancelled;
};

/* -- the thread ------------------------------------------------------------------------------------------------- */

static int restore (restorer_t *self, const digest_t *root, err_t *err)
{
    const attempt_parts_t *parts = self->parts;
    int rc = 0;
    depot_t *depot = cache_enter (parts->cache);
    if (depot_has (depot, root)) {
        AUTO (zsock) zsock_t *objects = msg_connect (parts->objects, parts->own, parts->server_key, err);
        if (objects)
            zsock_set_linger (objects, 0);
        rc = objects ? restore_root (depot, objects, root, &self->is_cancelled, err) : -1;
    }
    cache_leave (parts->cache);
    return rc;
}

static void take_one (restorer_t *self, zsock_t *pipe, const char *hex)
{
    err_t err = { 0 };
    digest_t root;
    int rc = digest_from_hex (&root, hex, &err) < 0 ? -1 : restore (self, &root, &err);
    if (rc < 0)
        log_warn ("restore", "give %.16s back to the coordinator: %s", hex, err.text);
    else if (rc > 0)
        log_info ("restore", "the coordinator had lost parts of %.16s: it has it again", hex);
    zstr_sendx (pipe, hex, rc > 0 ? "found" : "", rc < 0 ? err.text : "", NULL);
}

static void run (zsock_t *pipe, void *restorer)
{
    restorer_t *self = restorer;
    bool is_ended = false;
    setpriority (PRIO_PROCESS, (id_t) gettid (), NICE);         /* of this thread: builds come first */
    zsock_signal (pipe, 0);
    while (!is_ended) {
        AUTO_FREE char *command = zstr_recv (pipe);
        is_ended = !command || streq (command, "$TERM");
        if (!is_ended)
            take_one (self, pipe, command);
    }
}

/* -- the face --------------------------------------------------------------------------------------------------- */

restorer_t *restorer_new (const attempt_parts_t *parts, err_t *err)
{
    AUTO (restorer) restorer_t *self = mem_alloc (sizeof *self);
    self->parts = parts;
    self->actor = actor_new (run, self, err);
    return self->actor ? take (&self) : NULL;
}

void restorer_destroy (restorer_t **self_p)
{
    restorer_t *self = *self_p;
    if (!self)
        return;
    atomic_store (&self->is_cancelled, 1);
    actor_destroy (&self->actor);
    free (self);
    *self_p = NULL;
}

void restorer_ask (restorer_t *self, const char *root_hex)
{
    zstr_send (self->actor, root_hex);
}

zsock_t *restorer_actor (restorer_t *self)
{
    return self->actor;
}

json_t *restorer_next (restorer_t *self)
{
    char *root = NULL, *found = NULL, *text = NULL;
    if (!(zsock_events (self->actor) & ZMQ_POLLIN) || zstr_recvx (self->actor, &root, &found, &text, NULL) < 3)
        return NULL;
    json_t *answer = json_pack ("{s:s, s:b}", "root", root, "found", *found != 0);
    if (*text)
        json_object_set_new (answer, "text", json_string (text));
    zstr_free (&root);
    zstr_free (&found);
    zstr_free (&text);
    return answer;
}
