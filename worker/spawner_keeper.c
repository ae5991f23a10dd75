/* spawner_keeper.c - a keeper: the process between the spawner and one builder, see spawner_private.h.
 *
 * Descendants are found in /proc by walking parents, not by process group: a RUN step may make sessions of its own, and
 * one that lost its parent has come to the keeper. They are stopped first, parents before their children, and killed when all of
 * them stand still. Killing goes on until no child is left, so a fork that raced with the walk is found by the next. Where the builder
 * has a cgroup, the kernel kills all that is in it, too. */
#include "worker/spawner_private.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"

enum { WALK_MS = 20, FAULT_FD = 3, GIVE_UP_MS = 30000, STOP_TRIES = 8 };

typedef struct {
    pid_t pid, parent;
    int is_ours;
} process_t;

static int read_parent (const char *pid, pid_t *parent)
{
    char path [64], line [512];
    snprintf (path, sizeof path, "/proc/%.20s/stat", pid);
    AUTO_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read (fd, line, sizeof line - 1);
    if (size <= 0)
        return -1;
    line [size] = 0;
    char *end = strrchr (line, ')');        /* the name before it may contain anything */
    char state;
    return end && sscanf (end + 1, " %c %d", &state, parent) == 2 && state != 'Z' ? 0 : -1;
}

static void read_processes (buffer_t *out)
{
    DIR *folder = opendir ("/proc");
    if (!folder)
        return;
    for (struct dirent *item; (item = readdir (folder));) {
        process_t process = { 0 };
        if (!isdigit ((unsigned char) item->d_name [0]) || read_parent (item->d_name, &process.parent) < 0)
            continue;
        process.pid = (pid_t) strtol (item->d_name, NULL, 10);
        buffer_append (out, &process, sizeof process);
    }
    closedir (folder);
}

static int is_parent_ours (const process_t *all, size_t count, const process_t *process)
{
    if (process->parent == getpid ())
        return 1;
    for (size_t i = 0; i < count; i++)
        if (all [i].is_ours && all [i].pid == process->parent)
            return 1;
    return 0;
}

/* How many there are. */
static int signal_descendants (int signal_number)
{
    AUTO_BUFFER buffer_t buffer = { 0 };
    read_processes (&buffer);
    process_t *all = (process_t *) (void *) buffer.data;
    size_t count = buffer.size / sizeof *all;
    int found = 0, found_before = -1;
    while (found > found_before) {          /* one more generation */
        found_before = found;
        for (size_t i = 0; i < count; i++)
            if (!all [i].is_ours && is_parent_ours (all, count, &all [i])) {
                all [i].is_ours = 1;
                found++;
                kill (all [i].pid, signal_number);
            }
    }
    return found;
}

int spawner_kill_descendants (const spawner_rules_t *rules)
{
    int found = signal_descendants (SIGSTOP), before = 0;
    for (int tries = 0; found > before && tries < STOP_TRIES; tries++) {        /* what was forked meanwhile */
        before = found;
        found = signal_descendants (SIGSTOP);
    }
    spawner_kill_group (rules);
    return signal_descendants (SIGKILL);
}

static void report_fault (int to, spawner_step step)
{
    spawner_fault_t fault = { errno, (int32_t) step };
    ssize_t size = write (to, &fault, sizeof fault);
    _exit (size == sizeof fault ? 127 : 126);
}

/* The child itself: everything closed but its three streams, and the pipe for a fault until it has started. */
_Noreturn static void become (const spawner_program_t *program, int fault)
{
    sigset_t none;
    sigemptyset (&none);
    setsid ();
    for (int number = 1; number < NSIG; number++)
        signal (number, SIG_DFL);
    sigprocmask (SIG_SETMASK, &none, NULL);
    /* output and fault are above 3: the spawner had 0 to 4 open at least when it got them. */
    int null = open ("/dev/null", O_RDONLY);
    if (null < 0 || dup2 (null, 0) < 0 || dup2 (program->output, 1) < 0 || dup2 (program->output, 2) < 0
        || dup3 (fault, FAULT_FD, O_CLOEXEC) < 0)
        report_fault (fault, SPAWNER_FAULT_PROGRAM);
    close_range (FAULT_FD + 1, ~0U, 0);
    if (spawner_obey (program) < 0)
        report_fault (FAULT_FD, SPAWNER_FAULT_RULES);
    spawner_step step;
    if (program->rules.room.ids && spawner_enter_room (program, FAULT_FD, &step) < 0)
        report_fault (FAULT_FD, step);
    if (program->folder [0] && chdir (program->folder) != 0)
        report_fault (FAULT_FD, SPAWNER_FAULT_FOLDER);
    execvpe (program->argv [0], program->argv, program->environment);
    report_fault (FAULT_FD, SPAWNER_FAULT_PROGRAM);
    _exit (126);
}

typedef struct {
    pid_t child;
    const spawner_rules_t *rules;
    int status;
    int has_ended;              /* the child itself */
    int is_killing;
    int64_t give_up_at_ms;      /* stuck in the kernel: nothing more can be done here */
} keeper_t;

/* Take the dead. 0 when no child of any kind is left. */
static int reap (keeper_t *self)
{
    int status;
    pid_t pid;
    while ((pid = waitpid (-1, &status, WNOHANG)) > 0)
        if (pid == self->child) {
            self->has_ended = 1;
            self->status = WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status);
        }
    return pid == 0 || errno != ECHILD;
}

static void start_killing (keeper_t *self)
{
    if (!self->is_killing)
        self->give_up_at_ms = clock_boot_ms () + GIVE_UP_MS;
    self->is_killing = 1;
}

static void read_control (keeper_t *self, int *control)
{
    char byte;
    ssize_t size = read (*control, &byte, sizeof byte);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size != sizeof byte)
        close (take_fd (control));      /* the spawner is gone */
    start_killing (self);
}

/* Until the child and all its descendants have ended; what it left behind is killed when it has. */
static void keep (keeper_t *self, int control, int signals)
{
    while (reap (self)) {
        if (self->has_ended)
            start_killing (self);
        if (self->is_killing && clock_boot_ms () >= self->give_up_at_ms)
            return;
        if (self->is_killing)
            spawner_kill_descendants (self->rules);
        struct pollfd polled [2] = { { signals, POLLIN, 0 }, { control, POLLIN, 0 } };
        if (poll (polled, 2, self->is_killing ? WALK_MS : -1) <= 0)
            continue;
        struct signalfd_siginfo info;
        if (polled [0].revents && read (signals, &info, sizeof info) < 0 && errno != EAGAIN)
            return;
        if (polled [1].revents)
            read_control (self, &control);
    }
}

void spawner_keep (const spawner_program_t *program, int control, int fault)
{
    sigset_t all;
    keeper_t self = { .child = -1, .rules = &program->rules, .status = 127 };
    prctl (PR_SET_NAME, "farm-keeper");
    prctl (PR_SET_CHILD_SUBREAPER, 1);
    sigfillset (&all);
    sigprocmask (SIG_SETMASK, &all, NULL);
    int signals = signalfd (-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    self.child = signals < 0 ? -1 : fork ();
    if (self.child == 0)
        become (program, fault);
    if (self.child < 0) {
        spawner_fault_t report = { errno, 0 };
        ssize_t size = write (fault, &report, sizeof report);
        _exit (size == sizeof report ? 127 : 126);
    }
    close (fault);
    close (program->output);        /* so that the reader sees the end when the builder ends */
    keep (&self, control, signals);
    _exit (self.status);
}
