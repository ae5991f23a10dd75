/* depot_get.c - an object's way out. The lock is held to find it and to copy its stored bytes; several threads expand and
 * check at once. */
#include "common/depot_private.h"

static object_kind strongest (int kinds)
{
    return kinds & (IS_FOLDER | IS_ROOT) ? OBJECT_FOLDER : kinds & IS_LIST ? OBJECT_LIST : OBJECT_CONTENT;
}

/* An object on its way out: what is known of it, and its bytes as they are stored. */
typedef struct {
    int64_t id;
    int kinds;
    int64_t raw_bytes;
    bool is_zstd;
    buffer_t *stored;
} delivery_t;

/* With the lock held: 1 found, 0 not, -1. */
static int find (depot_t *self, const digest_t *digest, delivery_t *out, err_t *err)
{
    if (depot_reopen_if_suspect (self, err) < 0)
        return -1;
    sqlite3_stmt *read = sql_bind (self, SQL_READ);
    sql_bind_blob (read, ":digest", digest->bytes, DIGEST_SIZE);
    int rc = sql_step (self, read, err);
    if (rc <= 0)
        return rc;
    out->id = sqlite3_column_int64 (read, 0);
    out->kinds = sqlite3_column_int (read, 1);
    out->raw_bytes = sqlite3_column_int64 (read, 2);
    out->is_zstd = sqlite3_column_int (read, 3) != 0;
    buffer_clear (out->stored);
    buffer_append (out->stored, sqlite3_column_blob (read, 5), (size_t) sqlite3_column_bytes (read, 5));
    depot_touch (self, out->id, sqlite3_column_int64 (read, 4));
    sqlite3_reset (read);
    return 1;
}

static void swap (buffer_t *a, buffer_t *b)
{
    buffer_t other = *a;
    *a = *b;
    *b = other;
}

/* The stored bytes, expanded into out, are the object's. Those that are no zstd are not copied: out has them then. */
static bool expand (const delivery_t *delivery, const digest_t *digest, buffer_t *out)
{
    if (delivery->raw_bytes < 0 || delivery->raw_bytes > OBJECT_MAX)
        return false;
    if (!delivery->is_zstd)
        swap (delivery->stored, out);
    else if (zip_expand (out, (size_t) delivery->raw_bytes, delivery->stored->data, delivery->stored->size, NULL) < 0)
        return false;
    digest_t own = digest_of (out->data, out->size);
    if (digest_equal (&own, digest))
        return true;
    if (!delivery->is_zstd)
        swap (delivery->stored, out);
    return false;
}

static int not_found (const digest_t *digest, err_t *err)
{
    char hex [DIGEST_HEX_SIZE + 1];
    digest_to_hex (digest, hex);
    return err_set (err, ERR_NOT_FOUND, "object %s is not in the depot", hex);
}

/* It may have gone meanwhile. */
static int on_damage (depot_t *self, const digest_t *digest, delivery_t *delivery, err_t *err)
{
    pthread_mutex_lock (&self->lock);
    int rc = find (self, digest, delivery, err);
    if (rc == 1)
        rc = depot_take_out (self, delivery->id, digest, err);
    else if (rc == 0)
        rc = not_found (digest, err);
    pthread_mutex_unlock (&self->lock);
    return rc;
}

int depot_get_zip (depot_t *self, const digest_t *digest, buffer_t *out, object_kind *kind, buffer_t *memory, zip_t *zip,
                   err_t *err)
{
    delivery_t delivery = { .stored = memory };
    pthread_mutex_lock (&self->lock);
    int rc = find (self, digest, &delivery, err);
    pthread_mutex_unlock (&self->lock);
    if (rc <= 0)
        return rc < 0 ? -1 : not_found (digest, err);
    if (!expand (&delivery, digest, out))
        return on_damage (self, digest, &delivery, err);
    if (kind)
        *kind = strongest (delivery.kinds);
    const buffer_t *stored = delivery.is_zstd ? memory : out;
    *zip = (zip_t) { stored->data, stored->size, delivery.is_zstd };
    return 0;
}

int depot_get (depot_t *self, const digest_t *digest, buffer_t *out, object_kind *kind, err_t *err)
{
    AUTO_BUFFER buffer_t memory = { 0 };
    zip_t zip;
    return depot_get_zip (self, digest, out, kind, &memory, &zip, err);
}
