/* vault.c - see vault.h. */
#include "worker/vault.h"

#include <errno.h>
#include <linux/magic.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

enum { NAME_BYTES = 16, NAME_DIGITS = 16 };     /* of a hash; libsodium makes none shorter, but a socket's path has to be short */

static bool is_in_memory (const char *folder)
{
    struct statfs of;
    return folder && *folder == '/' && statfs (folder, &of) == 0 && (of.f_type == TMPFS_MAGIC || of.f_type == RAMFS_MAGIC);
}

/* The same for the same state folder, so that what was left is found; another worker's is another. */
static char *name_of (const char *state_folder)
{
    uint8_t hash [NAME_BYTES];
    char hex [2 * NAME_BYTES + 1];
    AUTO_FREE char *real = realpath (state_folder, NULL);
    const char *path = real ? real : state_folder;
    crypto_generichash (hash, sizeof hash, (const uint8_t *) path, strlen (path), NULL, 0);
    sodium_bin2hex (hex, sizeof hex, hash, sizeof hash);
    return mem_printf ("archfarm-%.*s", NAME_DIGITS, hex);
}

/* In a folder that others may write to somebody may have been there before us. */
static int check_ours (const char *path, err_t *err)
{
    struct stat found;
    if (lstat (path, &found) != 0)
        return err_sys (err, errno, "%s", path);
    if (S_ISDIR (found.st_mode) && found.st_uid == geteuid () && (found.st_mode & 07777) == 0700)
        return 0;
    return err_set (err, ERR_FARM, "%s is there and not this worker's own: remove it", path);
}

static char *make_in (const char *folder, const char *name, err_t *err)
{
    AUTO_FREE char *path = file_join (folder, name);
    if (mkdir (path, 0700) == 0)
        return take (&path);
    if (errno != EEXIST) {
        err_sys (err, errno, "make %s", path);
        return NULL;
    }
    if (check_ours (path, err) < 0 || file_remove_tree (path, err) < 0)
        return NULL;
    if (mkdir (path, 0700) == 0)
        return take (&path);
    err_sys (err, errno, "make %s", path);
    return NULL;
}

char *vault_open (const char *state_folder, err_t *err)
{
    const char *const places [] = { getenv ("RUNTIME_DIRECTORY"), getenv ("XDG_RUNTIME_DIR"), "/dev/shm", "/run" };
    AUTO_FREE char *name = name_of (state_folder);
    err_t why = { .text = "neither $XDG_RUNTIME_DIR nor /dev/shm nor /run is a tmpfs" };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *path = is_in_memory (places [i]) ? make_in (places [i], name, &why) : NULL;
        if (path)
            return path;
    }
    err_set (err, ERR_FARM, "this worker has no folder in memory for secrets: %s", why.text);
    return NULL;
}

void vault_close (char **self)
{
    err_t err;
    if (*self && file_remove_tree (*self, &err) < 0)
        log_warn ("main", "remove %s: %s", *self, err.text);
    auto_free (self);
}
