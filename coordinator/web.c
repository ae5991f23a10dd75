/* web.c - see web.h. One thread turns libmicrohttpd by its epoll descriptor, and hears the gateway between.
 *
 *     connections --> libmicrohttpd --> web_call.c --HEALTH, READY, METRICS--> gateway --ANSWER--> web_call.c
 *                                                 (web_hook.c) HOOK, RUN
 */
#include "coordinator/web_private.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

enum { CONNECTION_MEMORY = 32 * 1024, IDLE_S = 10, BACKLOG = 64 };

/* -- the address -------------------------------------------------------------------------------------------------- */

/* "127.0.0.1:5572", "[::1]:5572". No names: what a name means may change under us. */
static struct addrinfo *read_address (const char *bind, err_t *err)
{
    const char *colon = strrchr (bind, ':');
    bool is_bracketed = *bind == '[' && colon && colon > bind && colon [-1] == ']';
    AUTO_FREE char *host = colon ? mem_strndup (bind + is_bracketed, (size_t) (colon - bind) - 2 * is_bracketed) : mem_strdup ("");
    const struct addrinfo wanted = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    if (!colon || !*host || !colon [1] || (strchr (host, ':') && !is_bracketed) || getaddrinfo (host, colon + 1, &wanted, &found) != 0) {
        err_set (err, ERR_USAGE, "http/bind is \"%s\": it has to be an address and a port, such as 127.0.0.1:5572 or [::1]:5572, or off", bind);
        return NULL;
    }
    return found;
}

static int listen_on (const char *bind_to, err_t *err)
{
    int one = 1;
    struct addrinfo *address = read_address (bind_to, err);
    if (!address)
        return -1;
    AUTO_CLOSE int fd = socket (address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool listens = fd >= 0 && bind (fd, address->ai_addr, address->ai_addrlen) == 0 && listen (fd, BACKLOG) == 0;
    int errnum = errno;
    freeaddrinfo (address);
    return listens ? take_fd (&fd) : err_sys (err, errnum, "listen on http/bind %s", bind_to);
}

static void note_endpoint (web_t *self, int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host [64] = "?", port [8] = "?";
    if (getsockname (fd, (struct sockaddr *) &address, &size) == 0)
        getnameinfo ((struct sockaddr *) &address, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf (self->endpoint, sizeof self->endpoint, strchr (host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

/* -- new and destroy ---------------------------------------------------------------------------------------------- */

int web_new (web_t **out, const char *bind, const seal_t *seal, err_t *err)
{
    AUTO_CLOSE int fd = listen_on (bind, err);
    if (fd < 0)
        return -1;
    AUTO (web) web_t *self = mem_alloc (sizeof *self);
    self->seal = seal;
    note_endpoint (self, fd);
    self->daemon = MHD_start_daemon (MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, web_on_request, self,
                                     MHD_OPTION_LISTEN_SOCKET, (MHD_socket) fd, MHD_OPTION_NOTIFY_COMPLETED, web_on_completed, self,
                                     MHD_OPTION_CONNECTION_LIMIT, (unsigned) WEB_CONNECTIONS_MAX,
                                     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_MEMORY,
                                     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned) IDLE_S, MHD_OPTION_END);
    if (!self->daemon)
        return err_set (err, ERR_FARM, "the HTTP service on %s cannot be started", bind);
    take_fd (&fd);              /* the daemon closes it */
    const union MHD_DaemonInfo *info = MHD_get_daemon_info (self->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info)
        return err_set (err, ERR_FARM, "the HTTP service on %s has no epoll descriptor", bind);
    self->poll_fd = info->epoll_fd;
    *out = take (&self);
    return 0;
}

void web_destroy (web_t **self_p)
{
    web_t *self = *self_p;
    if (!self)
        return;
    if (self->daemon)
        MHD_stop_daemon (self->daemon);
    free (self);
    *self_p = NULL;
}

const char *web_endpoint (const web_t *self)
{
    return self->endpoint;
}

/* -- the loop ----------------------------------------------------------------------------------------------------- */

/* False when the service shall end. */
static bool take_command (web_t *self)
{
    char *verb = NULL, *id = NULL, *status = NULL, *type = NULL, *body = NULL;
    zstr_recvx (self->pipe, &verb, &id, &status, &type, &body, NULL);
    bool is_end = !verb || streq (verb, "$TERM");
    if (!is_end && streq (verb, "ANSWER") && body)
        web_answer (self, strtoull (id, NULL, 10), atoi (status), type, body);
    else if (!is_end && streq (verb, "SECRET") && type)
        web_on_secret (self, strtoull (id, NULL, 10), status, type);
    zstr_free (&verb);
    zstr_free (&id);
    zstr_free (&status);
    zstr_free (&type);
    zstr_free (&body);
    return !is_end;
}

static long wait_ms (web_t *self)
{
    MHD_UNSIGNED_LONG_LONG idle_ms;
    int64_t left = MHD_get_timeout (self->daemon, &idle_ms) == MHD_YES && idle_ms < 60000 ? (int64_t) idle_ms : 60000;
    for (const web_call_t *call = self->waiting; call; call = call->next) {
        int64_t due = call->deadline - clock_boot_ms ();
        left = due < left ? due : left;
    }
    int denials_ms = denials_tell (self->denials, clock_boot_ms ());
    left = denials_ms >= 0 && denials_ms < left ? denials_ms : left;
    return left < 0 ? 0 : (long) left;
}

/* Nobody may be suspended when the daemon is stopped. */
static void end (web_t *self)
{
    self->is_ending = true;
    web_expire (self, true);
    MHD_run (self->daemon);
    denials_destroy (&self->denials);
    zsock_destroy (&self->outlet);
}

void web_actor (zsock_t *pipe, void *web)
{
    web_t *self = web;
    self->pipe = pipe;
    self->outlet = denials_outlet_new ();
    self->denials = denials_new (denials_send, self->outlet);
    zsock_signal (pipe, 0);
    bool goes_on = true;
    while (goes_on) {
        zmq_pollitem_t items [] = {
            { .socket = zsock_resolve (pipe), .events = ZMQ_POLLIN },
            { .fd = self->poll_fd, .events = ZMQ_POLLIN },
        };
        zmq_poll (items, 2, wait_ms (self));
        while (goes_on && zsock_events (pipe) & ZMQ_POLLIN)
            goes_on = take_command (self);
        web_expire (self, false);
        MHD_run (self->daemon);
    }
    end (self);
}
