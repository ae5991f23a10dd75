/* calls.c - see calls.h. */
#include "calls.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALL(name, call, subject) { name, #call, SYS_##call, subject },
const call_t calls [] = {
    CALL ("open", openat, OPEN_AT)
    CALL ("read", read, FD)         /* `read` and `write` are those of files */
    CALL ("read", pread64, FD)
    CALL ("read", getdents64, FD)
    CALL ("write", write, FD)
    CALL ("write", writev, FD)
    CALL ("write", pwrite64, FD)
    CALL ("write", pwritev, FD)
    CALL ("sync", fsync, FD)
    CALL ("sync", fdatasync, FD)
    CALL ("truncate", ftruncate, FD)
    CALL ("truncate", fallocate, FD)
    CALL ("rename", renameat, PATH_AT)
    CALL ("rename", renameat2, PATH_AT)
    CALL ("link", linkat, PATH_AT)
    CALL ("link", symlinkat, PATH)
    CALL ("unlink", unlinkat, PATH_AT)
    CALL ("mkdir", mkdirat, PATH_AT)
    CALL ("attribute", fchmod, FD)
    CALL ("attribute", fchmodat, PATH_AT)
    CALL ("attribute", fchownat, PATH_AT)
    CALL ("attribute", utimensat, PATH_AT)
    CALL ("lock", flock, FD)
    CALL ("send", sendto, FD)
    CALL ("send", sendmsg, FD)
    CALL ("receive", recvfrom, FD)
    CALL ("receive", recvmsg, FD)
    CALL ("connect", connect, FD)
    CALL ("socket", socket, NOTHING)
    CALL ("socket", socketpair, NOTHING)
    CALL ("socket", accept, FD)
    CALL ("socket", accept4, FD)
    CALL ("socket", bind, FD)
    CALL ("socket", listen, FD)
    CALL ("descriptor", pipe2, NOTHING)
    CALL ("descriptor", eventfd2, NOTHING)
    CALL ("descriptor", epoll_create1, NOTHING)
    CALL ("descriptor", timerfd_create, NOTHING)
    CALL ("descriptor", memfd_create, PATH)
    CALL ("descriptor", signalfd4, NOTHING)
    CALL ("descriptor", dup, FD)
    CALL ("descriptor", dup3, FD)
    CALL ("poll", epoll_ctl, NOTHING)
    CALL ("fork", clone, NOTHING)
    CALL ("fork", clone3, NOTHING)
    CALL ("exec", execve, PATH)
    CALL ("map", mmap, MAP)
    CALL ("map", mprotect, NOTHING)
    CALL ("map", brk, NOTHING)
    CALL ("mount", mount, PATH)
    CALL ("mount", umount2, PATH)
#ifdef SYS_open                     /* the calls that newer architectures do without */
    CALL ("open", open, OPEN)
    CALL ("create", creat, PATH)
    CALL ("rename", rename, PATH)
    CALL ("link", link, PATH)
    CALL ("link", symlink, PATH)
    CALL ("unlink", unlink, PATH)
    CALL ("unlink", rmdir, PATH)
    CALL ("mkdir", mkdir, PATH)
    CALL ("attribute", chmod, PATH)
    CALL ("attribute", chown, PATH)
    CALL ("attribute", lchown, PATH)
    CALL ("descriptor", pipe, NOTHING)
    CALL ("descriptor", dup2, FD)
    CALL ("fork", fork, NOTHING)
    CALL ("fork", vfork, NOTHING)
#endif
};
const size_t call_count = sizeof calls / sizeof *calls;

const call_t *call_numbered (int number)
{
    for (size_t i = 0; i < call_count; i++)
        if (calls [i].number == number)
            return &calls [i];
    return NULL;
}

static int link_of (char *out, pid_t task, const char *format, int fd)
{
    char path [64];
    int size = snprintf (path, sizeof path, "/proc/%d/", task);
    snprintf (path + size, sizeof path - (size_t) size, format, fd);
    ssize_t length = readlink (path, out, TEXT_SIZE - 1);
    out [length < 0 ? 0 : length] = 0;
    return length >= 0;
}

/* A text of the program; empty when it cannot be read. */
static void text_of (char *out, pid_t task, uint64_t address)
{
    char path [64];
    snprintf (path, sizeof path, "/proc/%d/mem", task);
    int fd = open (path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : pread (fd, out, TEXT_SIZE - 1, (off_t) address);
    out [size < 0 ? 0 : size] = 0;
    if (fd >= 0)
        close (fd);
}

int call_program (char out [TEXT_SIZE], pid_t task)
{
    return link_of (out, task, "exe", 0);
}

void call_describe (char out [TEXT_SIZE], const call_t *self, const struct seccomp_notif *asked)
{
    const __u64 *args = asked->data.args;
    out [0] = 0;
    switch (self->subject) {
        case FD: link_of (out, (pid_t) asked->pid, "fd/%d", (int) args [0]); break;
        case PATH: case OPEN: text_of (out, (pid_t) asked->pid, args [0]); break;
        case PATH_AT: case OPEN_AT: text_of (out, (pid_t) asked->pid, args [1]); break;
        case MAP:
            if ((int) args [4] >= 0)
                link_of (out, (pid_t) asked->pid, "fd/%d", (int) args [4]);
            break;
        case NOTHING: break;
    }
}

static int begins (const char *text, const char *start)
{
    return strncmp (text, start, strlen (start)) == 0;
}

static int is_foreign (const char *what)
{
    return begins (what, "/lib") || begins (what, "/usr/lib") || begins (what, "/etc/ld.so")
           || begins (what, "/usr/share/locale") || begins (what, "/proc/") || begins (what, "/sys/");
}

const char *call_name (const call_t *self, const struct seccomp_notif *asked, const char *what)
{
    uint64_t flags = self->subject == OPEN ? asked->data.args [1] : self->subject == OPEN_AT ? asked->data.args [2] : 0;
    int is_write = strcmp (self->name, "write") == 0, is_read = strcmp (self->name, "read") == 0;
    if (is_foreign (what))
        return NULL;
    if ((is_write || is_read) && what [0] != '/')
        return begins (what, "anon_inode") ? NULL : is_write ? "send" : "receive";
    return flags & O_CREAT ? "create" : self->name;
}
