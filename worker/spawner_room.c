/* spawner_room.c - the room of a builder: namespaces of its own, ids of its own, and of the host's files only what it needs.
 *
 *     keeper --- waits, as the worker's user
 *        1   --- first process of the room: makes it, takes the dead, ends with the builder's status
 *        2   --- the builder
 *
 * The root is an empty tmpfs. Programs and /etc are bound into it read-only, /dev has the harmless devices alone, and beside them there is what
 * the rules list as places. Nothing else of the host has a name in there: no key, no socket, no other attempt. All that is in the room dies
 * with its first process. A kernel before 5.12 (mount_setattr) cannot make one.
 *
 * The secret is in no file: the first process holds it, and /proc lets only those look at its descriptors that have all of its
 * capabilities, which the builder has and a RUN step has not. Nor can it be bound elsewhere, as it is on no mount. */
#include "worker/spawner_private.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

#define BASE "/tmp"                 /* where the new root lies until it is the root */

/* Programs and what they read. Links stay links. */
static const char *const system_folders [] = { "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store",
                                               "/gnu/store", "/sys" };
static const char *const devices [] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty" };

/* -- ids -------------------------------------------------------------------------------------------------------- */

static int write_map (pid_t pid, const char *name, const spawner_room_t *room)
{
    char path [64], text [64];
    snprintf (path, sizeof path, "/proc/%d/%s", (int) pid, name);
    snprintf (text, sizeof text, "0 %lld %lld\n", (long long) room->first_id, (long long) room->ids);
    return file_poke (path, text, NULL);
}

_Noreturn static void wait_in_namespace (int ready, int done)
{
    char byte = 0;
    if (unshare (CLONE_NEWUSER) == 0 && write (ready, &byte, 1) == 1)
        while (read (done, &byte, 1) < 0 && errno == EINTR)
            continue;
    _exit (0);
}

/* A user namespace with the room's ids: a process makes it, and waits until it is open here. */
static int open_users (const spawner_room_t *room)
{
    int ready [2] = { -1, -1 }, done [2] = { -1, -1 }, users = -1;
    char byte, path [64];
    pid_t pid = -1;
    if (pipe2 (ready, O_CLOEXEC) == 0 && pipe2 (done, O_CLOEXEC) == 0 && (pid = fork ()) == 0) {
        close (ready [0]);
        close (done [1]);
        wait_in_namespace (ready [1], done [0]);
    }
    auto_close (&ready [1]);
    errno = pid < 0 ? errno : EPERM;
    if (pid > 0 && read (ready [0], &byte, 1) == 1 && write_map (pid, "uid_map", room) == 0 && write_map (pid, "gid_map", room) == 0) {
        snprintf (path, sizeof path, "/proc/%d/ns/user", (int) pid);
        users = open (path, O_RDONLY | O_CLOEXEC);
    }
    int error = errno;
    auto_close (&ready [0]);
    auto_close (&done [0]);
    auto_close (&done [1]);
    if (pid > 0)
        waitpid (pid, NULL, 0);
    errno = error;
    return users;
}

static int become_root_of (int users)
{
    if (setns (users, CLONE_NEWUSER) != 0 || setgroups (0, NULL) != 0 || setresgid (0, 0, 0) != 0 || setresuid (0, 0, 0) != 0)
        return -1;
    return unshare (CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
}

/* -- files ------------------------------------------------------------------------------------------------------ */

/* BASE/path, with all folders above it; the caller frees. */
static char *in_base (const char *path)
{
    AUTO_FREE char *target = mem_printf ("%s%s", BASE, path);
    for (char *slash = strchr (target + 1, '/'); slash; slash = strchr (slash + 1, '/')) {
        *slash = 0;
        mkdir (target, 0755);
        *slash = '/';
    }
    return take (&target);
}

/* What a mount goes onto. */
static int make_target (const char *target, bool is_folder)
{
    if (is_folder)
        return mkdir (target, 0755) == 0 || errno == EEXIST ? 0 : -1;
    AUTO_CLOSE int fd = open (target, O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
    return fd < 0 ? -1 : 0;
}

typedef struct {
    const char *target;
    int tree;                       /* -1: a tmpfs in its place */
    bool is_folder;
} piece_t;

/* The part of the host that a place names, as a mount with no place yet: what BASE hides has to be taken before. */
static int take_piece (char kind, const char *source, int users, piece_t *piece)
{
    struct stat info;
    struct mount_attr attributes = { 0 };
    unsigned depth = kind == ROOM_SYSTEM ? AT_RECURSIVE : 0;
    if (stat (source, &info) != 0)
        return -1;
    piece->is_folder = S_ISDIR (info.st_mode);
    if (kind == ROOM_HIDDEN)
        return 0;
    if (kind == ROOM_SYSTEM || kind == ROOM_READ)
        attributes.attr_set |= MOUNT_ATTR_RDONLY;
    if (kind == ROOM_WRITE || kind == ROOM_SHIFTED)
        attributes.attr_clr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;     /* a runtime that binds it on leaves them out, and may not */
    if (kind == ROOM_SHIFTED) {
        attributes.attr_set |= MOUNT_ATTR_IDMAP;
        attributes.userns_fd = (uint64_t) users;
    }
    piece->tree = open_tree (AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | depth);
    return piece->tree < 0 ? -1 : mount_setattr (piece->tree, "", AT_EMPTY_PATH | depth, &attributes, sizeof attributes);
}

static int put_piece (const piece_t *piece)
{
    AUTO_FREE char *target = in_base (piece->target);
    if (piece->tree < 0 && !file_exists (target))       /* it is not to be seen anyway */
        return 0;
    if (piece->tree < 0 && piece->is_folder)
        return mount ("hidden", target, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,mode=755");
    if (piece->tree < 0)
        return mount ("/dev/null", target, NULL, MS_BIND, NULL);
    if (make_target (target, piece->is_folder) < 0 && !file_exists (target))
        return -1;
    return move_mount (piece->tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
}

/* System folders that are links here are so there; returns 1 for those. */
static int copy_link (const char *path)
{
    char target [PATH_MAX];
    ssize_t size = readlink (path, target, sizeof target - 1);
    if (size < 0)
        return 0;
    target [size] = 0;
    AUTO_FREE char *link = in_base (path);
    return symlink (target, link) == 0 || errno == EEXIST ? 1 : -1;
}

/* Folders that programs expect. The builder's own where it writes. */
static int make_folders (const spawner_room_t *room)
{
    static const struct { const char *path; mode_t mode; } own [] = {
        { "/tmp", 01777 }, { "/var/tmp", 01777 }, { "/run", 0755 }, { "/run/lock", 0755 }, { "/var/lib/containers", 0755 }, { "/var/cache", 0755 },
        { "/root", 0700 }, { "/dev/shm", 01777 }, { "/dev/pts", 0755 }, { "/dev/mqueue", 0755 }, { "/proc", 0555 }, { "/mnt", 0755 },
    };
    static const char *const links [] [2] = {
        { "/proc/self/fd", "/dev/fd" }, { "/proc/self/fd/0", "/dev/stdin" }, { "/proc/self/fd/1", "/dev/stdout" },
        { "/proc/self/fd/2", "/dev/stderr" }, { "pts/ptmx", "/dev/ptmx" }, { "/run", "/var/run" },
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        AUTO_FREE char *folder = in_base (own [i].path);
        if ((mkdir (folder, 0755) != 0 && errno != EEXIST) || chmod (folder, own [i].mode) != 0
            || chown (folder, (uid_t) room->first_id, (gid_t) room->first_id) != 0)
            return -1;
    }
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        AUTO_FREE char *link = in_base (links [i] [1]);
        if (symlink (links [i] [0], link) != 0)
            return -1;
    }
    return 0;
}

typedef struct {
    piece_t pieces [ROOM_PLACES_MAX];
    int count;
} pieces_t;

static int add_piece (pieces_t *self, char kind, const char *source, const char *target, int users)
{
    piece_t *piece = &self->pieces [self->count];
    if (self->count == ROOM_PLACES_MAX) {
        errno = E2BIG;
        return -1;
    }
    *piece = (piece_t) { .target = target, .tree = -1 };
    if (take_piece (kind, source, users, piece) < 0)
        return errno == ENOENT && kind != ROOM_WRITE && kind != ROOM_SHIFTED ? 0 : -1;
    self->count++;
    return 0;
}

/* What a link in /etc says of name servers may lie in /run. */
static int add_resolver (pieces_t *self, int users)
{
    static char path [PATH_MAX];
    if (!realpath ("/etc/resolv.conf", path) || strncmp (path, "/etc/", 5) == 0)
        return 0;
    return add_piece (self, ROOM_READ, path, path, users);
}

static int take_pieces (pieces_t *self, const spawner_room_t *room, int users)
{
    struct stat info;
    for (size_t i = 0; i < sizeof system_folders / sizeof *system_folders; i++)
        if (lstat (system_folders [i], &info) == 0 && S_ISDIR (info.st_mode)
            && add_piece (self, ROOM_SYSTEM, system_folders [i], system_folders [i], users) < 0)
            return -1;
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        if (add_piece (self, ROOM_DEVICE, devices [i], devices [i], users) < 0)
            return -1;
    if (add_resolver (self, users) < 0)
        return -1;
    for (const char *const *place = room->places; place && *place; place += 2)
        if (add_piece (self, place [0] [0], place [0] + 1, place [1], users) < 0)
            return -1;
    return 0;
}

static int copy_links (void)
{
    for (size_t i = 0; i < sizeof system_folders / sizeof *system_folders; i++)
        if (copy_link (system_folders [i]) < 0)
            return -1;
    return 0;
}

static int make_root (const spawner_room_t *room, int users)
{
    static pieces_t pieces;
    if (unshare (CLONE_NEWNS) != 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || take_pieces (&pieces, room, users) < 0)
        return -1;
    umask (0);
    if (mount ("room", BASE, "tmpfs", MS_NOSUID, "size=256m,nr_inodes=64k,mode=755") != 0 || make_folders (room) < 0 || copy_links () < 0)
        return -1;
    for (int i = 0; i < pieces.count; i++) {
        if (put_piece (&pieces.pieces [i]) < 0)
            return -1;
        auto_close (&pieces.pieces [i].tree);
    }
    umask (022);
    if (mount ("proc", BASE "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0 || chdir (BASE) != 0)
        return -1;
    return syscall (SYS_pivot_root, ".", ".") != 0 || umount2 (".", MNT_DETACH) != 0 || chdir ("/") != 0 ? -1 : 0;
}

static int mount_terminals (void)
{
    return mount ("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620");
}

/* -- the first process ------------------------------------------------------------------------------------------ */

/* The builder may read it: setuid made this process one that nobody looks into. */
static int keep_secret (const char *secret)
{
    if (!secret [0])
        return 0;
    AUTO_CLOSE int fd = memfd_create ("secret", MFD_CLOEXEC);
    if (fd < 0 || file_write_all (fd, secret, strlen (secret), NULL) < 0)
        return -1;
    if (prctl (PR_SET_DUMPABLE, 1) != 0 || (fd != ROOM_SECRET_FD && dup3 (fd, ROOM_SECRET_FD, O_CLOEXEC) < 0))
        return -1;
    return fd == ROOM_SECRET_FD ? (take_fd (&fd), 0) : 0;
}

static int status_of (int status)
{
    return WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status);
}

/* Whoever reads the builder's output, or waits for its start, waits for the builder alone. */
static void let_go (int fault)
{
    close (fault);
    int null = open ("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++)
        if (null < 0 || dup2 (null, fd) < 0)
            close (fd);
}

/* Waits for one child, and for whatever else comes to it; ends with its status. */
_Noreturn static void await (pid_t child, int fault)
{
    sigset_t all;
    sigfillset (&all);
    sigprocmask (SIG_SETMASK, &all, NULL);
    let_go (fault);
    for (;;) {
        int status;
        pid_t pid = waitpid (-1, &status, 0);
        if (pid == child)
            _exit (status_of (status));
        if (pid < 0 && errno != EINTR)
            _exit (126);
    }
}

static int furnish (const spawner_program_t *program, int users, spawner_step *step)
{
    const spawner_room_t *room = &program->rules.room;
    *step = SPAWNER_FAULT_FILES;
    if (make_root (room, users) < 0)
        return -1;
    *step = SPAWNER_FAULT_USERS;
    if (become_root_of (users) < 0)
        return -1;
    *step = SPAWNER_FAULT_FILES;
    if (mount_terminals () < 0)
        return -1;
    *step = SPAWNER_FAULT_RULES;
    return keep_secret (room->secret) < 0 ? -1 : spawner_limit_processes (&program->rules);
}

int spawner_enter_room (const spawner_program_t *program, int fault, spawner_step *step)
{
    *step = SPAWNER_FAULT_USERS;
    AUTO_CLOSE int users = open_users (&program->rules.room);
    if (users < 0)
        return -1;
    syscall (SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);       /* kernels without keys have none to give away */
    *step = SPAWNER_FAULT_PROCESSES;
    if (unshare (CLONE_NEWPID) != 0)
        return -1;
    pid_t first = fork ();
    if (first > 0)
        await (first, fault);
    if (first < 0 || furnish (program, users, step) < 0)
        return -1;
    *step = SPAWNER_FAULT_PROCESSES;
    pid_t builder = fork ();
    if (builder > 0)
        await (builder, fault);
    if (builder < 0)
        return -1;
    setsid ();
    return 0;
}
