/* credential_helper.c - see credential_helper.h. The protocol is docker's (docker-credential-helpers): the server's name on
 * standard input, {"ServerURL", "Username", "Secret"} on standard output; or exit status 1 and words on standard output. */
#include "common/credential_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/child.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"

enum { TIMEOUT_MS = 30000, OUTPUT_MAX = 64 * 1024, NAME_SIZE_MAX = 64 };

extern char **environ;

typedef struct {
    pid_t pid;
    int input, output, pidfd;
} helper_t;

static bool is_name (const char *name)
{
    size_t size = strspn (name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return size > 0 && size < NAME_SIZE_MAX && name [size] == 0 && name [0] != '.' && name [0] != '-';
}

/* -- the process --------------------------------------------------------------------------------------------------- */

static int start (helper_t *self, char *program, err_t *err)
{
    char *const argv [] = { program, "get", NULL };
    int to [2], from [2];
    if (pipe2 (to, O_CLOEXEC) < 0)
        return err_sys (err, errno, "make a pipe");
    AUTO_CLOSE int to_read = to [0];
    AUTO_CLOSE int to_write = to [1];
    if (pipe2 (from, O_CLOEXEC) < 0)
        return err_sys (err, errno, "make a pipe");
    AUTO_CLOSE int from_read = from [0];
    AUTO_CLOSE int from_write = from [1];
    const child_program_t what = { program, argv, environ, to_read, from_write, -1, true };
    int rc = child_start (&self->pid, &what);
    if (rc != 0)
        return err_set (err, ERR_FARM, "%s cannot be started: %s; docker's config.json names it, so install it or take it out "
                        "there", program, strerror (rc));
    self->pidfd = pidfd_open (self->pid, 0);
    self->input = take_fd (&to_write);
    self->output = take_fd (&from_read);
    return 0;
}

/* Wait for a descriptor until a time; false when it has passed. */
static bool wait_for (int fd, int64_t until_ms)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    int rc;
    do {
        int64_t left_ms = until_ms - clock_boot_ms ();
        rc = poll (&poll_fd, 1, left_ms > 0 ? (int) left_ms : 0);
    } while (rc < 0 && errno == EINTR);
    return rc > 0;
}

static int read_output (const helper_t *self, int64_t until_ms, buffer_t *out, err_t *err)
{
    char data [4096];
    for (;;) {
        if (!wait_for (self->output, until_ms))
            return err_set (err, ERR_FARM, "no answer within %d s", TIMEOUT_MS / 1000);
        ssize_t size = read (self->output, data, sizeof data);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return err_sys (err, errno, "read its output");
        if (size == 0)
            return 0;
        if (out->size + (size_t) size > OUTPUT_MAX)
            return err_set (err, ERR_FARM, "it says more than %d bytes", OUTPUT_MAX);
        buffer_append (out, data, (size_t) size);
        sodium_memzero (data, (size_t) size);
    }
}

/* Its exit status; what is left of its group is ended. */
static int finish (helper_t *self, int64_t until_ms)
{
    int status = -1;
    if (self->pidfd >= 0)
        wait_for (self->pidfd, until_ms);
    kill (-self->pid, SIGKILL);
    while (waitpid (self->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close (self->output);
    if (self->pidfd >= 0)
        close (self->pidfd);
    return WIFEXITED (status) ? WEXITSTATUS (status) : -1;
}

/* The server's name is at most some hundred bytes, which a pipe takes at once; a helper that has gone already does not
 * matter, its output says why (SIGPIPE is ignored by all our programs). */
static int run (char *program, const char *server, buffer_t *out, int *status, err_t *err)
{
    helper_t helper;
    int64_t until_ms = clock_boot_ms () + TIMEOUT_MS;
    if (start (&helper, program, err) < 0)
        return -1;
    (void) !write (helper.input, server, strlen (server));
    close (helper.input);
    int rc = read_output (&helper, until_ms, out, err);
    *status = finish (&helper, rc == 0 ? until_ms : 0);
    return rc;
}

/* -- what it said -------------------------------------------------------------------------------------------------- */

static int read_answer (const buffer_t *out, char **user, char **secret, err_t *err)
{
    AUTO_JSON json_t *answer = json_loadb ((const char *) out->data, out->size, 0, NULL);
    const char *name = json_string_value (json_object_get (answer, "Username"));
    const char *word = json_string_value (json_object_get (answer, "Secret"));
    if (!name || !word)
        return err_set (err, ERR_FARM, "its answer has no Username and Secret");
    *user = mem_strdup (name);
    *secret = mem_strdup (word);
    return 0;
}

static int judge (const buffer_t *out, int status, char **user, char **secret, err_t *err)
{
    if (status == 0)
        return read_answer (out, user, secret, err);
    const char *words = out->data ? (const char *) out->data : "";
    if (status == 1 && strstr (words, "credentials not found"))
        return 0;
    return err_set (err, ERR_FARM, "it ended with status %d: %.200s; run it by hand to see why", status, words);
}

int credential_helper_get (const char *name, const char *server, char **user, char **secret, err_t *err)
{
    buffer_t out = { 0 };
    int status = -1;
    *user = *secret = NULL;
    if (!is_name (name))
        return err_set (err, ERR_FARM, "\"%.64s\" is no name of a credential helper", name);
    AUTO_FREE char *program = mem_printf ("docker-credential-%s", name);
    int rc = run (program, server, &out, &status, err);
    if (rc == 0)
        rc = judge (&out, status, user, secret, err);
    if (out.data)
        sodium_memzero (out.data, out.capacity);
    buffer_free (&out);
    return rc < 0 ? err_wrap (err, "%s for %s", program, server) : 0;
}
