/* child.c - see child.h. */
#include "common/child.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

static void set_files (posix_spawn_file_actions_t *files, const child_program_t *what)
{
    const int given [3] = { what->input, what->output, what->errors };
    posix_spawn_file_actions_init (files);
    for (int fd = 0; fd < 3; fd++)
        if (given [fd] < 0)
            posix_spawn_file_actions_addopen (files, fd, "/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY, 0);
        else
            posix_spawn_file_actions_adddup2 (files, given [fd], fd);
    posix_spawn_file_actions_addclosefrom_np (files, 3);
}

static void set_signals (posix_spawnattr_t *attributes, bool has_group)
{
    sigset_t none, all;
    sigemptyset (&none);
    sigfillset (&all);
    posix_spawnattr_init (attributes);
    posix_spawnattr_setflags (attributes, (short) (POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (has_group ? POSIX_SPAWN_SETPGROUP : 0)));
    posix_spawnattr_setpgroup (attributes, 0);
    posix_spawnattr_setsigmask (attributes, &none);
    posix_spawnattr_setsigdefault (attributes, &all);
}

int child_start (pid_t *pid, const child_program_t *what)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    set_files (&files, what);
    set_signals (&attributes, what->has_group);
    int rc = posix_spawnp (pid, what->program, &files, &attributes, what->argv, what->environment);
    posix_spawnattr_destroy (&attributes);
    posix_spawn_file_actions_destroy (&files);
    return rc;
}
