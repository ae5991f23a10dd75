/* restore.c - see restore.h. */
#include "worker/restore.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/digest_map.h"
#include "common/msg.h"
#include "common/pack.h"

enum { QUESTION_MAX = 8192, REPEAT_MS = 10000, SILENCE_MS = 60000, LOOK_MS = 100, DEPTH_MAX = 256 };

typedef struct {
    depot_t *depot;
    zsock_t *objects;
    atomic_int *is_cancelled;
    int64_t seq;
    buffer_t pack;                  /* to be put */
} restore_t;

/* An object, and what its bytes are. */
typedef struct {
    digest_t digest;
    object_kind kind;
    uint8_t level;                  /* of a list */
    bool is_listing;                /* a list, and below it is a folder's listing */
    bool is_root;
} part_t;

/* -- questions -------------------------------------------------------------------------------------------------- */

static bool is_answer (const msg_t *message, int64_t seq)
{
    return message && msg_int (message, "re") == seq;
}

typedef struct {
    const char *verb;
    const void *body;
    size_t size;
} question_t;

static int send_question (const restore_t *self, const question_t *question, err_t *err)
{
    err_t why = { 0 };
    msg_t *message = msg_new (question->verb, json_pack ("{s:I}", "seq", (json_int_t) self->seq), question->body, question->size);
    if (msg_send (&message, self->objects, NULL, &why) == 0 || why.code == ERR_NETWORK)
        return 0;               /* a connection that is being made again: repeated in a while */
    if (err)
        *err = why;
    return -1;
}

static msg_t *receive (restore_t *self)
{
    zmq_pollitem_t item = { .socket = zsock_resolve (self->objects), .events = ZMQ_POLLIN };
    return zmq_poll (&item, 1, LOOK_MS) > 0 ? msg_recv (self->objects, NULL, NULL, NULL, NULL) : NULL;
}

/* A coordinator that is restarted forgets a question: it is asked again and again, and may be answered twice. */
static msg_t *await_answer (restore_t *self, const question_t *question, err_t *err)
{
    int64_t begun = clock_boot_ms (), sent = begun;
    for (int64_t now = begun; now - begun < SILENCE_MS; now = clock_boot_ms ()) {
        if (self->is_cancelled && atomic_load (self->is_cancelled)) {
            err_set (err, ERR_CANCELLED, "cancelled");
            return NULL;
        }
        if (now - sent >= REPEAT_MS) {
            sent = now;
            if (send_question (self, question, err) < 0)
                return NULL;
        }
        AUTO (msg) msg_t *message = receive (self);
        if (is_answer (message, self->seq))
            return take (&message);
    }
    err_set (err, ERR_NETWORK, "the coordinator does not answer");
    return NULL;
}

/* The answer to the verb, which is to be of this kind. */
static msg_t *ask (restore_t *self, const char *verb, const void *body, size_t size, const char *wanted, err_t *err)
{
    const question_t question = { verb, body, size };
    self->seq++;
    if (send_question (self, &question, err) < 0)
        return NULL;
    AUTO (msg) msg_t *answer = await_answer (self, &question, err);
    if (!answer || msg_is (answer, wanted))
        return take (&answer);
    if (msg_is (answer, "error"))
        err_set (err, err_from_name (msg_text (answer, "code")), "%s", msg_text (answer, "text"));
    else
        err_set (err, ERR_PROTOCOL, "the coordinator answered %s with %s", verb, msg_verb (answer));
    return NULL;
}

/* Those of the parts that the coordinator lacks. */
static int ask_missing (restore_t *self, const part_t *parts, size_t count, digest_map_t *missing, err_t *err)
{
    for (size_t from = 0; from < count; from += QUESTION_MAX) {
        AUTO_BUFFER buffer_t digests = { 0 };
        for (size_t i = from; i < count && i < from + QUESTION_MAX; i++)
            buffer_append (&digests, parts [i].digest.bytes, DIGEST_SIZE);
        AUTO (msg) msg_t *answer = ask (self, "missing", digests.data, digests.size, "missing", err);
        if (!answer)
            return -1;
        size_t size;
        const digest_t *absent = (const digest_t *) msg_body (answer, &size);
        for (size_t i = 0; i < size / DIGEST_SIZE; i++)
            digest_map_set (missing, &absent [i], 1);
    }
    return 0;
}

static int flush (restore_t *self, err_t *err)
{
    if (self->pack.size == 0)
        return 0;
    AUTO (msg) msg_t *answer = ask (self, "put", self->pack.data, self->pack.size, "stored", err);
    buffer_clear (&self->pack);
    return answer ? 0 : -1;
}

static int put (restore_t *self, const part_t *part, const buffer_t *data, err_t *err)
{
    if (pack_add (&self->pack, part->kind, &part->digest, data->data, data->size))
        return 0;
    if (flush (self, err) < 0)
        return -1;
    return pack_add (&self->pack, part->kind, &part->digest, data->data, data->size) ? 0
         : err_set (err, ERR_FARM, "an object of %zu bytes does not fit a message", data->size);
}

/* -- what an object names --------------------------------------------------------------------------------------- */

static void add_entry (const tree_entry_t *entry, buffer_t *out)
{
    part_t part = { .digest = entry->content.digest, .level = entry->content.level, .kind = tree_object_of (entry) };
    if (entry->kind == TREE_LINK)
        return;
    part.is_listing = part.level && entry->kind == TREE_FOLDER;
    buffer_append (out, &part, sizeof part);
}

static int add_entries (const buffer_t *listing, bool is_root, buffer_t *out, err_t *err)
{
    tree_reader_t reader;
    tree_entry_t entry;
    int rc;
    tree_reader_init (&reader, listing->data, listing->size, is_root);
    while ((rc = tree_read_entry (&reader, &entry, err)) == 1)
        add_entry (&entry, out);
    return rc;
}

static int add_items (const buffer_t *list, uint8_t level, buffer_t *out, err_t *err)
{
    ssize_t count = list_count (list->size, err);
    for (ssize_t i = 0; i < count; i++) {
        list_item_t item;
        list_read_item (list->data, (size_t) i, &item);
        part_t part = { .digest = item.digest, .kind = list_object_of (level), .level = (uint8_t) (level > 1 ? level - 1 : 0) };
        buffer_append (out, &part, sizeof part);
    }
    return count < 0 ? -1 : 0;
}

static int read_object (void *argument, const digest_t *digest, buffer_t *out, err_t *err)
{
    return depot_get (argument, digest, out, NULL, err);
}

static int find_children (restore_t *self, const part_t *part, const buffer_t *data, buffer_t *out, err_t *err)
{
    AUTO_BUFFER buffer_t listing = { 0 };
    if (part->kind == OBJECT_CONTENT)
        return 0;
    if (part->kind == OBJECT_FOLDER)
        return add_entries (data, part->is_root, out, err);
    if (add_items (data, part->level, out, err) < 0)
        return -1;
    if (!part->is_listing)
        return 0;
    if (list_assemble_listing (data->data, data->size, part->level, read_object, self->depot, &listing, err) < 0)
        return -1;
    return add_entries (&listing, false, out, err);
}

/* -- the whole -------------------------------------------------------------------------------------------------- */

static int send_part (restore_t *self, const part_t *part, int depth, err_t *err);

static int send_children (restore_t *self, const part_t *parts, size_t count, int depth, err_t *err)
{
    digest_map_t missing = { 0 };
    int rc = count ? ask_missing (self, parts, count, &missing, err) : 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        if (digest_map_find (&missing, &parts [i].digest) == 1) {
            digest_map_set (&missing, &parts [i].digest, 0);
            rc = send_part (self, &parts [i], depth, err);
        }
    digest_map_free (&missing);
    return rc;
}

/* An object that is missing there. */
static int send_part (restore_t *self, const part_t *part, int depth, err_t *err)
{
    AUTO_BUFFER buffer_t data = { 0 };
    AUTO_BUFFER buffer_t children = { 0 };
    if (depth > DEPTH_MAX)
        return err_set (err, ERR_PROTOCOL, "the context's folders are nested too deeply");
    if (depot_get (self->depot, &part->digest, &data, NULL, err) < 0 || find_children (self, part, &data, &children, err) < 0
    ||  send_children (self, (const part_t *) children.data, children.size / sizeof *part, depth + 1, err) < 0)
        return -1;
    return put (self, part, &data, err);
}

/* A context, or content alone. */
static int look_at_root (restore_t *self, part_t *root, err_t *err)
{
    AUTO_BUFFER buffer_t data = { 0 };
    if (depot_get (self->depot, &root->digest, &data, &root->kind, err) < 0)
        return -1;
    root->is_root = root->kind == OBJECT_FOLDER;
    if (!root->is_root)
        root->kind = OBJECT_CONTENT;
    return 0;
}

int restore_root (depot_t *depot, zsock_t *objects, const digest_t *digest, atomic_int *is_cancelled, err_t *err)
{
    restore_t self = { .depot = depot, .objects = objects, .is_cancelled = is_cancelled };
    part_t root = { .digest = *digest };
    if (!depot_has (depot, digest))
        return 0;
    int rc = look_at_root (&self, &root, err) < 0 || send_children (&self, &root, 1, 0, err) < 0 || flush (&self, err) < 0 ? -1 : 1;
    buffer_free (&self.pack);
    return rc;
}
