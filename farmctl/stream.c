/* stream.c - threads read files and hash them; the bytes wait in batches, while the coordinator is asked which it lacks; these
 * the threads pack.
 *
 *     read, hash -> batch -> `missing?` -> batch -> compress, pack -> `put`        reading and packing: the threads (hash.c, packer.c)
 *                                                                                   asking and sending: the caller (courier.c)
 *
 * A thread prefers packing to reading, and reads on only while few batches are on their way, so memory does not grow with the context. */
#include "farmctl/stream.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest_map.h"
#include "common/hash.h"
#include "common/scan_private.h"
#include "farmctl/packer.h"

enum {
    MUCH_BYTES = 4 * 1024 * 1024,
    BATCH_BYTES = 512 * 1024, BATCH_PIECES = 1024, BATCHES_MAX = 12,
    QUESTIONS_MAX = 2, QUESTION_BATCHES = 8             /* 8,192 digests, as many as the coordinator takes at once */
};

typedef struct {
    digest_t digest;
    uint32_t size_bytes;
    bool is_missing;
} piece_t;

typedef struct batch batch_t;
struct batch {
    batch_t *next;
    size_t count, size;
    piece_t pieces [BATCH_PIECES];
    uint8_t bytes [BATCH_BYTES];
};

typedef struct {
    batch_t *first, *last;
    size_t count;
} queue_t;

typedef struct {
    int64_t seq;
    queue_t batches;
} question_t;

typedef struct {
    hasher_t *hasher;
    courier_t courier;              /* the caller's, as all up to the lock */
    packer_t *packer;
    digest_map_t asked;
    question_t questions [QUESTIONS_MAX];
    size_t question_count;
    pthread_mutex_t lock;           /* for all below */
    pthread_cond_t changed;
    queue_t hashed, answered, spare;
    size_t batches;                 /* that hold bytes, wherever they are */
    size_t reading;                 /* threads that may make more */
    bool is_ended;                  /* something went wrong: do nothing more */
} stream_t;

/* -- queues ----------------------------------------------------------------------------------------------------- */

static void push (queue_t *self, batch_t *batch)
{
    batch->next = NULL;
    *(self->first ? &self->last->next : &self->first) = batch;
    self->last = batch;
    self->count++;
}

static batch_t *pop (queue_t *self)
{
    batch_t *batch = self->first;
    if (batch) {
        self->first = batch->next;
        self->count--;
    }
    return batch;
}

static void clear (queue_t *self)
{
    for (batch_t *batch; (batch = pop (self));)
        free (batch);
}

/* -- threads: packing ------------------------------------------------------------------------------------------- */

static bool pack_batch (const batch_t *batch, hand_t *hand)
{
    const uint8_t *data = batch->bytes;
    for (size_t i = 0; i < batch->count; i++) {
        const piece_t *piece = &batch->pieces [i];
        if (piece->is_missing && !hand_add (hand, OBJECT_CONTENT, &piece->digest, data, piece->size_bytes))
            return false;
        data += piece->size_bytes;
    }
    return true;
}

/* With the lock held, which is given up meanwhile: pack one that has been answered; false when there is none. */
static bool pack_one (stream_t *self, hand_t *hand)
{
    batch_t *batch = pop (&self->answered);
    if (!batch)
        return false;
    pthread_mutex_unlock (&self->lock);
    bool is_wanted = pack_batch (batch, hand);
    pthread_mutex_lock (&self->lock);
    push (&self->spare, batch);
    self->batches--;
    self->is_ended = self->is_ended || !is_wanted;
    pthread_cond_broadcast (&self->changed);
    return true;
}

/* -- threads: reading ------------------------------------------------------------------------------------------- */

typedef struct {
    stream_t *stream;
    hand_t *hand;
    batch_t *batch;                 /* being filled; NULL for none */
} reader_t;

static void hand_over (reader_t *self)
{
    stream_t *stream = self->stream;
    pthread_mutex_lock (&stream->lock);
    if (self->batch)
        push (&stream->hashed, take (&self->batch));
    pthread_mutex_unlock (&stream->lock);
    hand_wake (self->hand);
}

/* An empty batch, as soon as there may be one more; NULL when none is wanted. */
static batch_t *new_batch (stream_t *self, hand_t *hand)
{
    batch_t *batch = NULL;
    pthread_mutex_lock (&self->lock);
    while (!self->is_ended && (pack_one (self, hand) || self->batches >= BATCHES_MAX))
        if (self->batches >= BATCHES_MAX && !self->answered.first)
            pthread_cond_wait (&self->changed, &self->lock);
    if (!self->is_ended) {
        self->batches++;
        batch = pop (&self->spare);
        batch = batch ? batch : mem_alloc (sizeof *batch);
        batch->count = batch->size = 0;
    }
    pthread_mutex_unlock (&self->lock);
    return batch;
}

static void take_object (void *argument, const digest_t *digest, const void *data, size_t size)
{
    reader_t *self = argument;
    if (self->batch && (self->batch->count == BATCH_PIECES || self->batch->size + size > BATCH_BYTES))
        hand_over (self);
    if (!self->batch && !(self->batch = new_batch (self->stream, self->hand)))
        return;
    batch_t *batch = self->batch;
    batch->pieces [batch->count++] = (piece_t) { *digest, (uint32_t) size, false };
    memcpy (batch->bytes + batch->size, data, size);
    batch->size += size;
}

static int read_files (stream_t *self, hand_t *hand, err_t *err)
{
    reader_t reader = { .stream = self, .hand = hand };
    AUTO_FREE uint8_t *window = mem_alloc (HASH_WINDOW);
    int rc;
    while ((rc = hasher_next (self->hasher, window, take_object, &reader, err)) == 1)
        ;
    hand_over (&reader);
    return rc;
}

/* Reading, then packing what others read. */
static int work (void *argument, hand_t *hand, err_t *err)
{
    stream_t *self = argument;
    pthread_mutex_lock (&self->lock);
    self->reading++;
    pthread_mutex_unlock (&self->lock);
    int rc = read_files (self, hand, err);
    pthread_mutex_lock (&self->lock);
    self->reading--;
    self->is_ended = self->is_ended || rc < 0;
    pthread_cond_broadcast (&self->changed);
    while (!self->is_ended && (pack_one (self, hand) || self->batches || self->reading))
        if (!self->answered.first && (self->batches || self->reading))
            pthread_cond_wait (&self->changed, &self->lock);
    pthread_mutex_unlock (&self->lock);
    return rc;
}

/* -- asking ----------------------------------------------------------------------------------------------------- */

/* Each digest once in the whole send. */
static void add_digests (stream_t *self, batch_t *batch, buffer_t *digests)
{
    for (size_t i = 0; i < batch->count; i++) {
        piece_t *piece = &batch->pieces [i];
        piece->is_missing = digest_map_find (&self->asked, &piece->digest) < 0;      /* until the answer says which are not */
        if (!piece->is_missing)
            continue;
        digest_map_set (&self->asked, &piece->digest, 0);
        buffer_append (digests, piece->digest.bytes, DIGEST_SIZE);
    }
}

static void take_hashed (stream_t *self, queue_t *batches)
{
    pthread_mutex_lock (&self->lock);
    while (self->hashed.first && batches->count < QUESTION_BATCHES)
        push (batches, pop (&self->hashed));
    pthread_mutex_unlock (&self->lock);
}

static void give_answered (stream_t *self, queue_t *batches)
{
    pthread_mutex_lock (&self->lock);
    for (batch_t *batch; (batch = pop (batches));)
        push (&self->answered, batch);
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

static int ask (stream_t *self, err_t *err)
{
    AUTO_BUFFER buffer_t digests = { 0 };
    question_t question = { .seq = 0 };
    take_hashed (self, &question.batches);
    for (batch_t *batch = question.batches.first; batch; batch = batch->next)
        add_digests (self, batch, &digests);
    if (digests.size) {
        question.seq = courier_ask (&self->courier, &digests, err);
        self->questions [self->question_count++] = question;
        return question.seq < 0 ? -1 : 0;
    }
    give_answered (self, &question.batches);        /* nothing, or nothing new */
    return 0;
}

/* The answer has the missing ones in the order in which they were asked for. */
static int mark_missing (queue_t *batches, const msg_t *answer, err_t *err)
{
    size_t size, at = 0;
    const uint8_t *body = msg_body (answer, &size);
    for (batch_t *batch = batches->first; batch; batch = batch->next)
        for (size_t i = 0; i < batch->count; i++) {
            piece_t *piece = &batch->pieces [i];
            bool is_next = piece->is_missing && at < size && memcmp (body + at, piece->digest.bytes, DIGEST_SIZE) == 0;
            piece->is_missing = is_next;
            at += is_next ? DIGEST_SIZE : 0;
        }
    return at == size ? 0 : err_set (err, ERR_PROTOCOL, "the coordinator misses an object that it was not asked about");
}

static int take_missing (stream_t *self, const msg_t *answer, err_t *err)
{
    for (size_t i = 0; i < self->question_count; i++)
        if (self->questions [i].seq == msg_int (answer, "re")) {
            question_t question = self->questions [i];
            self->questions [i] = self->questions [--self->question_count];
            int rc = mark_missing (&question.batches, answer, err);
            give_answered (self, &question.batches);
            return rc;
        }
    return err_set (err, ERR_PROTOCOL, "the coordinator answers a question that it was not asked");
}

/* -- the caller's loop ------------------------------------------------------------------------------------------ */

static int take_answer (stream_t *self, err_t *err)
{
    AUTO (msg) msg_t *answer = courier_answer (&self->courier, err);
    if (!answer)
        return -1;
    return msg_is (answer, "missing") ? take_missing (self, answer, err) : 0;
}

/* Questions first: they are short, and what they free can be packed meanwhile. */
static int post_all (stream_t *self, err_t *err)
{
    AUTO_BUFFER buffer_t pack = { 0 };
    uint64_t objects;
    int rc = 1;
    while (courier_may_post (&self->courier) && self->question_count < QUESTIONS_MAX && rc > 0) {
        pthread_mutex_lock (&self->lock);
        rc = self->hashed.first != NULL;
        pthread_mutex_unlock (&self->lock);
        if (rc > 0 && ask (self, err) < 0)
            return -1;
    }
    while (courier_may_post (&self->courier) && (rc = packer_take (self->packer, &pack, &objects, err)) == 1)
        if (courier_put (&self->courier, &pack, objects, err) < 0)
            return -1;
    return rc < 0 ? -1 : 0;
}

static int run (stream_t *self, err_t *err)
{
    for (;;) {
        packer_reset (self->packer);
        if (post_all (self, err) < 0)
            return -1;
        if (packer_is_done (self->packer) && self->courier.on_the_way == 0)
            return 0;
        if (courier_wait (&self->courier, packer_fd (self->packer), err) < 0)
            return -1;
        while (self->courier.on_the_way && client_has_objects (self->courier.client))
            if (take_answer (self, err) < 0)
                return -1;
    }
}

/* Also before the end: then the threads leave what they have. */
static void end (stream_t *self)
{
    hasher_end (self->hasher);
    pthread_mutex_lock (&self->lock);
    self->is_ended = true;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
    packer_destroy (&self->packer);
    for (size_t i = 0; i < self->question_count; i++)
        clear (&self->questions [i].batches);
    clear (&self->hashed);
    clear (&self->answered);
    clear (&self->spare);
    digest_map_free (&self->asked);
    hasher_destroy (&self->hasher);
    pthread_mutex_destroy (&self->lock);
    pthread_cond_destroy (&self->changed);
}

/* Packs come and go by the hundred: their memory shall not go back to the system each time, and come from there filled with zeros. */
static void keep_memory (void)
{
    mallopt (M_MMAP_THRESHOLD, 1024 * 1024);
    mallopt (M_TRIM_THRESHOLD, 8 * 1024 * 1024);
}

int stream_content (client_t *client, scan_t *scan, upload_stats_t *stats, err_t *err)
{
    err_t why = { 0 };
    if (scan_news_bytes (scan) < MUCH_BYTES)
        return 0;
    stream_t self = { .hasher = hasher_new (scan->walk), .courier = courier_of (client, stats),
                      .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    keep_memory ();
    self.packer = packer_new (work, &self, false);
    int rc = run (&self, &why);
    bool is_silent = rc < 0 && courier_may_try_again (&self.courier, &why);
    end (&self);
    if (rc == 0)
        scan_note_streamed (scan);
    if (rc == 0 || is_silent)
        return 0;
    if (err)
        *err = why;
    return err_wrap (err, "send the context");
}
