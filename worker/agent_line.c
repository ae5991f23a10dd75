/* agent_line.c - see agent_line.h. One thread: accept, read, ask, answer; while one is asked for the others wait. */
#include "worker/agent_line.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/agent.h"
#include "common/log.h"

enum { CONNECTIONS_MAX = 16, BACKLOG = 16, FIXED = 2 };

typedef struct {
    int fd;
    uint64_t used;                  /* the larger, the later */
    buffer_t input;                 /* of one message, with its length */
} connection_t;

struct agent_line {
    const char *agent;
    agent_ask_fn *ask;
    void *argument;
    int listener, end;              /* end: an eventfd */
    pthread_t thread;
    connection_t connections [CONNECTIONS_MAX];
    size_t count;
    uint64_t uses;
    pthread_mutex_t lock;           /* of what follows */
    err_t error;
};

static void note_error (agent_line_t *self, const err_t *err)
{
    log_info ("slot", "the ssh agent %s was asked, and failed: %s", self->agent, err->text);
    pthread_mutex_lock (&self->lock);
    self->error = *err;
    pthread_mutex_unlock (&self->lock);
}

void agent_line_take_error (agent_line_t *self, err_t *out)
{
    pthread_mutex_lock (&self->lock);
    *out = self->error;
    self->error = (err_t) { 0 };
    pthread_mutex_unlock (&self->lock);
}

/* -- a connection ------------------------------------------------------------------------------------------------ */

static void hang_up (agent_line_t *self, size_t at)
{
    close (self->connections [at].fd);
    buffer_free (&self->connections [at].input);
    self->connections [at] = self->connections [--self->count];
}

/* Whoever does not take its answer is hung up on. */
static int answer (agent_line_t *self, const connection_t *connection)
{
    static const uint8_t failure [] = { AGENT_FAILURE };
    const uint8_t *request = connection->input.data + AGENT_HEAD;
    size_t size = connection->input.size - AGENT_HEAD;
    AUTO_BUFFER buffer_t found = { 0 };
    err_t err = { 0 };
    bool is_good = agent_check_request (request, size, &err) == 0 && self->ask (self->argument, self->agent, request, size, &found, &err) == 0
                   && agent_check_answer (request, found.data, found.size, &err) == 0;
    if (!is_good)
        note_error (self, &err);
    return agent_send (connection->fd, is_good ? found.data : failure, is_good ? found.size : sizeof failure);
}

/* How many bytes are missing of the message that is being read; -1: it cannot be one. */
static ssize_t missing (const connection_t *connection)
{
    if (connection->input.size < AGENT_HEAD)
        return AGENT_HEAD - (ssize_t) connection->input.size;
    uint32_t size = agent_read_size (connection->input.data);
    return size == 0 || size > AGENT_MESSAGE_MAX ? -1 : (ssize_t) (AGENT_HEAD + size - connection->input.size);
}

/* -1: hang up. */
static int take_input (agent_line_t *self, connection_t *connection)
{
    uint8_t data [4096];
    ssize_t wanted = missing (connection);
    ssize_t got = wanted < 0 ? -1 : recv (connection->fd, data, (size_t) wanted < sizeof data ? (size_t) wanted : sizeof data, MSG_DONTWAIT);
    if (got < 0 && wanted >= 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (got <= 0)
        return -1;
    buffer_append (&connection->input, data, (size_t) got);
    connection->used = ++self->uses;
    if (missing (connection) != 0)
        return missing (connection) < 0 ? -1 : 0;
    int rc = answer (self, connection);
    buffer_clear (&connection->input);
    return rc;
}

/* -- the thread --------------------------------------------------------------------------------------------------- */

/* buildah opens one for each that the step opens, and forgets to close them. */
static void make_room (agent_line_t *self)
{
    size_t oldest = 0;
    for (size_t i = 1; i < self->count; i++)
        if (self->connections [i].used < self->connections [oldest].used)
            oldest = i;
    if (self->count == CONNECTIONS_MAX)
        hang_up (self, oldest);
}

static void accept_one (agent_line_t *self)
{
    struct timeval patience = { .tv_sec = 10 };
    int fd = accept4 (self->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    make_room (self);
    self->connections [self->count++] = (connection_t) { .fd = fd, .used = ++self->uses };
}

static void *serve (void *argument)
{
    agent_line_t *self = argument;
    bool goes_on = true;
    while (goes_on) {
        struct pollfd polled [FIXED + CONNECTIONS_MAX] = { { self->end, POLLIN, 0 }, { self->listener, POLLIN, 0 } };
        size_t count = self->count;
        for (size_t i = 0; i < count; i++)
            polled [FIXED + i] = (struct pollfd) { self->connections [i].fd, POLLIN, 0 };
        if (poll (polled, FIXED + count, -1) < 0)
            continue;
        goes_on = !polled [0].revents;
        for (size_t i = count; goes_on && i > 0; i--)          /* backwards: the last one takes the place of one that goes */
            if (polled [FIXED + i - 1].revents && take_input (self, &self->connections [i - 1]) < 0)
                hang_up (self, i - 1);
        if (goes_on && polled [1].revents)
            accept_one (self);
    }
    return NULL;
}

static int listen_at (agent_line_t *self, const char *path, err_t *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen (path) >= sizeof address.sun_path)
        return err_set (err, ERR_FARM, "the socket %s has too long a name", path);
    strcpy (address.sun_path, path);
    self->listener = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (self->listener < 0 || bind (self->listener, (const struct sockaddr *) &address, sizeof address) < 0 || chmod (path, 0600) < 0
        || listen (self->listener, BACKLOG) < 0)
        return err_sys (err, errno, "listen at %s", path);
    return 0;
}

agent_line_t *agent_line_new (const char *path, const char *agent, agent_ask_fn *ask, void *argument, err_t *err)
{
    agent_line_t *self = mem_alloc (sizeof *self);
    *self = (agent_line_t) { .agent = agent, .ask = ask, .argument = argument, .listener = -1, .end = eventfd (0, EFD_CLOEXEC) };
    pthread_mutex_init (&self->lock, NULL);
    int errnum = 0;
    if (self->end < 0)
        err_sys (err, errno, "make an eventfd");
    else if (listen_at (self, path, err) == 0) {
        errnum = pthread_create (&self->thread, NULL, serve, self);
        if (errnum == 0)
            return self;
        err_sys (err, errnum, "start a thread for an ssh agent");
    }
    auto_close (&self->listener);
    auto_close (&self->end);
    pthread_mutex_destroy (&self->lock);
    free (self);
    return NULL;
}

void agent_line_destroy (agent_line_t **self_p)
{
    agent_line_t *self = *self_p;
    if (!self)
        return;
    eventfd_write (self->end, 1);
    pthread_join (self->thread, NULL);
    while (self->count)
        hang_up (self, self->count - 1);
    auto_close (&self->listener);
    auto_close (&self->end);
    pthread_mutex_destroy (&self->lock);
    free (self);
    *self_p = NULL;
}
