/* git.c - see git.h. This program has one thread while git runs. */
#include "coordinator/git.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/child.h"

enum { WORDS_MAX = 8192, RECORD_MAX = 8192 };

typedef struct {
    pid_t pid;
    int output, words;
} child_t;

/* -- the process ------------------------------------------------------------------------------------------------ */

static int start (child_t *self, const git_t *git, const char *const *arguments, err_t *err)
{
    char *argv [40] = { "git" };
    int output [2], words [2];
    for (int i = 0; arguments [i] && i < 38; i++)
        argv [i + 1] = (char *) arguments [i];
    if (pipe2 (output, O_CLOEXEC) < 0)
        return err_sys (err, errno, "make a pipe");
    AUTO_CLOSE int output_read = output [0];
    AUTO_CLOSE int output_write = output [1];
    if (pipe2 (words, O_CLOEXEC) < 0)
        return err_sys (err, errno, "make a pipe");
    AUTO_CLOSE int words_read = words [0];
    AUTO_CLOSE int words_write = words [1];
    const child_program_t what = { argv [0], argv, (char *const *) git->environment, -1, output_write, words_write, false };
    int rc = child_start (&self->pid, &what);
    if (rc != 0)
        return err_set (err, ERR_FARM, "git cannot be started on the coordinator: %s; install it there (apt-get install git)", strerror (rc));
    self->output = take_fd (&output_read);
    self->words = take_fd (&words_read);
    return 0;
}

/* The coordinator is gone, and nobody is left to tell. */
static void end_with_coordinator (void)
{
    kill (0, SIGKILL);
}

static int finish (child_t *self, bool is_wanted)
{
    int status = 0;
    if (!is_wanted)
        kill (self->pid, SIGKILL);
    close (self->output);
    close (self->words);
    while (waitpid (self->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* -- what it says ----------------------------------------------------------------------------------------------- */

/* Whole records out of what was read; the rest stays. */
static int give_records (const git_call_t *call, buffer_t *rest, err_t *err)
{
    size_t at = 0;
    for (const uint8_t *end; (end = memchr (rest->data + at, 0, rest->size - at)); at = (size_t) (end - rest->data) + 1)
        if (call->record (call->argument, (const char *) rest->data + at, err) < 0)
            return -1;
    memmove (rest->data, rest->data + at, rest->size - at);
    rest->size -= at;
    return rest->size <= RECORD_MAX ? 0 : err_set (err, ERR_USAGE, "the repository has a path of more than %d bytes", RECORD_MAX);
}

static int take_output (const git_call_t *call, const char *data, size_t size, buffer_t *rest, err_t *err)
{
    if (call->record) {
        buffer_append (rest, data, size);
        return give_records (call, rest, err);
    }
    if (call->output && call->output->size + size > GIT_OUTPUT_MAX)
        return err_set (err, ERR_USAGE, "git says more than %d bytes", GIT_OUTPUT_MAX);
    if (call->output)
        buffer_append (call->output, data, size);
    return 0;
}

static void take_words (buffer_t *words, const char *data, size_t size)
{
    size_t room = WORDS_MAX > words->size ? WORDS_MAX - words->size : 0;
    buffer_append (words, data, size < room ? size : room);
}

static int listen_to (const child_t *child, const git_call_t *call, buffer_t *words, err_t *err)
{
    AUTO_BUFFER buffer_t rest = { 0 };
    struct pollfd fds [3] = { [2] = { .fd = 0, .events = POLLIN } };
    char data [16384];
    for (int open = 3; open; ) {
        int from [2] = { open & 1 ? child->output : -1, open & 2 ? child->words : -1 };
        fds [0] = (struct pollfd) { .fd = from [0], .events = POLLIN };
        fds [1] = (struct pollfd) { .fd = from [1], .events = POLLIN };
        if (poll (fds, 3, -1) < 0)
            continue;           /* EINTR */
        if (fds [2].revents)
            end_with_coordinator ();
        for (int i = 0; i < 2; i++) {
            ssize_t size = fds [i].revents ? read (from [i], data, sizeof data) : -1;
            if (size == 0 || (size < 0 && fds [i].revents && errno != EINTR))
                open &= ~(1 << i);
            else if (size > 0 && i == 1)
                take_words (words, data, (size_t) size);
            else if (size > 0 && take_output (call, data, (size_t) size, &rest, err) < 0)
                return -1;
        }
    }
    return 0;
}

int git_run (const git_t *self, const git_call_t *call, err_t *err)
{
    child_t child;
    AUTO_BUFFER buffer_t words = { 0 };
    if (start (&child, self, call->arguments, err) < 0)
        return -1;
    int rc = listen_to (&child, call, &words, err);
    int status = finish (&child, rc == 0);
    buffer_append (&words, "", 1);
    if (call->output)
        buffer_append (call->output, "", 1);
    if (rc < 0 || status == 0)
        return rc;
    return git_explain ((const char *) words.data, status, err);
}
