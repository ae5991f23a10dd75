/* door.c - the door's front: takes a builder's requests, a thread per connection, and gives the registry's answers.
 *
 *     builder -- Basic attempt:password --> door -- the credential --> registry
 *
 * A request is called upon three times by libmicrohttpd: with its headers, with each part of its body, and at its end. What
 * fails is answered as registries do: {"errors": [{"code": …, "message": …}]}. */
#include "worker/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/mem.h"
#include "worker/door_call.h"
#include "worker/door_guests.h"
#include "worker/door_pass.h"

enum { CONNECTIONS_MAX = 256, STRANGERS_MAX = 128, CONNECTION_MEMORY = 192 * 1024, IDLE_S = 900, STACK_BYTES = 512 * 1024 };

struct door {
    struct MHD_Daemon *daemon;
    int port;
    guests_t *guests;
    door_calls_t calls;
};

static int listen_on (int port, err_t *err)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons ((uint16_t) port) };
    int one = 1;
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    AUTO_CLOSE int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys (err, errno, "make a socket");
    setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind (fd, (struct sockaddr *) &address, sizeof address) != 0 || listen (fd, 128) != 0)
        return err_sys (err, errno, "listen on 127.0.0.1:%d", port);
    return take_fd (&fd);
}

static int port_of (int fd)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    return getsockname (fd, (struct sockaddr *) &address, &size) == 0 ? ntohs (address.sin_port) : 0;
}

int door_new (door_t **out, int port, const registry_settings_t *settings, const door_limits_t *limits, err_t *err)
{
    if (port < 0 || port > 65535)
        return err_set (err, ERR_USAGE, "%d is no port for the door: use 1 to 65535, or 0 for a free one", port);
    AUTO_CLOSE int fd = listen_on (port, err);
    if (fd < 0)
        return err_wrap (err, "the door to the registries");
    door_t *self = mem_alloc (sizeof *self);
    calls_init (&self->calls, settings, limits);
    self->port = port_of (fd);
    self->guests = guests_new (STRANGERS_MAX);
    self->daemon = MHD_start_daemon (MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ITC,
                                     0, NULL, NULL, calls_on_request, &self->calls,
                                     MHD_OPTION_LISTEN_SOCKET, (MHD_socket) fd,
                                     MHD_OPTION_NOTIFY_COMPLETED, calls_on_completed, &self->calls,
                                     MHD_OPTION_NOTIFY_CONNECTION, guests_on_connection, self->guests,
                                     MHD_OPTION_CONNECTION_LIMIT, (unsigned) CONNECTIONS_MAX,
                                     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_MEMORY,
                                     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned) IDLE_S,
                                     MHD_OPTION_THREAD_STACK_SIZE, (size_t) STACK_BYTES, MHD_OPTION_END);
    if (!self->daemon) {
        door_destroy (&self);
        return err_set (err, ERR_FARM, "the door to the registries: its server cannot be started");
    }
    take_fd (&fd);              /* the daemon closes it */
    *out = self;
    return 0;
}

void door_destroy (door_t **self_p)
{
    door_t *self = *self_p;
    if (!self)
        return;
    passes_close_all (self->calls.passes);      /* requests under way stop waiting */
    if (self->daemon)
        MHD_stop_daemon (self->daemon);
    calls_clear (&self->calls);
    guests_destroy (&self->guests);
    free (self);
    *self_p = NULL;
}

int door_port (const door_t *self)
{
    return self->port;
}

void door_open_pass (door_t *self, const door_pass_t *pass, char password [33])
{
    passes_open (self->calls.passes, pass, password);
}

void door_close_pass (door_t *self, int64_t job, int attempt)
{
    passes_close (self->calls.passes, job, attempt);
}

void door_allow (door_t *self, int64_t job, int attempt, const char *host, const char *path)
{
    pass_t *pass = passes_find (self->calls.passes, job, attempt);
    if (pass)
        pass_allow (pass, host, path);
    passes_leave (self->calls.passes, &pass);
}

int door_pushed (door_t *self, int64_t job, int attempt, char digest [OCI_DIGEST_SIZE], char media_type [128],
                 int64_t *size_bytes, err_t *err)
{
    pass_t *pass = passes_find (self->calls.passes, job, attempt);
    bool has_pushed = false;
    if (pass) {
        pthread_mutex_lock (&pass->lock);
        has_pushed = pass->has_pushed;
        if (has_pushed) {
            strcpy (digest, pass->digest);
            strcpy (media_type, pass->media_type);
            *size_bytes = pass->size_bytes;
        }
        pthread_mutex_unlock (&pass->lock);
    }
    passes_leave (self->calls.passes, &pass);
    return has_pushed ? 0 : err_set (err, ERR_NOT_FOUND, "the builder has pushed no manifest");
}

static int check_base (const pass_base_t *base, err_t *err)
{
    if (!base->is_refused)
        return 0;
    if (*base->withheld)
        return err_set (err, ERR_REGISTRY_DENIED, "%s was not given, and the builder may have used a copy of its own: %s", base->reference, base->withheld);
    return err_set (err, ERR_REGISTRY, "its registry did not give %s%s%s%s, and the builder may have used a copy of its own: check that the registry is healthy",
                    base->reference, *base->digest ? " (" : "", base->digest, *base->digest ? " for this build)" : "");
}

int door_check_bases (door_t *self, int64_t job, int attempt, err_t *err)
{
    pass_t *pass = passes_find (self->calls.passes, job, attempt);
    int rc = 0;
    if (!pass)
        return 0;
    pthread_mutex_lock (&pass->lock);
    for (int i = 0; i < pass->base_count && rc == 0; i++)
        rc = check_base (&pass->bases [i], err);
    if (rc == 0 && pass->has_refused_bases)
        rc = err_set (err, ERR_REGISTRY, "a registry did not give a base image beyond the %d that a build may have: name fewer in the Dockerfile, or make two builds of it",
                      PASS_BASES_MAX);
    pthread_mutex_unlock (&pass->lock);
    passes_leave (self->calls.passes, &pass);
    return rc;
}

json_t *door_bases (door_t *self, int64_t job, int attempt)
{
    pass_t *pass = passes_find (self->calls.passes, job, attempt);
    if (!pass)
        return NULL;
    json_t *all = json_array ();
    pthread_mutex_lock (&pass->lock);
    for (int i = 0; i < pass->base_count; i++)
        if (pass->bases [i].is_read)
            json_array_append_new (all, json_pack ("{s:s, s:s}", "reference", pass->bases [i].reference, "digest", pass->bases [i].digest));
    bool is_unknown = pass->has_unknown_bases;
    pthread_mutex_unlock (&pass->lock);
    passes_leave (self->calls.passes, &pass);
    if (!is_unknown)
        return all;
    json_decref (all);
    return NULL;
}

void door_last_error (door_t *self, int64_t job, int attempt, err_t *out)
{
    pass_t *pass = passes_find (self->calls.passes, job, attempt);
    memset (out, 0, sizeof *out);
    if (!pass)
        return;
    pthread_mutex_lock (&pass->lock);
    *out = pass->last_error;
    pthread_mutex_unlock (&pass->lock);
    passes_leave (self->calls.passes, &pass);
}

bool door_was_answered (door_t *self, int64_t job, int attempt)
{
    pass_t *pass = passes_find (self->calls.passes, job, attempt);
    bool was_answered = false;
    if (pass) {
        pthread_mutex_lock (&pass->lock);
        was_answered = pass->was_answered;
        pthread_mutex_unlock (&pass->lock);
    }
    passes_leave (self->calls.passes, &pass);
    return was_answered;
}

void door_clear_error (door_t *self, int64_t job, int attempt)
{
    pass_t *pass = passes_find (self->calls.passes, job, attempt);
    if (pass)
        pass_clear_error (pass);
    passes_leave (self->calls.passes, &pass);
}
