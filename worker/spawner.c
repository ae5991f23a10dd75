/* spawner.c - the worker's side of the spawner: sends orders, and a thread that takes what the spawner process tells.
 * The process itself is in spawner_process.c, what it forks for each child in spawner_keeper.c. */
#include "worker/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "worker/spawner_private.h"

typedef struct child {
    int64_t number;
    bool is_started, has_ended;
    int start_error, fault_step, status;
    struct child *next;
} child_t;

struct spawner {
    int socket;
    pid_t process;
    pthread_t reader;
    pthread_mutex_t lock;
    pthread_cond_t changed;         /* by the monotonic clock */
    child_t *children;
    int64_t last_number;
    bool is_lost;                   /* the spawner process ended */
    bool is_ending;                 /* and shall */
    void (*on_loss) (void);
};

/* Under the lock. */
static child_t *find (spawner_t *self, int64_t number)
{
    for (child_t *child = self->children; child; child = child->next)
        if (child->number == number)
            return child;
    return NULL;
}

static void forget (spawner_t *self, child_t *child)
{
    child_t **at = &self->children;
    while (*at && *at != child)
        at = &(*at)->next;
    if (*at)
        *at = child->next;
    free (child);
}

static void on_told (spawner_t *self, const spawner_head_t *head)
{
    pthread_mutex_lock (&self->lock);
    child_t *child = find (self, head->child);
    if (child && head->verb == SPAWNER_STARTED) {
        child->is_started = true;
        child->start_error = head->value;
        child->fault_step = head->step;
    }
    if (child && head->verb == SPAWNER_ENDED) {
        child->has_ended = true;
        child->status = head->value;
    }
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

static void *read_told (void *argument)
{
    spawner_t *self = argument;
    spawner_head_t head;
    for (;;) {
        ssize_t size = recv (self->socket, &head, sizeof head, 0);
        if (size == sizeof head)
            on_told (self, &head);
        else if (size == 0 || (size < 0 && errno != EINTR))
            break;
    }
    pthread_mutex_lock (&self->lock);
    self->is_lost = true;
    pthread_cond_broadcast (&self->changed);
    if (self->on_loss && !self->is_ending)
        self->on_loss ();
    pthread_mutex_unlock (&self->lock);
    return NULL;
}

/* In the forked process: nothing of the worker's stays open but the socket, the lock and standard error. */
_Noreturn static void become_spawner (int socket, int lock)
{
    int high = fcntl (socket, F_DUPFD_CLOEXEC, 10);     /* out of the way of 0 to 4, which may have been closed */
    int held = lock < 0 ? -1 : fcntl (lock, F_DUPFD_CLOEXEC, 10);
    int null = open ("/dev/null", O_RDWR);
    bool has_stderr = fcntl (2, F_GETFD) >= 0;
    if (high < 0 || null < 0 || dup2 (null, 0) < 0 || dup2 (null, 1) < 0 || (!has_stderr && dup2 (null, 2) < 0)
        || dup3 (high, 3, O_CLOEXEC) < 0 || (lock >= 0 && dup3 (held, 4, O_CLOEXEC) < 0))
        _exit (1);
    close_range (lock < 0 ? 4 : 5, ~0U, 0);
    spawner_serve (3);
    _exit (0);
}

/* The reader takes no signal: they are main's. */
static int start_reader (spawner_t *self, err_t *err)
{
    sigset_t all, before;
    sigfillset (&all);
    pthread_sigmask (SIG_SETMASK, &all, &before);
    int rc = pthread_create (&self->reader, NULL, read_told, self);
    pthread_sigmask (SIG_SETMASK, &before, NULL);
    return rc == 0 ? 0 : err_sys (err, rc, "start the spawner's reader");
}

static void end_process (spawner_t *self)
{
    shutdown (self->socket, SHUT_RDWR);
    while (waitpid (self->process, NULL, 0) < 0 && errno == EINTR)
        continue;
}

int spawner_start (spawner_t **out, int lock, err_t *err)
{
    int ends [2], size = 2 * SPAWNER_MESSAGE_MAX;
    if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return err_sys (err, errno, "make the spawner's socket");
    setsockopt (ends [0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    pid_t process = fork ();
    if (process == 0) {
        close (ends [0]);
        become_spawner (ends [1], lock);
    }
    int error = errno;
    close (ends [1]);
    if (process < 0) {
        close (ends [0]);
        return err_sys (err, error, "fork the spawner");
    }
    spawner_t *self = mem_alloc (sizeof *self);
    pthread_condattr_t monotonic;
    self->socket = ends [0];
    self->process = process;
    pthread_mutex_init (&self->lock, NULL);
    pthread_condattr_init (&monotonic);
    pthread_condattr_setclock (&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init (&self->changed, &monotonic);
    pthread_condattr_destroy (&monotonic);
    if (start_reader (self, err) < 0) {
        end_process (self);
        close (self->socket);
        free (self);
        return -1;
    }
    *out = self;
    return 0;
}

pid_t spawner_pid (const spawner_t *self)
{
    return self->process;
}

void spawner_watch (spawner_t *self, void (*on_loss) (void))
{
    pthread_mutex_lock (&self->lock);
    self->on_loss = on_loss;
    if (self->is_lost)
        on_loss ();
    pthread_mutex_unlock (&self->lock);
}

bool spawner_is_lost (spawner_t *self)
{
    pthread_mutex_lock (&self->lock);
    bool is_lost = self->is_lost;
    pthread_mutex_unlock (&self->lock);
    return is_lost;
}

void spawner_destroy (spawner_t **self_p)
{
    spawner_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_lock (&self->lock);
    self->is_ending = true;
    pthread_mutex_unlock (&self->lock);
    end_process (self);
    pthread_join (self->reader, NULL);
    close (self->socket);
    while (self->children)
        forget (self, self->children);
    pthread_cond_destroy (&self->changed);
    pthread_mutex_destroy (&self->lock);
    free (self);
    *self_p = NULL;
}

static int32_t add_strings (buffer_t *message, const char *const strings [])
{
    int32_t count = 0;
    for (; strings [count]; count++)
        buffer_append (message, strings [count], strlen (strings [count]) + 1);
    return count;
}

/* One message, with the descriptor along when it is >= 0. */
static int send_message (spawner_t *self, const void *data, size_t size, int fd)
{
    char rights [CMSG_SPACE (sizeof fd)] = { 0 };
    struct iovec part = { (void *) data, size };
    struct msghdr envelope = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fd >= 0) {
        envelope.msg_control = rights;
        envelope.msg_controllen = sizeof rights;
        struct cmsghdr *control = CMSG_FIRSTHDR (&envelope);
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = CMSG_LEN (sizeof fd);
        memcpy (CMSG_DATA (control), &fd, sizeof fd);
    }
    ssize_t sent;
    while ((sent = sendmsg (self->socket, &envelope, MSG_NOSIGNAL)) < 0 && errno == EINTR)
        continue;
    return sent < 0 ? -1 : 0;
}

static int send_run (spawner_t *self, int64_t number, const char *const argv [], const char *const environment [],
                     const char *folder, const spawner_rules_t *rules, int output, err_t *err)
{
    AUTO_BUFFER buffer_t message = { 0 };
    spawner_head_t head = { .verb = SPAWNER_RUN, .child = number };
    const char *cgroup = rules && rules->cgroup ? rules->cgroup : "";
    const char *secret = rules && rules->room.secret ? rules->room.secret : "";
    if (rules)
        head.rules = *rules;
    head.rules.cgroup = head.rules.room.secret = NULL;
    head.rules.room.places = NULL;
    buffer_append (&message, &head, sizeof head);
    head.argc = add_strings (&message, argv);
    head.envc = add_strings (&message, environment);
    buffer_append (&message, folder ? folder : "", strlen (folder ? folder : "") + 1);
    buffer_append (&message, cgroup, strlen (cgroup) + 1);
    head.placec = rules && rules->room.places ? add_strings (&message, rules->room.places) : 0;
    buffer_append (&message, secret, strlen (secret) + 1);
    memcpy (message.data, &head, sizeof head);
    if (message.size > SPAWNER_MESSAGE_MAX || head.argc > SPAWNER_STRINGS_MAX || head.envc > SPAWNER_STRINGS_MAX
        || head.placec > 2 * ROOM_PLACES_MAX)
        return err_set (err, ERR_USAGE, "the command line is longer than %d KiB: use fewer or shorter build arguments "
                        "and labels", SPAWNER_MESSAGE_MAX / 1024);
    if (send_message (self, message.data, message.size, output) < 0)
        return err_sys (err, errno, "ask the spawner");
    return 0;
}

static const char *const room_words [] = { "ids of its own (a user namespace)", "processes of its own (a PID namespace)",
                                           "files of its own (a mount namespace)" };

/* Wait until the spawner said whether it runs, and take a failure's number off the list. */
static int await_start (spawner_t *self, int64_t number, const char *program, const char *folder, err_t *err)
{
    int rc = 0;
    pthread_mutex_lock (&self->lock);
    child_t *child = find (self, number);
    while (!child->is_started && !self->is_lost)
        pthread_cond_wait (&self->changed, &self->lock);
    if (!child->is_started)
        rc = err_set (err, ERR_FARM, "the process that starts builders has ended; restart farm-worker");
    else if (child->start_error && child->fault_step == SPAWNER_FAULT_RULES)
        rc = err_sys (err, child->start_error, "put %s under its limits", program);
    else if (child->start_error && child->fault_step >= SPAWNER_FAULT_USERS)
        rc = err_sys (err, child->start_error, "give %s %s", program, room_words [child->fault_step - SPAWNER_FAULT_USERS]);
    else if (child->start_error && child->fault_step == SPAWNER_FAULT_FOLDER)
        rc = err_sys (err, child->start_error, "enter %s", folder);
    else if (child->start_error == ENOENT)
        rc = err_set (err, ERR_FARM, "%s: not found", program);
    else if (child->start_error)
        rc = err_sys (err, child->start_error, "%s", program);
    if (rc < 0)
        forget (self, child);
    pthread_mutex_unlock (&self->lock);
    return rc;
}

static int64_t enter_child (spawner_t *self)
{
    child_t *child = mem_alloc (sizeof *child);
    pthread_mutex_lock (&self->lock);
    int64_t number = child->number = ++self->last_number;
    child->next = self->children;
    self->children = child;
    pthread_mutex_unlock (&self->lock);
    return number;
}

int64_t spawner_run (spawner_t *self, const char *const argv [], const char *const environment [], const char *folder,
                     const spawner_rules_t *rules, int *output, err_t *err)
{
    int ends [2];
    if (pipe2 (ends, O_CLOEXEC) != 0)
        return err_sys (err, errno, "make a pipe for the output of %s", argv [0]);
    AUTO_CLOSE int read_end = ends [0];
    int64_t number = enter_child (self);
    int rc = send_run (self, number, argv, environment, folder, rules, ends [1], err);
    close (ends [1]);
    if (rc < 0) {
        pthread_mutex_lock (&self->lock);
        forget (self, find (self, number));
        pthread_mutex_unlock (&self->lock);
        return -1;
    }
    if (await_start (self, number, argv [0], folder, err) < 0)
        return -1;
    *output = take_fd (&read_end);
    return number;
}

void spawner_kill (spawner_t *self, int64_t child)
{
    spawner_head_t head = { .verb = SPAWNER_KILL, .child = child };
    /* Fails only when the spawner is gone, and its children with it. */
    send_message (self, &head, sizeof head, -1);
}

static struct timespec deadline_in (int timeout_ms)
{
    struct timespec at;
    clock_gettime (CLOCK_MONOTONIC, &at);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += (timeout_ms % 1000) * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    return at;
}

int spawner_wait (spawner_t *self, int64_t number, int timeout_ms, int *status, err_t *err)
{
    struct timespec deadline = deadline_in (timeout_ms > 0 ? timeout_ms : 0);
    int rc = 0, wait_rc = 0;
    pthread_mutex_lock (&self->lock);
    child_t *child = find (self, number);
    while (child && !child->has_ended && !self->is_lost && wait_rc != ETIMEDOUT)
        wait_rc = timeout_ms < 0 ? pthread_cond_wait (&self->changed, &self->lock)
                                 : pthread_cond_timedwait (&self->changed, &self->lock, &deadline);
    if (!child)
        rc = err_set (err, ERR_FARM, "there is no child %lld to wait for", (long long) number);
    else if (child->has_ended)
        *status = child->status;
    else if (self->is_lost)
        rc = err_set (err, ERR_FARM, "the process that starts builders has ended; restart farm-worker");
    else
        rc = err_set (err, ERR_TIMEOUT, "it still runs after %d ms", timeout_ms);
    if (child && (child->has_ended || self->is_lost))
        forget (self, child);
    pthread_mutex_unlock (&self->lock);
    return rc;
}
