/* unpacked.c - see unpacked.h. */
#include "farmctl/unpacked.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/sibling.h"

extern char **environ;

enum { WORDS_MAX = 4096 };

static int spawn (pid_t *pid, const char *program, const char *folder, int output)
{
    char *const argv [] = { (char *) program, (char *) folder, NULL };
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init (&files);
    posix_spawn_file_actions_adddup2 (&files, output, 1);
    posix_spawn_file_actions_addclosefrom_np (&files, 3);
    int rc = posix_spawn (pid, program, &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy (&files);
    return rc;
}

static void read_words (int fd, buffer_t *out)
{
    char block [512];
    ssize_t size;
    while ((size = read (fd, block, sizeof block)) > 0 || (size < 0 && errno == EINTR))
        if (size > 0 && out->size < WORDS_MAX)
            buffer_append (out, block, (size_t) size);
    buffer_append (out, "", 1);
}

static int unpack (const char *folder, err_t *err)
{
    int ends [2], status = 0;
    pid_t pid;
    AUTO_BUFFER buffer_t words = { 0 };
    AUTO_FREE char *program = sibling_path ("farmctl-untar", FARM_LIBEXECDIR);
    if (pipe2 (ends, O_CLOEXEC) < 0)
        return err_sys (err, errno, "make a pipe");
    AUTO_CLOSE int from = ends [0];
    AUTO_CLOSE int to = ends [1];
    int rc = spawn (&pid, program, folder, to);
    if (rc != 0)
        return err_sys (err, rc, "run %s, a part of archfarm: install archfarm again", program);
    auto_close (&to);
    to = -1;
    read_words (from, &words);
    while (waitpid (pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED (status) && WEXITSTATUS (status) == 0)
        return 0;
    const char *why = words.size > 1 ? (const char *) words.data : "it was ended";
    return err_set (err, WIFEXITED (status) && WEXITSTATUS (status) == 2 ? ERR_USAGE : ERR_FARM, "the archive on standard input: %s", why);
}

int unpacked_read (char **folder, err_t *err)
{
    const char *where = getenv ("TMPDIR");
    if (isatty (0))
        return err_set (err, ERR_USAGE, "context -: a tar archive is read from standard input, which is a terminal: tar -cz . | farmctl submit … -");
    *folder = mem_printf ("%s/farmctl-XXXXXX", where && *where ? where : "/tmp");
    if (!mkdtemp (*folder)) {
        int errnum = errno;
        err_sys (err, errnum, "make a folder %s for the archive", *folder);
        free (*folder);
        *folder = NULL;
        return -1;
    }
    if (unpack (*folder, err) == 0)
        return 0;
    unpacked_remove (folder);
    return -1;
}

void unpacked_remove (char **folder)
{
    if (*folder)
        file_remove_tree (*folder, NULL);
    free (*folder);
    *folder = NULL;
}

int unpacked_check_file (const char *folder, const char *path, err_t *err)
{
    struct stat info;
    struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH };
    AUTO_CLOSE int root = open (folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    AUTO_CLOSE int fd = root < 0 ? -1 : (int) syscall (SYS_openat2, root, path, &how, sizeof how);
    if (fd >= 0 && fstat (fd, &info) == 0 && S_ISREG (info.st_mode))
        return 0;
    if (fd < 0 && errno == ENOENT)
        return err_set (err, ERR_USAGE, "no Dockerfile: there is no %s in the archive; name another with -f", path);
    return err_set (err, ERR_USAGE, "the Dockerfile %s of the archive is no file of its own below it: let it be one, and no link", path);
}
