/* inject.c - runs a program and lets one system call of it end badly: the process is killed at it, or it fails.
 *
 *     inject DESCRIPTOR NAME,NAME… PROGRAM ARGUMENT…
 *
 * The names (of the table below) say which calls are looked at. Those of all threads and forked processes of the program are counted
 * together, in the order in which the kernel sees them; strace counts for each thread and call alone, so it could not name the tenth
 * write of a program. What the program starts (builders, helpers) is let alone. So are eventfds, which threads wake each other with,
 * and what the loader and the libraries do before main.
 *
 * Commands on standard input, a line each; answers on the descriptor:
 *     start                        started PID                 nothing runs before
 *     count                        count NAME=N NAME=N …       how many of each name there were so far
 *     arm N kill NAME,NAME…        armed                       the N-th call of these names from now on: SIGKILL
 *     arm N ERRNO NAME,NAME…       armed                       it fails with this number, and is not done
 *     arm new ERRNO NAME,… FILE    armed                       the 1st, 2nd, 3rd, 5th, 8th, 13th … call of its kind, when that is not yet a
 *                                                              line of FILE, which it is added to
 *     disarm                       disarmed
 * and when it happens: fired N NAME CALL THREAD WHAT, the N-th of these names since it was armed; ended STATUS (as waitpid says) with
 * the last count before it; gone: none of its processes lives any more, its builders included. Then inject ends. When its input ends,
 * the program is killed.
 *
 * A seccomp filter has the kernel ask us before each such call (SECCOMP_RET_USER_NOTIF); all others run at full speed. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"

enum { NAMES_MAX = 32, CODE_MAX = 128, LINE_SIZE = 512, KINDS_MAX = 4096, TAIL = 6, THREAD_SIZE = 32 };

typedef struct {
    const char *name;
    uint64_t count;
    int is_armed;
} group_t;

typedef struct { char *text; unsigned count; } kind_t;

static struct {
    group_t groups [NAMES_MAX];
    size_t group_count;
    int has_begun;                  /* the loader and the libraries are done: it has opened something of its own */
    uint64_t left;                  /* calls until it happens; 0: not armed */
    uint64_t passed;                /* armed calls since then */
    FILE *done;                     /* of kinds; NULL: at a number */
    kind_t kinds [KINDS_MAX];       /* since it was armed */
    size_t kind_count;
    int error;                      /* 0: kill */
    int reports, listener, child_fd;
    pid_t child;                    /* 0 before the start */
    char **argv;
    const char *list;
    char program [TEXT_SIZE];       /* what /proc/N/exe says of the program's own processes */
} self;

static void die (const char *what)
{
    fprintf (stderr, "inject: %s: %s\n", what, strerror (errno));
    if (self.child > 0)
        kill (self.child, SIGKILL);
    exit (125);
}

static void report (const char *format, ...)
{
    va_list args;
    va_start (args, format);
    vdprintf (self.reports, format, args);
    va_end (args);
}

static group_t *group_named (const char *name)
{
    for (size_t i = 0; i < self.group_count; i++)
        if (strcmp (self.groups [i].name, name) == 0)
            return &self.groups [i];
    if (self.group_count == NAMES_MAX)
        die ("too many names");
    self.groups [self.group_count].name = name;
    return &self.groups [self.group_count++];
}

static int is_listed (const char *list, const char *name)
{
    size_t size = strlen (name);
    for (const char *at = list; (at = strstr (at, name)); at += size)
        if ((at == list || at [-1] == ',') && (at [size] == 0 || at [size] == ','))
            return 1;
    return 0;
}

/* -- the filter ------------------------------------------------------------------------------------------------- */

/* An open counts as `create` or `open`, so either of them needs the call. With an execve the child waits for us. */
static int is_wanted (const call_t *call, const char *list)
{
    return is_listed (list, call->name) || (strcmp (call->name, "open") == 0 && is_listed (list, "create"))
           || strcmp (call->name, "exec") == 0;
}

static int install_filter (void)
{
    struct sock_filter code [2 * CODE_MAX + 2];
    unsigned short size = 0;
    code [size++] = (struct sock_filter) BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr));
    for (size_t i = 0; i < call_count && i < CODE_MAX; i++)
        if (is_wanted (&calls [i], self.list)) {
            code [size++] = (struct sock_filter) BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, (uint32_t) calls [i].number, 0, 1);
            code [size++] = (struct sock_filter) BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
        }
    code [size++] = (struct sock_filter) BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = { .len = size, .filter = code };
    /* Once we have heard of a call, only death interrupts it: the Go runtime of a builder sends itself signals all the time. */
    return (int) syscall (SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                          SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &filter);
}

/* With the filter the child can do no call that is looked at before somebody listens: it tells its descriptor through memory that both have,
 * and the first such call is its execve. */
static void start (void)
{
    _Atomic int *shared = mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die ("mmap");
    atomic_store (shared, -1);
    self.child = fork ();
    if (self.child == 0) {
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        dup2 (open ("/dev/null", O_RDONLY), 0);
        close (self.reports);
        int listener = install_filter ();
        atomic_store (shared, listener < 0 ? -2 - errno : listener);
        execv (self.argv [0], self.argv);
        _exit (127);
    }
    self.child_fd = self.child < 0 ? -1 : (int) syscall (SYS_pidfd_open, self.child, 0);
    if (self.child_fd < 0)
        die ("start");
    while (atomic_load (shared) == -1)
        usleep (100);
    errno = -2 - atomic_load (shared);
    self.listener = atomic_load (shared) < 0 ? -1 : (int) syscall (SYS_pidfd_getfd, self.child_fd, atomic_load (shared), 0);
    if (self.listener < 0)
        die ("seccomp");
    report ("started %d\n", self.child);
}

/* -- a call ------------------------------------------------------------------------------------------------------ */

static void name_thread (char thread [THREAD_SIZE], pid_t task)
{
    char path [64];
    strcpy (thread, "?");
    snprintf (path, sizeof path, "/proc/%d/comm", task);
    FILE *file = fopen (path, "r");
    if (file && fscanf (file, "%31s", thread) != 1)
        strcpy (thread, "?");
    if (file)
        fclose (file);
}

/* mkstemp's six, or a temporary folder's eight, behind a point or a dash: the size, or 0 */
static size_t random_size (const char *what)
{
    size_t size = strspn (what, "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    size_t small = strspn (what, "abcdefghijklmnopqrstuvwxyz");
    return (size == TAIL && small < size) || size == TAIL + 2 ? size : 0;
}

/* Of digests and numbers */
static size_t number_size (const char *what)
{
    size_t digits = strspn (what, "0123456789"), hex = strspn (what, "0123456789abcdef");
    return hex >= 16 ? hex : digits;
}

/* Numbers, digests and random names are left out: calls that differ by them alone are of one kind. */
static void write_kind (char kind [LINE_SIZE], const char *call, const char *thread, const char *what)
{
    char *out = kind + snprintf (kind, LINE_SIZE / 2, "%d %s %s ", self.error, call, thread), *end = kind + LINE_SIZE / 2;
    while (*what && out < end) {
        size_t size = out [-1] == '.' || out [-1] == '-' ? random_size (what) : 0;
        size = size ? size : number_size (what);
        *out++ = size ? '#' : *what;
        what += size ? size : 1;
    }
    *out = 0;
}

/* This one counts. */
static unsigned count_kind (const char *text)
{
    size_t i = 0;
    while (i < self.kind_count && strcmp (self.kinds [i].text, text) != 0)
        i++;
    if (i == KINDS_MAX)
        return 0;
    if (i == self.kind_count)
        self.kinds [self.kind_count++] = (kind_t) { strdup (text), 0 };
    return ++self.kinds [i].count;
}

static bool is_fibonacci (unsigned number)
{
    unsigned one = 1, next = 2;
    while (one < number) {
        unsigned sum = one + next;
        one = next;
        next = sum;
    }
    return one == number;
}

/* It is done from now on, for all who have the file. */
static bool is_new_line (const char *wanted)
{
    char line [LINE_SIZE + 16];
    rewind (self.done);
    while (fgets (line, sizeof line, self.done))
        if (strcmp (line, wanted) == 0)
            return false;
    if (fputs (wanted, self.done) < 0 || fflush (self.done) != 0)
        die ("the file of kinds");
    return true;
}

static int is_its_turn (const char *call, pid_t task, const char *what)
{
    char kind [LINE_SIZE], line [LINE_SIZE + 16], thread [THREAD_SIZE];
    if (!self.done)
        return --self.left == 0;
    name_thread (thread, task);
    write_kind (kind, call, thread, what);
    unsigned count = count_kind (kind);
    snprintf (line, sizeof line, "%u %s\n", count, kind);
    if (!is_fibonacci (count) || !is_new_line (line))
        return 0;
    self.left = 0;
    return 1;
}

/* Counts it; is it the one? */
static int is_the_one (const struct seccomp_notif *asked)
{
    char program [TEXT_SIZE], what [TEXT_SIZE], thread [THREAD_SIZE];
    const call_t *call = call_numbered (asked->data.nr);
    if (!call || !call_program (program, (pid_t) asked->pid) || strcmp (program, self.program) != 0)
        return 0;
    call_describe (what, call, asked);
    const char *name = call_name (call, asked, what);
    if (!name || (strcmp (name, "map") == 0 && !self.has_begun))
        return 0;
    self.has_begun |= strcmp (name, "map") != 0;
    group_t *group = group_named (name);
    group->count++;
    if (self.left == 0 || !group->is_armed)
        return 0;
    self.passed++;
    if (!is_its_turn (call->call, (pid_t) asked->pid, what))
        return 0;
    name_thread (thread, (pid_t) asked->pid);
    report ("fired %llu %s %s %s %s\n", (unsigned long long) self.passed, group->name, call->call, thread, *what ? what : "-");
    return 1;
}

/* A connection that is reset fails in both directions, and for good: libzmq waits for the other one. */
static void reset_connection (const struct seccomp_notif *asked)
{
    char path [64], line [LINE_SIZE];
    int process = 0;
    snprintf (path, sizeof path, "/proc/%d/status", (int) asked->pid);
    FILE *file = fopen (path, "r");
    while (file && fgets (line, sizeof line, file) && sscanf (line, "Tgid: %d", &process) != 1)
        continue;
    if (file)
        fclose (file);
    int handle = (int) syscall (SYS_pidfd_open, process, 0);
    int connection = (int) syscall (SYS_pidfd_getfd, handle, (int) asked->data.args [0], 0);
    shutdown (connection, SHUT_RDWR);
    close (connection);
    close (handle);
}

/* brk has no error: where it fails it answers with the break as it was, and glibc takes any other number for the new one. */
static int64_t break_of (pid_t task)
{
    char path [64], line [LINE_SIZE];
    unsigned long long start, end, found = 0;
    snprintf (path, sizeof path, "/proc/%d/maps", task);
    FILE *file = fopen (path, "r");
    while (file && fgets (line, sizeof line, file))
        if (strstr (line, "[heap]") && sscanf (line, "%llx-%llx", &start, &end) == 2)
            found = end;
    if (file)
        fclose (file);
    return (int64_t) found;
}

static void on_call (void)
{
    struct seccomp_notif asked = { 0 };
    struct seccomp_notif_resp answer = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
    if (ioctl (self.listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0)
        return;                     /* it was killed in between */
    answer.id = asked.id;
    if (is_the_one (&asked)) {
        if (self.error == 0) {
            syscall (SYS_tkill, asked.pid, SIGKILL);        /* ends the process, whatever its thread */
            return;
        }
        if (self.error == ECONNRESET)
            reset_connection (&asked);
        answer.flags = 0;
        if (asked.data.nr == SYS_brk)
            answer.val = break_of ((pid_t) asked.pid);
        else
            answer.error = -self.error;
    }
    ioctl (self.listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

/* -- commands ---------------------------------------------------------------------------------------------------- */

static void report_count (void)
{
    for (size_t i = 0; i < self.group_count; i++)
        report (" %s=%llu", self.groups [i].name, (unsigned long long) self.groups [i].count);
    report ("\n");
}

/* file: NULL where count is a number. */
static void arm (const char *count, const char *how, const char *list, const char *file)
{
    if (self.done)
        fclose (self.done);
    self.done = file ? fopen (file, "a+") : NULL;
    if (file && !self.done)
        die (file);
    while (self.kind_count)
        free (self.kinds [--self.kind_count].text);

    for (size_t i = 0; i < self.group_count; i++)
        self.groups [i].is_armed = is_listed (list, self.groups [i].name);
    self.error = atoi (how);        /* `kill` is 0 */
    self.left = self.done ? 1 : strtoull (count, NULL, 10);
    self.passed = 0;
    report ("armed\n");
}

static void obey (char *line)
{
    char *save = NULL;
    const char *verb = strtok_r (line, " ", &save);
    const char *count = strtok_r (NULL, " ", &save), *how = strtok_r (NULL, " ", &save), *list = strtok_r (NULL, " ", &save),
               *file = strtok_r (NULL, " ", &save);
    if (verb && strcmp (verb, "arm") == 0 && list)
        arm (count, how, list, file);
    else if (verb && strcmp (verb, "disarm") == 0) {
        self.left = 0;
        report ("disarmed\n");
    }
    else if (verb && strcmp (verb, "start") == 0 && self.child == 0)
        start ();
    else if (verb && strcmp (verb, "count") == 0) {
        report ("count");
        report_count ();
    }
}

/* One command at a time: whoever gives one waits for its answer. */
static void on_command (struct pollfd *input)
{
    char line [LINE_SIZE];
    ssize_t size = read (0, line, sizeof line - 1);
    if (size <= 0) {
        if (self.child == 0)
            exit (0);
        kill (self.child, SIGKILL);
        input->fd = -1;
        return;
    }
    line [size] = 0;
    line [strcspn (line, "\n")] = 0;
    obey (line);
}

static void on_end (struct pollfd *child)
{
    int status = 0;
    if (waitpid (self.child, &status, WNOHANG) != self.child)
        return;
    report ("ended %d", status);
    report_count ();
    child->fd = -1;
}

/* Until the program has ended, and nobody is left for whom the filter asks */
static void serve (void)
{
    struct pollfd items [] = { { .fd = -1, .events = POLLIN }, { .fd = 0, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
    int is_started = 0;
    do {
        if (self.child && !is_started) {
            is_started = 1;
            items [0].fd = self.listener;
            items [2].fd = self.child_fd;
        }
        if (poll (items, 3, -1) < 0 && errno != EINTR)
            die ("poll");
        if (items [0].revents & POLLIN)
            on_call ();
        if (items [1].revents)
            on_command (&items [1]);
        if (items [2].revents)
            on_end (&items [2]);
    } while (!is_started || items [2].fd >= 0 || !(items [0].revents & POLLHUP));
}

int main (int argc, char **argv)
{
    if (argc < 4 || !realpath (argv [3], self.program)) {
        fputs ("usage: inject DESCRIPTOR NAME,NAME… PROGRAM ARGUMENT…\n", stderr);
        return 2;
    }
    signal (SIGPIPE, SIG_IGN);
    self.reports = atoi (argv [1]);
    self.list = argv [2];
    self.argv = argv + 3;
    for (size_t i = 0; i < call_count; i++)
        group_named (calls [i].name);
    group_named ("create");
    serve ();
    report ("gone\n");
    return 0;
}
