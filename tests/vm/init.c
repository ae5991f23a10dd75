/* init.c - the first program of a virtual machine (tests/vm/run): puts the host's files under the root, with changes kept in memory,
 * mounts what a machine has, all controllers of cgroup v2 among them, and runs the command. Static, from the initramfs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* run looks for the line. */
static void end (int status)
{
    printf ("\nvm: exit status %d\n", status);
    fflush (NULL);
    sync ();
    reboot (RB_POWER_OFF);
    pause ();
}

static void must (int rc, const char *what)
{
    if (rc >= 0)
        return;
    printf ("vm: %s: %s\n", what, strerror (errno));
    end (125);
}

static void put (const char *type, const char *source, const char *target, const char *options, unsigned long flags)
{
    if (mkdir (target, 0755) != 0 && errno != EEXIST)
        must (-1, target);
    must (mount (source, target, type, flags, options), target);
}

/* In the order of their names. */
static void load_modules (void)
{
    struct dirent **items;
    int count = scandir ("/modules", &items, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path [512];
        if (items [i]->d_name [0] == '.')
            continue;
        snprintf (path, sizeof path, "/modules/%s", items [i]->d_name);
        int fd = open (path, O_RDONLY | O_CLOEXEC);
        long rc = fd < 0 ? -1 : syscall (SYS_finit_module, fd, "", 0);
        must (rc < 0 && errno != EEXIST ? -1 : 0, path);
        close (fd);
    }
}

static void mount_all (void)
{
    put ("9p", "host", "/host", "trans=virtio,version=9p2000.L,cache=loose,msize=512000", MS_RDONLY);
    put ("tmpfs", "tmpfs", "/changes", "mode=755", 0);
    must (mkdir ("/changes/upper", 0755), "upper");
    must (mkdir ("/changes/work", 0755), "work");
    put ("overlay", "overlay", "/root", "lowerdir=/host,upperdir=/changes/upper,workdir=/changes/work", 0);
    put ("proc", "proc", "/root/proc", NULL, 0);
    put ("sysfs", "sysfs", "/root/sys", NULL, 0);
    put ("cgroup2", "cgroup2", "/root/sys/fs/cgroup", NULL, 0);
    put ("devtmpfs", "devtmpfs", "/root/dev", NULL, 0);
    put ("devpts", "devpts", "/root/dev/pts", "mode=620,ptmxmode=666", 0);
    put ("tmpfs", "tmpfs", "/root/dev/shm", NULL, 0);
    put ("tmpfs", "tmpfs", "/root/run", "mode=755", 0);
    put ("ext4", "/root/dev/vda", "/root/vm", NULL, 0);          /* a tmpfs shows no files under other ids before Linux 6.3, as a builder's room needs it */
    must (chmod ("/root/vm", 01777), "/vm");
    put ("tmpfs", "tmpfs", "/root/var/lib/containers", "mode=700", 0);     /* the host's databases there change under us */
}

/* What udev makes elsewhere. */
static void link_streams (void)
{
    static const char *const links [] [2] = { { "/proc/self/fd", "fd" }, { "/proc/self/fd/0", "stdin" }, { "/proc/self/fd/1", "stdout" },
                                              { "/proc/self/fd/2", "stderr" } };
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        char path [64];
        snprintf (path, sizeof path, "/root/dev/%s", links [i] [1]);
        must (symlink (links [i] [0], path) < 0 && errno != EEXIST ? -1 : 0, path);
    }
}

static void raise_loopback (void)
{
    struct ifreq request = { .ifr_flags = IFF_UP };
    int fd = socket (AF_INET, SOCK_DGRAM, 0);
    strcpy (request.ifr_name, "lo");
    must (ioctl (fd, SIOCSIFFLAGS, &request), "lo");
    close (fd);
}

/* A place of its own for what is written: layers cannot be kept on another overlay. */
static int run (int command)
{
    static char *const argv [] = { "bash", "/dev/fd/9", NULL };
    static char *const environment [] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TMPDIR=/vm", "LANG=C.UTF-8", NULL };
    int status = 0;
    pid_t child = fork ();
    if (child == 0) {
        setsid ();
        dup2 (command, 9);
        execve ("/bin/bash", argv, environment);
        must (-1, "/bin/bash");
    }
    for (pid_t pid; (pid = wait (&status)) != child; )      /* orphans come here */
        if (pid < 0 && errno != EINTR)
            return 125;
    return WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status);
}

/* Not only chroot: who makes a root of its own (pivot_root) has to be in one. */
static void change_root (void)
{
    must (chdir ("/root"), "/root");
    must (mount (".", "/", NULL, MS_MOVE, NULL), "move the root");
    must (chroot ("."), "chroot");
    must (chdir ("/"), "/");
}

int main (void)
{
    setvbuf (stdout, NULL, _IOLBF, 0);
    int command = open ("/command", O_RDONLY);
    must (command, "/command");
    load_modules ();
    mount_all ();
    link_streams ();
    raise_loopback ();
    change_root ();
    end (run (command));
}
