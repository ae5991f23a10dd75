/* depot_get.c - an object's way out. The lock is held to find it; several threads read, expand and check at once. */
#include "common/depot_private.h"

static object_kind strongest (int kinds)
{
    return kinds & (IS_FOLDER | IS_ROOT) ? OBJECT_FOLDER : kinds & IS_LIST ? OBJECT_LIST : OBJECT_CONTENT;
}

/* With the lock held: 1 found, 0 not, -1. Found, its bytes stay until bodies_read lets go of them. */
static int find (depot_t *self, const digest_t *digest, object_row_t *row, int *fd, err_t *err)
{
    if (depot_reopen_if_suspect (self, err) < 0)
        return -1;
    int rc = depot_find (self, digest, row, err);
    if (rc <= 0)
        return rc;
    depot_touch (self, row->id, row->used);
    return bodies_hold (self, &row->place, fd, err) < 0 ? -1 : 1;
}

static void swap (buffer_t *a, buffer_t *b)
{
    buffer_t other = *a;
    *a = *b;
    *b = other;
}

/* The stored bytes, expanded into out, are the object's. Those that are no zstd are not copied: out has them then. */
static bool expand (const object_row_t *row, const digest_t *digest, buffer_t *stored, buffer_t *out)
{
    if (row->raw_bytes > OBJECT_MAX)
        return false;
    if (!row->is_zstd)
        swap (stored, out);
    else if (zip_expand (out, (size_t) row->raw_bytes, stored->data, stored->size, NULL) < 0)
        return false;
    digest_t own = digest_of (out->data, out->size);
    if (digest_equal (&own, digest))
        return true;
    if (!row->is_zstd)
        swap (stored, out);
    return false;
}

static int not_found (const digest_t *digest, err_t *err)
{
    char hex [DIGEST_HEX_SIZE + 1];
    digest_to_hex (digest, hex);
    return err_set (err, ERR_NOT_FOUND, "object %s is not in the depot", hex);
}

/* It may have gone meanwhile, or have come again to another place. */
static int look_again (depot_t *self, const digest_t *digest, object_row_t *row, buffer_t *stored, buffer_t *out, err_t *err)
{
    int fd;
    int rc = find (self, digest, row, &fd, err);
    if (rc <= 0)
        return rc < 0 ? -1 : not_found (digest, err);
    if (bodies_read (self, &row->place, fd, stored) && expand (row, digest, stored, out))
        return 0;
    return depot_take_out (self, row, digest, stored, err);
}

int depot_get_zip (depot_t *self, const digest_t *digest, buffer_t *out, object_kind *kind, buffer_t *memory, zip_t *zip,
                   err_t *err)
{
    int fd;
    object_row_t row;
    pthread_mutex_lock (&self->lock);
    int rc = find (self, digest, &row, &fd, err);
    pthread_mutex_unlock (&self->lock);
    if (rc <= 0)
        return rc < 0 ? -1 : not_found (digest, err);
    if (!bodies_read (self, &row.place, fd, memory) || !expand (&row, digest, memory, out)) {
        pthread_mutex_lock (&self->lock);
        rc = look_again (self, digest, &row, memory, out, err);
        pthread_mutex_unlock (&self->lock);
        if (rc < 0)
            return -1;
    }
    if (kind)
        *kind = strongest (row.kinds);
    const buffer_t *stored = row.is_zstd ? memory : out;
    *zip = (zip_t) { stored->data, stored->size, row.is_zstd };
    return 0;
}

int depot_get (depot_t *self, const digest_t *digest, buffer_t *out, object_kind *kind, err_t *err)
{
    AUTO_BUFFER buffer_t memory = { 0 };
    zip_t zip;
    return depot_get_zip (self, digest, out, kind, &memory, &zip, err);
}
