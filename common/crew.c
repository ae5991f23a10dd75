/* crew.c - see crew.h. */
#include "common/crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/mem.h"

struct crew {
    crew_work *work;
    void *argument;
    size_t count;
    pthread_t threads [CREW_MAX];
};

static void *run (void *argument)
{
    const crew_t *self = argument;
    self->work (self->argument);
    return NULL;
}

crew_t *crew_new (crew_work *work, void *argument, size_t without)
{
    crew_t *self = mem_alloc (sizeof *self);
    sigset_t all, old;
    long processors = sysconf (_SC_NPROCESSORS_ONLN);
    size_t wanted = processors > CREW_MAX ? CREW_MAX : processors < 1 ? 1 : (size_t) processors;
    self->work = work;
    self->argument = argument;
    sigfillset (&all);
    pthread_sigmask (SIG_BLOCK, &all, &old);
    while (self->count + without < wanted && pthread_create (&self->threads [self->count], NULL, run, self) == 0)
        self->count++;
    pthread_sigmask (SIG_SETMASK, &old, NULL);
    return self;
}

void crew_destroy (crew_t **self_p)
{
    crew_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        pthread_join (self->threads [i], NULL);
    free (self);
    *self_p = NULL;
}

size_t crew_size (const crew_t *self)
{
    return self->count;
}
