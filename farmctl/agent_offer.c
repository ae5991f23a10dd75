/* agent_offer.c - see agent_offer.h.
 *
 *     follower --[ticket, agent, request]--> thread --[ticket, answer or "", why not]--> follower */
#include "farmctl/agent_offer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/actor.h"
#include "common/clock.h"
#include "common/secret.h"

enum { ANSWER_MS = 60000 };

typedef struct {
    char *id, *path;
} offered_t;

struct agent_offer {
    offered_t items [AGENTS_MAX];
    size_t count;
    zsock_t *thread;                /* NULL: nothing was asked yet */
};

/* -- an agent ------------------------------------------------------------------------------------------------------- */

static int connect_to (const char *path, err_t *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    AUTO_CLOSE int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys (err, errno, "open a socket");
    snprintf (address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect (fd, (const struct sockaddr *) &address, sizeof address) < 0)
        return err_set (err, ERR_USAGE, "%s: %s", path, strerror (errno));
    return take_fd (&fd);
}

/* Exactly size bytes, before the deadline. */
static int receive (int fd, uint8_t *data, size_t size, int64_t deadline_ms, err_t *err)
{
    while (size > 0) {
        struct pollfd polled = { fd, POLLIN, 0 };
        int64_t left = deadline_ms - clock_boot_ms ();
        if (left <= 0 || poll (&polled, 1, (int) left) == 0)
            return err_set (err, ERR_TIMEOUT, "no answer within %d s; perhaps a key waits to be confirmed", ANSWER_MS / 1000);
        ssize_t got = recv (fd, data, size, MSG_DONTWAIT);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            return err_set (err, ERR_USAGE, "it hung up");
        data += got;
        size -= (size_t) got;
    }
    return 0;
}

static int ask (const char *path, const uint8_t *request, size_t size, buffer_t *answer, err_t *err)
{
    uint8_t head [AGENT_HEAD];
    int64_t deadline_ms = clock_boot_ms () + ANSWER_MS;
    if (agent_check_request (request, size, err) < 0)
        return -1;
    AUTO_CLOSE int fd = connect_to (path, err);
    if (fd < 0)
        return -1;
    if (agent_send (fd, request, size) < 0)
        return err_sys (err, errno, "send");
    if (receive (fd, head, sizeof head, deadline_ms, err) < 0)
        return -1;
    uint32_t length = agent_read_size (head);
    if (length == 0 || length > AGENT_MESSAGE_MAX)
        return err_set (err, ERR_PROTOCOL, "it answers with %u bytes", length);
    buffer_reserve (answer, length);
    answer->size = length;
    return receive (fd, answer->data, length, deadline_ms, err) < 0 ? -1 : agent_check_answer (request, answer->data, length, err);
}

/* -- the thread ------------------------------------------------------------------------------------------------------ */

static const char *path_of (const agent_offer_t *self, const char *id)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp (self->items [i].id, id) == 0)
            return self->items [i].path;
    return NULL;
}

static void serve_one (const agent_offer_t *self, zsock_t *pipe, const char *ticket, const char *id, zframe_t *request)
{
    AUTO_BUFFER buffer_t answer = { 0 };
    err_t err = { 0 };
    const char *path = path_of (self, id);
    if (!path || ask (path, zframe_data (request), zframe_size (request), &answer, &err) < 0)
        answer.size = 0;
    zmsg_t *message = zmsg_new ();
    zmsg_addstr (message, ticket);
    zmsg_addmem (message, answer.size ? answer.data : (const void *) "", answer.size);
    zmsg_addstr (message, path ? err.text : "it is not offered");
    zmsg_send (&message, pipe);
}

static void agents_actor (zsock_t *pipe, void *argument)
{
    bool goes_on = true;
    zsock_signal (pipe, 0);
    while (goes_on) {
        zmsg_t *message = zmsg_recv (pipe);
        AUTO_FREE char *ticket = message ? zmsg_popstr (message) : NULL;
        AUTO_FREE char *id = message ? zmsg_popstr (message) : NULL;
        zframe_t *request = message ? zmsg_pop (message) : NULL;
        goes_on = message ? !ticket || !streq (ticket, "$TERM") : errno == EINTR;
        if (goes_on && request)
            serve_one (argument, pipe, ticket, id, request);
        zframe_destroy (&request);
        zmsg_destroy (&message);
    }
}

/* -- what is offered -------------------------------------------------------------------------------------------------- */

static int check_socket (const char *option, const char *path, err_t *err)
{
    struct stat found;
    if (!path || !*path)
        return err_set (err, ERR_USAGE, "--ssh %s: no agent: SSH_AUTH_SOCK is not set; start one (eval $(ssh-agent); ssh-add), or give %s=SOCKET", option, option);
    if (strlen (path) >= sizeof ((struct sockaddr_un *) 0)->sun_path)
        return err_set (err, ERR_USAGE, "--ssh %s: the path of its socket is too long", option);
    if (stat (path, &found) < 0)
        return err_set (err, ERR_USAGE, "--ssh %s: %s: %s", option, path, strerror (errno));
    if (!S_ISSOCK (found.st_mode))
        return err_set (err, ERR_USAGE, "--ssh %s: %s is no agent's socket; a key is not sent: add it to an agent (ssh-add %s)", option, path, path);
    return 0;
}

static int add (agent_offer_t *self, const char *option, err_t *err)
{
    const char *equals = strchr (option, '=');
    AUTO_FREE char *id = mem_strndup (option, equals ? (size_t) (equals - option) : strlen (option));
    const char *path = equals ? equals + 1 : getenv ("SSH_AUTH_SOCK");
    if (secret_check_id (id, NULL) < 0 || path_of (self, id))
        return err_set (err, ERR_USAGE, "--ssh \"%s\": give default, default=SOCKET or NAME=SOCKET, each once; a name has letters, digits, '.', '_' and '-'", option);
    if (self->count == AGENTS_MAX)
        return err_set (err, ERR_USAGE, "--ssh %s: a build can have %d agents", option, AGENTS_MAX);
    if (check_socket (option, path, err) < 0)
        return -1;
    self->items [self->count++] = (offered_t) { .id = take (&id), .path = mem_strdup (path) };
    return 0;
}

int agent_offer_read (agent_offer_t **out, const option_list_t *list, err_t *err)
{
    *out = NULL;
    if (list->count == 0)
        return 0;
    AUTO (agent_offer) agent_offer_t *self = mem_alloc (sizeof *self);
    for (size_t i = 0; i < list->count; i++)
        if (add (self, list->items [i], err) < 0)
            return -1;
    *out = take (&self);
    return 0;
}

void agent_offer_destroy (agent_offer_t **self_p)
{
    agent_offer_t *self = *self_p;
    if (!self)
        return;
    actor_destroy (&self->thread);
    for (size_t i = 0; i < self->count; i++) {
        free (self->items [i].id);
        free (self->items [i].path);
    }
    free (self);
    *self_p = NULL;
}

json_t *agent_offer_ids (const agent_offer_t *self)
{
    json_t *ids = json_array ();
    for (size_t i = 0; i < self->count; i++)
        json_array_append_new (ids, json_string (self->items [i].id));
    return ids;
}

/* -- asking ------------------------------------------------------------------------------------------------------------ */

void agent_offer_ask (agent_offer_t *self, const msg_t *request)
{
    size_t size;
    const uint8_t *body = msg_body (request, &size);
    if (!self->thread)
        self->thread = actor_new (agents_actor, self, NULL);
    if (!self->thread)
        return;                     /* the coordinator gives it up after a while */
    zmsg_t *message = zmsg_new ();
    zmsg_addstrf (message, "%lld", (long long) msg_int (request, "ticket"));
    zmsg_addstr (message, msg_text (request, "agent"));
    zmsg_addmem (message, body, size);
    zmsg_send (&message, self->thread);
}

json_t *agent_offer_next (agent_offer_t *self, buffer_t *body)
{
    if (!self->thread || !(zsock_events (self->thread) & ZMQ_POLLIN))
        return NULL;
    zmsg_t *message = zmsg_recv (self->thread);
    AUTO_FREE char *ticket = zmsg_popstr (message);
    zframe_t *answer = zmsg_pop (message);
    AUTO_FREE char *text = zmsg_popstr (message);
    buffer_append (body, zframe_data (answer), zframe_size (answer));
    json_t *header = json_pack ("{s:I}", "ticket", (json_int_t) strtoll (ticket, NULL, 10));
    if (zframe_size (answer) == 0)
        json_object_set_new (header, "text", json_string (*text ? text : "no answer"));
    zframe_destroy (&answer);
    zmsg_destroy (&message);
    return header;
}
