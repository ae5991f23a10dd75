/* stores_others.c - the stores of the bench that stand on LMDB, and on the file system alone. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef HAVE_LMDB
#include <lmdb.h>
#endif

#include "stores.h"

static void nothing (void)
{
}

/* -- LMDB ------------------------------------------------------------------------------------------------------- */

#ifdef HAVE_LMDB
static MDB_env *env;
static MDB_txn *txn;
static MDB_dbi dbi;

static void lmdb_begin (void)
{
    MUST (mdb_txn_begin (env, NULL, 0, &txn) == 0);
}

static void lmdb_commit (void)
{
    MUST (mdb_txn_commit (txn) == 0);
}

/* The map is the largest that the address space allows: it bounds the store. */
static void lmdb_open (const char *folder)
{
    MUST (mdb_env_create (&env) == 0);
    MUST (mdb_env_set_mapsize (env, sizeof (void *) == 8 ? (size_t) 1 << 36 : (size_t) 1800 << 20) == 0);
    MUST (mdb_env_open (env, folder, 0, 0600) == 0);
    lmdb_begin ();
    MUST (mdb_dbi_open (txn, NULL, 0, &dbi) == 0);
    lmdb_commit ();
}

static void lmdb_put (const key_ *key, const void *data, size_t size)
{
    MDB_val name = { sizeof *key, (void *) (uintptr_t) key }, value = { size, NULL };
    MUST (mdb_put (txn, dbi, &name, &value, MDB_NOOVERWRITE | MDB_RESERVE) == 0);
    memcpy (value.mv_data, data, size);
}

static size_t lmdb_get (const key_ *key, void *out)
{
    MDB_val name = { sizeof *key, (void *) (uintptr_t) key }, value;
    MDB_txn *reader;
    MUST (mdb_txn_begin (env, NULL, MDB_RDONLY, &reader) == 0 && mdb_get (reader, dbi, &name, &value) == 0);
    memcpy (out, value.mv_data, value.mv_size);
    mdb_txn_abort (reader);
    return value.mv_size;
}

static void lmdb_del (const key_ *key)
{
    MDB_val name = { sizeof *key, (void *) (uintptr_t) key };
    MUST (mdb_del (txn, dbi, &name, NULL) == 0);
}

static void lmdb_close (void)
{
    mdb_env_close (env);
}

const store_t lmdb_store = { "LMDB", lmdb_open, lmdb_begin, lmdb_put, lmdb_get, lmdb_del, lmdb_commit, nothing, lmdb_close };
#endif


/* -- a file for each object --------------------------------------------------------------------------------------- */

static char files_folder [512];

static const char *file_of (const key_ *key)
{
    char name [2 * KEY_SIZE + 2];
    for (int i = 0; i < KEY_SIZE; i++)
        sprintf (name + 2 * i + (i > 0), i == 0 ? "%02x/" : "%02x", key->bytes [i]);
    return path_in (files_folder, name);
}

static void files_open (const char *folder)
{
    snprintf (files_folder, sizeof files_folder, "%s", folder);
    for (int i = 0; i < 256; i++) {
        char name [8];
        snprintf (name, sizeof name, "%02x", i);
        mkdir (path_in (folder, name), 0700);
    }
}

static void files_put (const key_ *key, const void *data, size_t size)
{
    int fd = open (file_of (key), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    MUST (fd >= 0 && write (fd, data, size) == (ssize_t) size && close (fd) == 0);
}

static size_t files_get (const key_ *key, void *out)
{
    int fd = open (file_of (key), O_RDONLY | O_CLOEXEC);
    MUST (fd >= 0);
    ssize_t size = read (fd, out, OBJECT_MAX);
    MUST (size > 0 && close (fd) == 0);
    return (size_t) size;
}

static void files_del (const key_ *key)
{
    MUST (unlink (file_of (key)) == 0);
}

/* One sync of the whole file system is cheaper than two hundred of files and their folders. */
static void files_commit (void)
{
    int fd = open (files_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MUST (fd >= 0 && syncfs (fd) == 0 && close (fd) == 0);
}

const store_t files_store = {
    "a file for each object", files_open, nothing, files_put, files_get, files_del, files_commit, nothing, nothing
};
