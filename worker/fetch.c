/* fetch.c - brings a tree into the depot. Three steps, since the depot takes an object only when what it names is there:
 *
 *   folders and lists, from the root down      held in memory; what the depot has is not looked below
 *   content                                    stored as it comes (storer.h), in a checkout's order
 *   folders and lists, from the leaves up      stored
 *
 * The listing of a very large folder is itself cut into pieces; those are held too, until it can be read. */
#include "worker/fetch.h"

#include <stdlib.h>
#include <string.h>

#include "common/digest_map.h"
#include "worker/storer.h"
#include "worker/want.h"

enum {
    HELD_MAX = 256 * 1024 * 1024,               /* bytes of folders and lists: a few million files */
    DEPTH_MAX = 1024,
    QUEUE_OBJECTS = 8192                        /* of content, put into the queue at a time */
};

/* A folder, a list or a piece of a listing, to be kept in memory. */
typedef struct {
    uint8_t *data, *zip;            /* zip: as it came, where that is compressed */
    size_t data_size, zip_size;
    uint32_t *children;
    size_t child_count, child_capacity;
} body_t;

/* An object that is wanted. There is one for each 64 KB of a large context, so it is small. */
typedef struct {
    digest_t digest;
    uint32_t size_bytes;            /* as far as it is known beforehand */
    object_kind kind : 8;
    uint8_t level;                  /* of a list */
    bool is_root : 1;
    bool is_listing : 1;            /* a list, and below it is a listing; or a piece of one */
    bool is_resolved : 1, is_ordered : 1, is_stored : 1;
    body_t *body;                   /* NULL: content */
} item_t;

typedef struct {
    supply_t *supply;
    depot_t *depot;
    want_t *want;
    fetch_stats_t *stats;
    item_t *items;
    size_t count, capacity;
    digest_map_t by_digest;
    uint64_t held_bytes;
    size_t long_listings;           /* not yet resolved */
    storer_t *storer;
} fetch_t;

/* -- items ------------------------------------------------------------------------------------------------------ */

static size_t append_item (fetch_t *self, const item_t *item)
{
    if (self->count == self->capacity) {
        self->capacity = self->capacity ? 2 * self->capacity : 256;
        self->items = mem_resize (self->items, self->capacity * sizeof *self->items);
    }
    digest_map_set (&self->by_digest, &item->digest, self->count);
    self->items [self->count] = *item;
    return self->count++;
}

static void ask_for (fetch_t *self, size_t at)
{
    item_t *item = &self->items [at];
    item->body = mem_alloc (sizeof *item->body);
    self->long_listings += item->kind == OBJECT_LIST && item->is_listing;
    want_add (self->want, &item->digest, item->size_bytes);
}

static void add_child (fetch_t *self, size_t parent, size_t child)
{
    body_t *body = self->items [parent].body;
    if (body->child_count == body->child_capacity) {
        body->child_capacity = body->child_capacity ? 2 * body->child_capacity : 8;
        body->children = mem_resize (body->children, body->child_capacity * sizeof *body->children);
    }
    body->children [body->child_count++] = (uint32_t) child;
}

/* The parent names this. What the depot has is left alone; content waits for the second step. The same bytes may have been
 * seen as content, and now be a folder. */
static int name_item (fetch_t *self, size_t parent, const item_t *wanted, err_t *err)
{
    int64_t known = digest_map_find (&self->by_digest, &wanted->digest);
    bool must_hold = wanted->kind != OBJECT_CONTENT || wanted->is_listing;
    if (known < 0 && depot_has (self->depot, &wanted->digest))
        return 0;
    size_t at = known < 0 ? append_item (self, wanted) : (size_t) known;
    item_t *item = &self->items [at];
    if (known >= 0 && wanted->kind > item->kind && item->kind != OBJECT_CONTENT)
        return err_set (err, ERR_PROTOCOL, "the context names an object as a list and as a folder");
    if (known >= 0 && wanted->kind > item->kind && item->body)
        return err_set (err, ERR_PROTOCOL, "the context names an object as a piece of a listing and as a folder");
    if (known >= 0 && wanted->kind > item->kind)
        *item = *wanted;
    if (must_hold && !item->body)
        ask_for (self, at);
    add_child (self, parent, at);
    return 0;
}

/* -- folders and lists ------------------------------------------------------------------------------------------ */

static int name_entry (fetch_t *self, size_t parent, const tree_entry_t *entry, err_t *err)
{
    const content_t *content = &entry->content;
    bool is_folder = entry->kind == TREE_FOLDER;
    if (entry->kind == TREE_LINK)
        return 0;
    if (is_folder && content->size_bytes > TREE_LISTING_MAX)
        return err_set (err, ERR_PROTOCOL, "a folder of the context has too many entries");
    item_t item = { .digest = content->digest, .level = content->level };
    item.kind = tree_object_of (entry);
    uint64_t size = content->level ? content->size_bytes / 1024 : content->size_bytes;
    item.size_bytes = size < OBJECT_MAX ? (uint32_t) size : OBJECT_MAX;
    item.is_listing = content->level && is_folder;
    return name_item (self, parent, &item, err);
}

static int name_entries (fetch_t *self, size_t parent, const void *data, size_t size, int is_root, err_t *err)
{
    tree_reader_t reader;
    tree_entry_t entry;
    int rc;
    tree_reader_init (&reader, data, size, is_root);
    while ((rc = tree_read_entry (&reader, &entry, err)) == 1)
        if (name_entry (self, parent, &entry, err) < 0)
            return -1;
    return rc;
}

static int name_list (fetch_t *self, size_t parent, err_t *err)
{
    const item_t list = self->items [parent];
    ssize_t count = list_count (list.body->data_size, err);
    for (ssize_t i = 0; i < count; i++) {
        list_item_t line;
        list_read_item (list.body->data, (size_t) i, &line);
        item_t item = { .digest = line.digest, .size_bytes = line.size_bytes, .is_listing = list.is_listing };
        item.kind = list_object_of (list.level);
        item.level = (uint8_t) (list.level - 1);
        item.is_resolved = true;        /* only the top of a listing is read whole */
        if (name_item (self, parent, &item, err) < 0)
            return -1;
    }
    return count < 0 ? -1 : 0;
}

static uint8_t *copy (const void *data, size_t size)
{
    uint8_t *bytes = mem_alloc (size + 1);
    memcpy (bytes, data, size);
    return bytes;
}

/* A held object has come. */
static int take_held (fetch_t *self, size_t at, const arrival_t *object, err_t *err)
{
    const item_t item = self->items [at];
    body_t *body = item.body;
    size_t size = object->size, zip_size = object->zip.is_zstd ? object->zip.size : 0;
    self->held_bytes += size + zip_size;
    if (self->held_bytes > HELD_MAX)
        return err_set (err, ERR_PROTOCOL, "the context's folders take more than %d MiB", HELD_MAX / 1024 / 1024);
    body->data = copy (object->data, size);
    body->data_size = size;
    body->zip = zip_size ? copy (object->zip.data, zip_size) : NULL;
    body->zip_size = zip_size;
    supply_hold (self->supply, &item.digest, body->data, size);
    if (item.kind == OBJECT_FOLDER)
        return name_entries (self, at, body->data, size, item.is_root, err);
    return item.kind == OBJECT_LIST ? name_list (self, at, err) : 0;
}

/* The bytes of an object that is held, or that the depot had all along. */
static int read_object (void *argument, const digest_t *digest, buffer_t *out, err_t *err)
{
    const fetch_t *self = argument;
    int64_t at = digest_map_find (&self->by_digest, digest);
    const body_t *body = at < 0 ? NULL : self->items [at].body;
    if (!body || !body->data)
        return depot_get (self->depot, digest, out, NULL, err);
    buffer_append (out, body->data, body->data_size);
    return 0;
}

/* Read the long listings whose pieces are all here, which may name more. */
static int resolve_listings (fetch_t *self, err_t *err)
{
    self->long_listings = 0;
    for (size_t i = 0; i < self->count; i++) {
        AUTO_BUFFER buffer_t listing = { 0 };
        item_t *item = &self->items [i];
        if (item->kind != OBJECT_LIST || !item->is_listing || item->is_resolved || !item->body || !item->body->data)
            continue;
        item->is_resolved = true;
        if (list_assemble_listing (item->body->data, item->body->data_size, item->level, read_object, self, &listing, err) < 0
        ||  name_entries (self, i, listing.data, listing.size, 0, err) < 0)
            return -1;
    }
    return 0;
}

/* As want_next, while anybody wants it. */
static int next_arrival (fetch_t *self, arrival_t *out, err_t *err)
{
    return supply_check (self->supply, err) < 0 ? -1 : want_next (self->want, out, err);
}

static int take_next_held (fetch_t *self, err_t *err)
{
    arrival_t object;
    int rc = next_arrival (self, &object, err);
    if (rc <= 0)
        return rc;
    int64_t at = digest_map_find (&self->by_digest, &object.digest);
    return take_held (self, (size_t) at, &object, err) < 0 ? -1 : 1;
}

static int fetch_held (fetch_t *self, err_t *err)
{
    int rc;
    do {
        while ((rc = take_next_held (self, err)) == 1)
            ;
        bool is_more = self->long_listings > 0;
        if (rc < 0 || (is_more && resolve_listings (self, err) < 0))
            return -1;
        rc = is_more;
    } while (rc);
    return 0;
}

/* -- storing ---------------------------------------------------------------------------------------------------- */

static int store (fetch_t *self, object_kind kind, const arrival_t *object, err_t *err)
{
    self->stats->objects++;
    self->stats->bytes += object->size;
    return storer_put (self->storer, kind, object, err);
}

static bool is_folder (const item_t *item)
{
    return item->kind == OBJECT_FOLDER || (item->kind == OBJECT_LIST && item->is_listing);
}

/* As a checkout goes about it: what is in a folder, then the folders in it, the last one first. */
static void order_contents (fetch_t *self, size_t at, int depth, buffer_t *order)
{
    item_t *item = &self->items [at];
    uint32_t index = (uint32_t) at;
    if (item->is_ordered || depth > DEPTH_MAX)
        return;
    item->is_ordered = true;
    const body_t *body = item->body;
    if (!body) {
        buffer_append (order, &index, sizeof index);
        return;
    }
    for (size_t i = 0; i < body->child_count; i++)
        if (!is_folder (&self->items [body->children [i]]))
            order_contents (self, body->children [i], depth + 1, order);
    for (size_t i = body->child_count; i-- > 0;)
        if (is_folder (&self->items [body->children [i]]))
            order_contents (self, body->children [i], depth + 1, order);
}

/* Fill the queue when it is empty; what is added last is asked for first. Returns how many of the items are through. */
static size_t ask_for_more (fetch_t *self, const uint32_t *items, size_t count, size_t asked)
{
    if (want_queued (self->want) > 0)
        return asked;
    size_t end = count - asked > QUEUE_OBJECTS ? asked + QUEUE_OBJECTS : count;
    for (size_t i = end; i-- > asked;) {
        item_t *item = &self->items [items [i]];
        want_add (self->want, &item->digest, item->size_bytes);
        item->is_stored = true;
    }
    return end;
}

static int store_contents (fetch_t *self, err_t *err)
{
    AUTO_BUFFER buffer_t order = { 0 };
    arrival_t object;
    int rc;
    for (size_t i = 0; i < self->count; i++)
        order_contents (self, i, 0, &order);
    const uint32_t *items = (const uint32_t *) order.data;
    size_t count = order.size / sizeof *items, asked = ask_for_more (self, items, count, 0);
    for (; (rc = next_arrival (self, &object, err)) == 1; asked = ask_for_more (self, items, count, asked)) {
        supply_offer (self->supply, &object.digest, object.data, object.size);
        self->stats->content_bytes += object.size;
        if (store (self, OBJECT_CONTENT, &object, err) < 0)
            return -1;
    }
    return rc;
}

/* Children first. */
static int store_held (fetch_t *self, size_t at, int depth, err_t *err)
{
    item_t *item = &self->items [at];
    if (item->is_stored)
        return 0;
    if (depth > DEPTH_MAX)
        return err_set (err, ERR_PROTOCOL, "the context's folders are nested too deeply");
    item->is_stored = true;
    const body_t *body = item->body;
    for (size_t i = 0; i < body->child_count; i++)
        if (store_held (self, body->children [i], depth + 1, err) < 0)
            return -1;
    arrival_t object = { .digest = item->digest, .data = body->data, .size = body->data_size };
    object.zip = body->zip ? (zip_t) { body->zip, body->zip_size, true } : (zip_t) { body->data, body->data_size, false };
    return store (self, item->kind, &object, err);
}

/* -- the whole -------------------------------------------------------------------------------------------------- */

static void body_free (body_t *self)
{
    if (!self)
        return;
    free (self->data);
    free (self->zip);
    free (self->children);
    free (self);
}

static void fetch_end (fetch_t *self)
{
    self->stats->wire_bytes += want_wire_bytes (self->want);
    storer_destroy (&self->storer);
    supply_clear (self->supply);
    for (size_t i = 0; i < self->count; i++)
        body_free (self->items [i].body);
    free (self->items);
    digest_map_free (&self->by_digest);
    want_destroy (&self->want);
}

static int fetch_all (fetch_t *self, err_t *err)
{
    if (fetch_held (self, err) < 0 || store_contents (self, err) < 0)
        return -1;
    if (self->items [0].body && store_held (self, 0, 0, err) < 0)
        return -1;
    return storer_flush (self->storer, err);
}

static int fetch_item (zsock_t *objects, supply_t *supply, const item_t *first, atomic_int *is_cancelled, fetch_stats_t *stats,
                       err_t *err)
{
    fetch_stats_t unused = { 0 };
    fetch_t self = { .supply = supply, .depot = supply_depot (supply), .stats = stats ? stats : &unused };
    if (depot_has (self.depot, &first->digest))
        return 0;
    self.storer = storer_new (self.depot, supply_stored, supply, err);
    if (!self.storer)
        return -1;
    self.want = want_new (objects, is_cancelled);
    append_item (&self, first);
    if (first->kind == OBJECT_FOLDER)
        ask_for (&self, 0);
    int rc = fetch_all (&self, err);
    fetch_end (&self);
    return rc;
}

int fetch_tree (zsock_t *objects, supply_t *supply, const digest_t *root, atomic_int *is_cancelled, fetch_stats_t *stats,
                err_t *err)
{
    item_t first = { .digest = *root, .kind = OBJECT_FOLDER, .is_root = true, .size_bytes = 100 };
    return fetch_item (objects, supply, &first, is_cancelled, stats, err) < 0 ? err_wrap (err, "fetch the context") : 0;
}

int fetch_object (zsock_t *objects, supply_t *supply, const digest_t *digest, atomic_int *is_cancelled, fetch_stats_t *stats,
                  err_t *err)
{
    item_t first = { .digest = *digest, .kind = OBJECT_CONTENT, .size_bytes = OBJECT_MAX };
    return fetch_item (objects, supply, &first, is_cancelled, stats, err) < 0 ? err_wrap (err, "fetch the Dockerfile") : 0;
}
