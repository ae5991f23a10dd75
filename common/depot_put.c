/* depot_put.c - an object's way into the depot. */
#include <assert.h>

#include "common/depot_private.h"

static bool serves_as (int kinds, object_kind kind)
{
    static const int wanted [] = {
        [OBJECT_CONTENT] = IS_CONTENT, [OBJECT_LIST] = IS_LIST, [OBJECT_FOLDER] = IS_FOLDER | IS_ROOT
    };
    return (kinds & wanted [kind]) != 0;
}

static void bind_nature (depot_t *self, sqlite3_stmt *statement, const nature_t *nature)
{
    sql_bind_int (statement, ":kinds", nature->kinds);
    sql_bind_int (statement, ":is_open", nature->is_open);
    sql_bind_int (statement, ":level", nature->level);
    sql_bind_int (statement, ":content_bytes", (int64_t) nature->content_bytes);
    sql_bind_int (statement, ":entries", (int64_t) nature->extent.entries);
    sql_bind_int (statement, ":tree_bytes", (int64_t) nature->extent.bytes);
    sql_bind_int (statement, ":depth", (int64_t) nature->extent.depth);
    sql_bind_int (statement, ":used", self->now);
}

/* An object on its way in. zip is NULL where nobody has tried to compress it; data is where it is known to be right and plain. */
typedef struct {
    object_kind kind;
    const digest_t *digest;
    const void *data;
    size_t size;
    const zip_t *zip;
} parcel_t;

static int add_object (depot_t *self, const parcel_t *parcel, const nature_t *nature, int64_t *id, err_t *err)
{
    AUTO_BUFFER buffer_t packed = { 0 };
    place_t place;
    zip_t zip = parcel->zip ? *parcel->zip : zip_best (&packed, parcel->data, parcel->size);
    if (bodies_append (self, zip.data, zip.size, &place, err) < 0)
        return -1;
    sqlite3_stmt *add = sql_bind (self, SQL_ADD);
    bind_nature (self, add, nature);
    sql_bind_digest (add, parcel->digest);
    sql_bind_int (add, ":raw_bytes", (int64_t) parcel->size);
    sql_bind_int (add, ":segment", place.segment);
    sql_bind_int (add, ":offset", place.offset);
    sql_bind_int (add, ":stored_bytes", place.size);
    sql_bind_int (add, ":is_zstd", zip.is_zstd);
    if (sql_step (self, add, err) < 0)
        return -1;
    *id = sqlite3_last_insert_rowid (self->db);
    self->stats.objects++;
    self->stats.bytes += zip.size;
    return 0;
}

static int add_edges (depot_t *self, int64_t parent, const buffer_t *children, err_t *err)
{
    const int64_t *ids = (const int64_t *) children->data;
    for (size_t i = 0; i < children->size / sizeof *ids; i++) {
        sqlite3_stmt *edge = sql_bind (self, SQL_ADD_EDGE);
        sql_bind_int (edge, ":parent", parent);
        sql_bind_int (edge, ":child", ids [i]);
        if (sql_step (self, edge, err) < 0)
            return -1;
    }
    return 0;
}

/* Whoever has sent it before has not sent what it names now. */
static int change_object (depot_t *self, int64_t id, const nature_t *nature, err_t *err)
{
    if (self->keeps_owners && sql_run_id (self, SQL_DISOWN, id, err) < 0)
        return -1;
    sqlite3_stmt *change = sql_bind (self, SQL_CHANGE);
    bind_nature (self, change, nature);
    sql_bind_int (change, ":id", id);
    return sql_step (self, change, err);
}

/* The bytes are new, or were not known to be what they are now sent as. */
static int store (depot_t *self, const parcel_t *parcel, int64_t id, nature_t *nature, err_t *err)
{
    if (!parcel->data)
        *nature = (nature_t) { .kinds = IS_CONTENT, .content_bytes = parcel->size };
    else if (depot_examine (self, parcel->data, parcel->size, nature, err) < 0)
        return -1;
    if (!serves_as (nature->kinds, parcel->kind))
        return err_set (err, ERR_PROTOCOL, "%s", nature->missing.text [0] ? nature->missing.text : "its form is not right");
    int rc = id ? change_object (self, id, nature, err) : add_object (self, parcel, nature, &id, err);
    if (rc < 0)
        return -1;
    return add_edges (self, id, &nature->children, err);
}

static int check_bytes (depot_t *self, const parcel_t *parcel, err_t *err)
{
    if (parcel->kind > OBJECT_FOLDER)
        return err_set (err, ERR_PROTOCOL, "there is no kind %d of objects", (int) parcel->kind);
    if (parcel->size > OBJECT_MAX)
        return err_set (err, ERR_PROTOCOL, "it has %zu bytes, more than %d", parcel->size, OBJECT_MAX);
    if (parcel->data) {
        digest_t own = digest_of (parcel->data, parcel->size);
        if (!digest_equal (&own, parcel->digest))
            return err_set (err, ERR_PROTOCOL, "its bytes have another digest");
    }
    if (sqlite3_get_autocommit (self->db))
        return err_set (err, ERR_FARM, "the transaction was ended by an earlier error");
    return 0;
}

static int put (depot_t *self, const parcel_t *parcel, err_t *err)
{
    object_row_t row = { 0 };
    nature_t nature = { 0 };
    if (check_bytes (self, parcel, err) < 0 || depot_find (self, parcel->digest, &row, err) < 0)
        return -1;
    self->stats.received_objects++;
    self->stats.received_bytes += parcel->size;
    if (row.id != 0 && serves_as (row.kinds, parcel->kind) && !row.is_open) {
        self->stats.known_objects++;
        depot_touch (self, row.id, row.used);
        return 0;
    }
    int rc = store (self, parcel, row.id, &nature, err);
    buffer_free (&nature.children);
    return rc;
}

static int put_parcel (depot_t *self, const parcel_t *parcel, err_t *err)
{
    static const char *const names [] = { "content", "list", "folder" };
    char hex [DIGEST_HEX_SIZE + 1];
    assert (self->is_writing);
    if (put (self, parcel, err) == 0)
        return 0;
    digest_to_hex (parcel->digest, hex);
    return err_wrap (err, "store %s %s", parcel->kind <= OBJECT_FOLDER ? names [parcel->kind] : "object", hex);
}

int depot_put_zip (depot_t *self, object_kind kind, const digest_t *digest, const void *data, size_t size, const zip_t *zip,
                   err_t *err)
{
    parcel_t parcel = { kind, digest, size ? data : "", size, zip };
    return put_parcel (self, &parcel, err);
}

int depot_put (depot_t *self, object_kind kind, const digest_t *digest, const void *data, size_t size, err_t *err)
{
    return depot_put_zip (self, kind, digest, data, size, NULL, err);
}

int depot_put_plain (depot_t *self, const digest_t *digest, size_t size, const zip_t *zip, err_t *err)
{
    parcel_t parcel = { OBJECT_CONTENT, digest, NULL, size, zip };
    return put_parcel (self, &parcel, err);
}
