/* upload.c - asks from the root down what is missing, then sends that: content first, then folders and lists from the leaves
 * up, as the coordinator's depot takes an object only when all that it names is there. Objects that are there are not looked below, so an unchanged context is
 * one question.
 *
 * When the coordinator falls silent after it has spoken, everything on the way may be lost: then it is asked again from the
 * root, and what it stored before is not sent again. */
#include "farmctl/upload.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest_map.h"
#include "common/pack.h"
#include "farmctl/packer.h"

enum { QUESTION_MAX = 8192, LITTLE_BYTES = 512 * 1024, DEPTH_MAX = 1024 };

typedef struct {
    scan_object_t object;
    bool is_missing;
} item_t;

typedef struct {
    courier_t courier;
    const scan_t *scan;
    const scan_object_t *beside;    /* a piece of content that is not of the scan, and its bytes; NULL for none */
    const void *beside_data;
    bool trusts_last;               /* the coordinator has what it had of the tree that was sent last */
    bool trusts_stream;             /* and what was sent while it was read */
    item_t *items;              /* each object that was asked for, in that order: level by level */
    size_t count, capacity;
    digest_map_t by_digest;
    buffer_t pack, object;      /* the message being filled, and one object for it */
    uint64_t pack_objects;
} upload_t;

/* -- messages on the way ---------------------------------------------------------------------------------------- */

static int take_missing (upload_t *self, const msg_t *answer, err_t *err)
{
    size_t size;
    const uint8_t *body = msg_body (answer, &size);
    for (size_t i = 0; i < size; i += DIGEST_SIZE) {
        digest_t digest;
        memcpy (digest.bytes, body + i, DIGEST_SIZE);
        int64_t at = digest_map_find (&self->by_digest, &digest);
        if (at < 0)
            return err_set (err, ERR_PROTOCOL, "the coordinator misses an object that it was not asked about");
        self->items [at].is_missing = true;
    }
    return 0;
}

static int take_answers (upload_t *self, int until, err_t *err)
{
    while (self->courier.on_the_way > until) {
        AUTO (msg) msg_t *answer = courier_answer (&self->courier, err);
        if (!answer || (msg_is (answer, "missing") && take_missing (self, answer, err) < 0))
            return -1;
    }
    return 0;
}

/* Those that are there. */
static int take_ready (upload_t *self, err_t *err)
{
    while (self->courier.on_the_way > 0 && client_has_objects (self->courier.client))
        if (take_answers (self, self->courier.on_the_way - 1, err) < 0)
            return -1;
    return 0;
}

/* -- what is missing -------------------------------------------------------------------------------------------- */

/* Each once; but the same bytes may be content here and a folder there. Then they go as both, the folder behind what it names. */
static void add_item (upload_t *self, const scan_object_t *object)
{
    int64_t known = digest_map_find (&self->by_digest, &object->digest);
    if (known >= 0 && !scan_names_more (self->scan, object, &self->items [known].object))
        return;
    if (self->count == self->capacity) {
        self->capacity = self->capacity ? 2 * self->capacity : 256;
        self->items = mem_resize (self->items, self->capacity * sizeof *self->items);
    }
    digest_map_set (&self->by_digest, &object->digest, self->count);
    self->items [self->count++] = (item_t) { *object, false };
}

static int ask (upload_t *self, size_t from, size_t to, err_t *err)
{
    AUTO_BUFFER buffer_t digests = { 0 };
    for (size_t i = from; i < to; i++)
        buffer_append (&digests, self->items [i].object.digest.bytes, DIGEST_SIZE);
    if (take_answers (self, COURIER_MAX - 1, err) < 0)
        return -1;
    return courier_ask (&self->courier, &digests, err) < 0 ? -1 : 0;
}

/* The items from one on, and their answers. */
static int ask_from (upload_t *self, size_t from, err_t *err)
{
    for (size_t at = from; at < self->count; at += QUESTION_MAX)
        if (ask (self, at, self->count - at < QUESTION_MAX ? self->count : at + QUESTION_MAX, err) < 0)
            return -1;
    return take_answers (self, 0, err);
}

/* One level: the items that the level before added. */
static int ask_level (upload_t *self, size_t from, err_t *err)
{
    size_t to = self->count;
    if (ask_from (self, from, err) < 0)
        return -1;
    for (size_t i = from; i < to; i++) {
        AUTO_FREE scan_object_t *children = NULL;
        size_t count = self->items [i].is_missing ? scan_children (self->scan, &self->items [i].object, &children) : 0;
        for (size_t j = 0; j < count; j++)
            add_item (self, &children [j]);
    }
    return 0;
}

static bool is_there (const upload_t *self, const scan_object_t *object)
{
    return (self->trusts_last && scan_is_old (self->scan, object)) || (self->trusts_stream && scan_is_streamed (self->scan, object));
}

/* With one question, all that is not there as far as we know: the root, and below it what was not in the tree that was sent last,
 * and not sent while it was read. */
static int ask_news (upload_t *self, err_t *err)
{
    for (size_t i = 0; i < self->count; i++) {
        AUTO_FREE scan_object_t *children = NULL;
        size_t count = scan_children (self->scan, &self->items [i].object, &children);
        for (size_t j = 0; j < count; j++)
            if (!is_there (self, &children [j]))
                add_item (self, &children [j]);
    }
    return ask_from (self, 0, err);
}

static int find_missing (upload_t *self, err_t *err)
{
    scan_object_t root = scan_top (self->scan);
    add_item (self, &root);
    if (self->beside)
        add_item (self, self->beside);
    if (self->trusts_last || self->trusts_stream)
        return ask_news (self, err);
    for (size_t from = 0, to = self->count; from < to; from = to, to = self->count)
        if (ask_level (self, from, err) < 0)
            return -1;
    return 0;
}

/* -- sending ---------------------------------------------------------------------------------------------------- */

static int flush (upload_t *self, err_t *err)
{
    if (self->pack_objects == 0)
        return 0;
    if (take_answers (self, COURIER_MAX - 1, err) < 0 || courier_put (&self->courier, &self->pack, self->pack_objects, err) < 0)
        return -1;
    self->pack_objects = 0;
    return 0;
}

static int add_to_pack (upload_t *self, const scan_object_t *object, const void *data, size_t size, err_t *err)
{
    if (!pack_add (&self->pack, object->kind, &object->digest, data, size)) {
        if (flush (self, err) < 0)
            return -1;
        if (!pack_add (&self->pack, object->kind, &object->digest, data, size))
            return err_set (err, ERR_FARM, "an object of %zu bytes does not fit a message", size);
    }
    self->pack_objects++;
    return 0;
}

/* What is to be read again; threads take the next one each. */
typedef struct {
    const scan_t *scan;
    const scan_object_t **objects;
    size_t count;
    uint64_t bytes;             /* in packs, uncompressed */
    atomic_size_t next;
} rest_t;

static int read_rest (void *argument, hand_t *hand, err_t *err)
{
    rest_t *self = argument;
    AUTO_BUFFER buffer_t data = { 0 };
    for (size_t i; (i = atomic_fetch_add (&self->next, 1)) < self->count;) {
        const scan_object_t *object = self->objects [i];
        if (scan_read (self->scan, object, &data, err) < 0)
            return -1;
        if (!hand_add (hand, object->kind, &object->digest, data.data, data.size))
            return 0;
    }
    return 0;
}

static void find_rest (upload_t *self, rest_t *rest)
{
    rest->scan = self->scan;
    rest->objects = mem_alloc (self->count * sizeof *rest->objects);
    for (size_t i = 0; i < self->count; i++)
        if (self->items [i].is_missing && self->items [i].object.kind == OBJECT_CONTENT) {
            rest->objects [rest->count++] = &self->items [i].object;
            rest->bytes += PACK_RECORD_HEAD + self->items [i].object.size_bytes;
            self->items [i].is_missing = false;
        }
}

static int send_packs (upload_t *self, packer_t *packer, err_t *err)
{
    int rc;
    while (!packer_is_done (packer)) {
        packer_reset (packer);
        while ((rc = packer_take (packer, &self->pack, &self->pack_objects, err)) == 1)
            if (flush (self, err) < 0)
                return -1;
        if (rc < 0)
            return -1;
        if (!packer_is_done (packer) && (courier_wait (&self->courier, packer_fd (packer), err) < 0 || take_ready (self, err) < 0))
            return -1;
    }
    return 0;
}

/* All missing content, in the order in which it becomes ready: it names nothing, so nothing has to go before it. */
static int send_contents (upload_t *self, err_t *err)
{
    rest_t rest = { .count = 0 };
    find_rest (self, &rest);
    packer_t *packer = rest.count ? packer_new (read_rest, &rest, rest.bytes <= LITTLE_BYTES) : NULL;
    int rc = packer ? send_packs (self, packer, err) : 0;
    packer_destroy (&packer);
    free (rest.objects);
    return rc;
}

/* Folders and lists: children first, each once. */
static int send_item (upload_t *self, size_t at, int depth, err_t *err)
{
    const scan_object_t object = self->items [at].object;
    AUTO_FREE scan_object_t *children = NULL;
    if (depth > DEPTH_MAX)
        return err_set (err, ERR_USAGE, "the context's folders are nested too deeply");
    self->items [at].is_missing = false;
    size_t count = scan_children (self->scan, &object, &children);
    for (size_t i = 0; i < count; i++) {
        int64_t child = digest_map_find (&self->by_digest, &children [i].digest);
        if (child >= 0 && self->items [child].is_missing && send_item (self, (size_t) child, depth + 1, err) < 0)
            return -1;
    }
    if (scan_read (self->scan, &object, &self->object, err) < 0)
        return -1;
    return add_to_pack (self, &object, self->object.data, self->object.size, err);
}

/* Goes with the folders: it is no file of the scan, or need not be one. */
static int send_beside (upload_t *self, err_t *err)
{
    return add_to_pack (self, self->beside, self->beside_data, self->beside->size_bytes, err);
}

static bool take_beside (upload_t *self)
{
    item_t *item = self->count > 1 ? &self->items [1] : NULL;
    if (!item || item->object.node != SCAN_BESIDE || !item->is_missing)
        return false;
    item->is_missing = false;
    return true;
}

static int send_missing (upload_t *self, err_t *err)
{
    if (take_beside (self) && send_beside (self, err) < 0)
        return -1;
    if (flush (self, err) < 0 || send_contents (self, err) < 0 || (self->items [0].is_missing && send_item (self, 0, 0, err) < 0))
        return -1;
    return flush (self, err) < 0 ? -1 : take_answers (self, 0, err);
}

/* -- the whole -------------------------------------------------------------------------------------------------- */

static void forget (upload_t *self)
{
    self->count = 0;
    courier_forget (&self->courier);
    self->pack_objects = 0;
    buffer_clear (&self->pack);
    digest_map_free (&self->by_digest);
}

/* The answers to what is on the way, whatever they are, as long as they come: refusals too are counted down. */
static void drop_answers (upload_t *self)
{
    int before;
    do {
        AUTO (msg) msg_t *answer = NULL;
        before = self->courier.on_the_way;
        if (before > 0)
            answer = courier_answer (&self->courier, NULL);
    } while (self->courier.on_the_way < before);
}

/* Where the coordinator has lost something since (collected, or damaged), it refuses the folder that names it. */
static int attempt (upload_t *self, err_t *err)
{
    int rc = find_missing (self, err) < 0 ? -1 : send_missing (self, err);
    if (rc == 0 || !(self->trusts_last || self->trusts_stream) || err->code != ERR_PROTOCOL)
        return rc;
    drop_answers (self);
    self->trusts_last = self->trusts_stream = false;
    forget (self);
    return attempt (self, err);
}

static int persist (upload_t *self, err_t *err)
{
    err_t why = { 0 };
    int rc;
    const uint8_t *server_key = client_server_key (self->courier.client);
    self->trusts_last = scan_was_sent (self->scan, server_key);
    self->trusts_stream = scan_has_streamed (self->scan);
    while ((rc = attempt (self, &why)) < 0 && courier_may_try_again (&self->courier, &why))
        forget (self);
    if (rc == 0)
        scan_note_sent (self->scan, server_key);
    else if (err)
        *err = why;
    forget (self);
    free (self->items);
    buffer_free (&self->pack);
    buffer_free (&self->object);
    return rc < 0 ? err_wrap (err, "send the context") : 0;
}

int upload_context (client_t *client, const scan_t *scan, upload_stats_t *stats, err_t *err)
{
    upload_t self = { .courier = courier_of (client, stats), .scan = scan };
    return persist (&self, err);
}

int upload_build (client_t *client, const scan_t *scan, const void *data, size_t size, digest_t *digest, upload_stats_t *stats,
                  err_t *err)
{
    if (size > OBJECT_MAX)
        return err_set (err, ERR_USAGE, "the Dockerfile has %zu bytes; the limit is %d", size, OBJECT_MAX);
    *digest = digest_of (data, size);
    scan_object_t beside = { .kind = OBJECT_CONTENT, .digest = *digest, .size_bytes = (uint32_t) size, .node = SCAN_BESIDE };
    upload_t self = { .courier = courier_of (client, stats), .scan = scan, .beside = &beside, .beside_data = data };
    return persist (&self, err);
}
