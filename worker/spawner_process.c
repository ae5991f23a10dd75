/* spawner_process.c - the spawner process: takes orders from the worker, forks a keeper for each child, and tells when
 * one ended. Single-threaded, small, and without anything of the worker's but the socket. */
#include "worker/spawner_private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mem.h"

typedef struct kept {
    int64_t child;
    pid_t keeper;
    int control;
    int turn;                       /* -1: it has all cpus */
    struct kept *next;
} kept_t;

typedef struct {
    int socket, signals;
    kept_t *kept;
} process_t;

static void tell (const process_t *self, spawner_verb verb, int64_t child, int value, int32_t step)
{
    spawner_head_t head = { .verb = verb, .value = value, .child = child, .step = step };
    /* A worker that does not read any more is gone; the socket's end will say so. */
    while (send (self->socket, &head, sizeof head, MSG_NOSIGNAL) < 0 && errno == EINTR)
        continue;
}

/* Take the next string out of the message; NULL when its NUL is missing. */
static char *next_string (char **at, char *end)
{
    char *text = *at, *nul = memchr (text, 0, (size_t) (end - text));
    if (!nul)
        return NULL;
    *at = nul + 1;
    return text;
}

static char **next_strings (char **at, char *end, int32_t count)
{
    if (count < 0 || count > SPAWNER_STRINGS_MAX)
        return NULL;
    char **strings = mem_alloc ((size_t) (count + 1) * sizeof *strings);
    for (int32_t i = 0; i < count; i++)
        if (!(strings [i] = next_string (at, end))) {
            free (strings);
            return NULL;
        }
    return strings;
}

/* In the keeper: the spawner's own descriptors are closed, so that its death is seen by all. */
_Noreturn static void become_keeper (const process_t *self, const spawner_program_t *program, int control, int fault)
{
    close (self->socket);
    close (self->signals);
    for (const kept_t *kept = self->kept; kept; kept = kept->next)
        close (kept->control);
    spawner_keep (program, control, fault);
}

static int start (process_t *self, int64_t child, const spawner_program_t *program, spawner_fault_t *fault)
{
    int control [2] = { -1, -1 }, faults [2] = { -1, -1 };
    pid_t keeper = -1;
    if (pipe2 (control, O_CLOEXEC) == 0 && pipe2 (faults, O_CLOEXEC) == 0 && (keeper = fork ()) == 0) {
        close (control [1]);
        close (faults [0]);
        become_keeper (self, program, control [0], faults [1]);
    }
    fault->error = keeper < 0 ? errno : 0;
    auto_close (&control [0]);
    auto_close (&faults [1]);
    if (keeper > 0) {
        ssize_t size;
        while ((size = read (faults [0], fault, sizeof *fault)) < 0 && errno == EINTR)
            continue;
        if (size != sizeof *fault)
            memset (fault, 0, sizeof *fault);       /* closed by a successful execve */
        kept_t *kept = mem_alloc (sizeof *kept);
        *kept = (kept_t) { child, keeper, take_fd (&control [1]), program->rules.cpus > 0 ? program->turn : -1, self->kept };
        self->kept = kept;
    }
    auto_close (&control [1]);
    auto_close (&faults [0]);
    return fault->error ? -1 : 0;
}

static bool is_taken (const process_t *self, int turn)
{
    for (const kept_t *kept = self->kept; kept; kept = kept->next)
        if (kept->turn == turn)
            return true;
    return false;
}

static int next_turn (const process_t *self)
{
    int turn = 0;
    while (is_taken (self, turn))
        turn++;
    return turn;
}

static void on_run (process_t *self, const spawner_head_t *head, char *strings, char *end, int output)
{
    spawner_program_t program = { .output = output, .turn = next_turn (self), .rules = head->rules };
    spawner_fault_t fault = { EINVAL, 0 };
    AUTO_FREE char **argv = next_strings (&strings, end, head->argc);
    AUTO_FREE char **environment = argv ? next_strings (&strings, end, head->envc) : NULL;
    program.argv = argv;
    program.environment = environment;
    program.folder = environment ? next_string (&strings, end) : NULL;
    program.rules.cgroup = program.folder ? next_string (&strings, end) : NULL;
    AUTO_FREE char **places = program.rules.cgroup ? next_strings (&strings, end, head->placec) : NULL;
    program.rules.room.places = (const char *const *) places;
    program.rules.room.secret = places ? next_string (&strings, end) : NULL;
    if (program.rules.room.secret && head->argc > 0 && output >= 0)
        start (self, head->child, &program, &fault);
    tell (self, SPAWNER_STARTED, head->child, fault.error, fault.step);
}

static void on_kill (process_t *self, int64_t child)
{
    for (kept_t *kept = self->kept; kept; kept = kept->next)
        if (kept->child == child && write (kept->control, "", 1) < 0)
            return;         /* its keeper has just ended */
}

/* Returns -1 when the worker is gone. */
static int on_message (process_t *self, char *message)
{
    char rights [CMSG_SPACE (sizeof (int))];
    struct iovec part = { message, SPAWNER_MESSAGE_MAX };
    struct msghdr envelope = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = rights, .msg_controllen = sizeof rights };
    ssize_t size = recvmsg (self->socket, &envelope, MSG_CMSG_CLOEXEC);
    if (size < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (size <= 0)
        return -1;
    AUTO_CLOSE int output = -1;
    struct cmsghdr *control = CMSG_FIRSTHDR (&envelope);
    if (control && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS)
        memcpy (&output, CMSG_DATA (control), sizeof output);
    spawner_head_t head;
    if ((size_t) size < sizeof head)
        return 0;
    memcpy (&head, message, sizeof head);
    if (head.verb == SPAWNER_RUN)
        on_run (self, &head, message + sizeof head, message + size, output);
    else if (head.verb == SPAWNER_KILL)
        on_kill (self, head.child);
    return 0;
}

/* Take the dead; tell of each keeper. What else comes here lost its keeper to a SIGKILL: it is killed too. */
static void reap (process_t *self)
{
    int status;
    for (pid_t pid; (pid = waitpid (-1, &status, WNOHANG)) > 0;)
        for (kept_t **at = &self->kept; *at; at = &(*at)->next)
            if ((*at)->keeper == pid) {
                kept_t *kept = *at;
                *at = kept->next;
                tell (self, SPAWNER_ENDED, kept->child,
                      WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status), 0);
                close (kept->control);
                free (kept);
                break;
            }
}

static void end_all (process_t *self)
{
    for (kept_t *kept = self->kept; kept; kept = kept->next)
        close (kept->control);          /* its keeper kills at once, and ends when none is left */
    for (kept_t *kept; (kept = self->kept); free (kept)) {
        while (waitpid (kept->keeper, NULL, 0) < 0 && errno == EINTR)
            continue;
        self->kept = kept->next;
    }
    for (int tries = 0; spawner_kill_descendants (NULL) > 0 && tries < 500; tries++) {
        poll (NULL, 0, 10);
        while (waitpid (-1, NULL, WNOHANG) > 0)
            continue;
    }
}

/* Keepers are forked from here, and some are in a builder's room: what this program was started with is nothing for them. PATH finds builders. */
static void forget_environment (void)
{
    for (char **entry = environ; *entry; entry++)
        if (strncmp (*entry, "PATH=", 5) != 0)
            explicit_bzero (*entry, strlen (*entry));
}

void spawner_serve (int socket)
{
    process_t self = { .socket = socket };
    sigset_t all;
    struct signalfd_siginfo info;
    AUTO_FREE char *message = mem_alloc (SPAWNER_MESSAGE_MAX);
    prctl (PR_SET_NAME, "farm-spawner");
    forget_environment ();
    prctl (PR_SET_CHILD_SUBREAPER, 1);
    /* Ctrl-C and a stop of the service are the worker's to handle: the spawner lives until the worker has ended. */
    sigfillset (&all);
    sigprocmask (SIG_SETMASK, &all, NULL);
    self.signals = signalfd (-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    struct pollfd polled [2] = { { socket, POLLIN, 0 }, { self.signals, POLLIN, 0 } };
    for (;;) {
        if (poll (polled, 2, -1) < 0 && errno != EINTR)
            break;
        while (read (self.signals, &info, sizeof info) == sizeof info)
            continue;
        reap (&self);
        if (polled [0].revents && on_message (&self, message) < 0)
            break;
    }
    end_all (&self);
}
