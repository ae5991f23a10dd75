/* actor.c - see actor.h. */
#include "common/actor.h"

#include <pthread.h>

#include "common/mem.h"

enum { HAS_ENDED = 255 };       /* its last signal; those that it sends itself have smaller numbers */

typedef struct {
    zactor_fn *run;
    void *argument;
    zsock_t *pipe;
} shim_t;

static void *run (void *argument)
{
    shim_t *self = argument;
    self->run (self->pipe, self->argument);
    zsock_set_sndtimeo (self->pipe, 0);         /* nobody may be there any more */
    zsock_signal (self->pipe, HAS_ENDED);
    zsock_destroy (&self->pipe);
    free (self);
    return NULL;
}

/* Nobody waits for the thread itself: its last signal says as much. An errno, or 0. */
static int start_detached (shim_t *shim)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init (&attributes);
    pthread_attr_setdetachstate (&attributes, PTHREAD_CREATE_DETACHED);
    int errnum = pthread_create (&thread, &attributes, run, shim);
    pthread_attr_destroy (&attributes);
    return errnum;
}

zsock_t *actor_new (zactor_fn *run_actor, void *argument, err_t *err)
{
    shim_t *shim = mem_alloc (sizeof *shim);
    *shim = (shim_t) { .run = run_actor, .argument = argument };
    zsock_t *self = zsys_create_pipe (&shim->pipe);
    int errnum = start_detached (shim);
    if (errnum) {
        zsock_destroy (&shim->pipe);
        zsock_destroy (&self);
        free (shim);
        err_sys (err, errnum, "start a thread");
        return NULL;
    }
    zsock_wait (self);
    return self;
}

static bool take_end (zsock_t *self)
{
    zmsg_t *message = zmsg_recv (self);
    bool is_end = message && zmsg_signal (message) == HAS_ENDED;
    zmsg_destroy (&message);
    return is_end;
}

/* It may have ended already, or wait until somebody hears what it says before it listens. */
void actor_destroy (zsock_t **self_p)
{
    zsock_t *self = *self_p;
    bool is_told = false, has_ended = !self;
    while (!has_ended) {
        zmq_pollitem_t item = { .socket = zsock_resolve (self), .events = is_told ? ZMQ_POLLIN : ZMQ_POLLIN | ZMQ_POLLOUT };
        if (zmq_poll (&item, 1, -1) < 0)
            has_ended = errno != EINTR;
        else if (item.revents & ZMQ_POLLIN)
            has_ended = take_end (self);
        else
            is_told = zstr_send (self, "$TERM") == 0;
    }
    zsock_destroy (self_p);
}
