/* depots.c - see depots.h. */
#include "depots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "tests/lib/chance.h"

int depots_setup (void **state)
{
    depots_t *self = mem_alloc (sizeof *self);
    strcpy (self->folder, "/tmp/depot-XXXXXX");
    assert_non_null (mkdtemp (self->folder));
    err_t err = { 0 };
    if (depot_open (&self->depot, self->folder, &err) < 0)
        fail_msg ("%s", err.text);
    *state = self;
    return 0;
}

int depots_teardown (void **state)
{
    depots_t *self = *state;
    depot_destroy (&self->depot);
    int rc = file_remove_tree (self->folder, NULL);
    free (self);
    return rc;
}

void depots_reopen (depots_t *self)
{
    err_t err = { 0 };
    depot_destroy (&self->depot);
    if (depot_open (&self->depot, self->folder, &err) < 0)
        fail_msg ("%s", err.text);
}

void depots_run_sql (const char *folder, const char *sql)
{
    sqlite3 *db = NULL;
    AUTO_FREE char *path = file_join (folder, "objects.db");
    assert_int_equal (sqlite3_open (path, &db), SQLITE_OK);
    if (sqlite3_exec (db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg ("%s: %s", sql, sqlite3_errmsg (db));
    sqlite3_close (db);
}

void depots_flip (const char *folder, int segment, long offset)
{
    uint8_t byte = 0;
    AUTO_FREE char *path = mem_printf ("%s/segments/%06d", folder, segment);
    AUTO_CLOSE int fd = open (path, O_RDWR | O_CLOEXEC);
    assert_true (fd >= 0 && pread (fd, &byte, 1, offset) == 1);
    byte ^= 0x10;
    assert_int_equal (pwrite (fd, &byte, 1, offset), 1);
}

int put_one (depot_t *depot, object_kind kind, const void *data, size_t size, err_t *err)
{
    digest_t digest = digest_of (data, size);
    if (depot_begin (depot, err) < 0)
        return -1;
    if (depot_put (depot, kind, &digest, data, size, err) == 0)
        return depot_commit (depot, err);
    depot_rollback (depot);
    return -1;
}

int put_buffer (depot_t *depot, object_kind kind, const buffer_t *data, err_t *err)
{
    return put_one (depot, kind, data->data, data->size, err);
}

void noise (buffer_t *out, size_t size, uint64_t seed)
{
    buffer_clear (out);
    buffer_reserve (out, size);
    while (out->size < size) {
        uint64_t z = chance_next (&seed);
        buffer_append (out, &z, size - out->size < sizeof z ? size - out->size : sizeof z);
    }
}

content_t content_of (const void *data, size_t size)
{
    return (content_t) { .size_bytes = size, .level = 0, .digest = digest_of (data, size) };
}

void add_entry (buffer_t *listing, tree_kind kind, const char *name, const content_t *content)
{
    tree_entry_t entry = { .kind = kind, .mode = 0644, .mtime_s = 1700000000, .name = name, .name_size = strlen (name),
                           .content = *content };
    tree_write_entry (listing, &entry);
}

void add_item (buffer_t *list, const void *data, size_t size)
{
    list_item_t item = { .size_bytes = (uint32_t) size, .digest = digest_of (data, size) };
    list_write_item (list, &item);
}

void small_context_make (small_context_t *self, size_t size, uint64_t seed)
{
    *self = (small_context_t) { 0 };
    noise (&self->file, size, seed);
    content_t file = content_of (self->file.data, self->file.size);
    add_entry (&self->folder, TREE_FILE, "file", &file);
    tree_entry_t folder = { .kind = TREE_FOLDER, .mode = 0755, .content = content_of (self->folder.data, self->folder.size) };
    tree_write_root (&self->root, &folder);
}

void small_context_free (small_context_t *self)
{
    buffer_free (&self->file);
    buffer_free (&self->folder);
    buffer_free (&self->root);
}

int small_context_put (const small_context_t *self, depot_t *depot, err_t *err)
{
    const buffer_t *objects [] = { &self->file, &self->folder, &self->root };
    for (int i = 0; i < 3; i++) {
        digest_t digest = digest_of (objects [i]->data, objects [i]->size);
        object_kind kind = i == 0 ? OBJECT_CONTENT : OBJECT_FOLDER;
        if (depot_put (depot, kind, &digest, objects [i]->data, objects [i]->size, err) < 0)
            return -1;
    }
    return 0;
}

digest_t small_context_root (const small_context_t *self)
{
    return digest_of (self->root.data, self->root.size);
}

bool has (depot_t *depot, const buffer_t *object)
{
    digest_t digest = digest_of (object->data, object->size);
    return depot_has (depot, &digest);
}

bool holds (depot_t *depot, const buffer_t *object)
{
    AUTO_BUFFER buffer_t data = { 0 };
    digest_t digest = digest_of (object->data, object->size);
    return depot_has (depot, &digest) && depot_get (depot, &digest, &data, NULL, NULL) == 0 && data.size == object->size
           && (data.size == 0 || memcmp (data.data, object->data, data.size) == 0);
}

int put_context (depot_t *depot, size_t size, uint64_t seed, err_t *err)
{
    small_context_t context;
    small_context_make (&context, size, seed);
    int rc = depot_begin (depot, err);
    if (rc == 0 && small_context_put (&context, depot, err) < 0) {
        depot_rollback (depot);
        rc = -1;
    }
    else if (rc == 0)
        rc = depot_commit (depot, err);
    small_context_free (&context);
    return rc;
}

int presence (depot_t *depot, size_t size, uint64_t seed)
{
    small_context_t context;
    small_context_make (&context, size, seed);
    bool has_root = holds (depot, &context.root), has_folder = holds (depot, &context.folder);
    bool has_file = holds (depot, &context.file);
    small_context_free (&context);
    return has_root && has_folder && has_file ? 1 : has_root || has_folder || has_file ? -1 : 0;
}

bool is_broken (depot_t *depot, size_t size, uint64_t seed)
{
    small_context_t context;
    small_context_make (&context, size, seed);
    bool is_broken = has (depot, &context.root) && (!holds (depot, &context.folder) || !holds (depot, &context.file));
    small_context_free (&context);
    return is_broken;
}
