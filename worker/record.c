/* record.c - see record.h. */
#include "worker/record.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"

#define MAGIC "farmtree"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
enum { RECORD_VERSION = 1, BOOT_ID_SIZE = 36, HEAD_SIZE = 8 + 4 + BOOT_ID_SIZE, BLOCK_HEAD = 8, SLOT_SIZE = 28,
       TAIL_SIZE = 8 + 8 + 8 + 4 + 8 + 1 + DIGEST_SIZE + 8 + 2, END_SIZE = 4 + DIGEST_SIZE, BUFFER = 65536 };

/* -- numbers ---------------------------------------------------------------------------------------------------- */

static void put (uint8_t **at, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        *(*at)++ = (uint8_t) (value >> (8 * (width - 1 - i)));
}

static uint64_t get (const uint8_t **at, size_t width)
{
    uint64_t value = 0;
    while (width--)
        value = value << 8 | *(*at)++;
    return value;
}

/* A record of another boot is of no use: see record.h. */
static int make_head (uint8_t head [HEAD_SIZE], err_t *err)
{
    AUTO_BUFFER buffer_t id = { 0 };
    uint8_t *at = head + 8;
    if (file_read (BOOT_ID, BUFFER, &id, err) < 0)
        return -1;
    if (id.size < BOOT_ID_SIZE)
        return err_set (err, ERR_FARM, "%s has no id", BOOT_ID);
    memcpy (head, MAGIC, 8);
    put (&at, RECORD_VERSION, 4);
    memcpy (at, id.data, BOOT_ID_SIZE);
    return 0;
}

/* -- writing ---------------------------------------------------------------------------------------------------- */

struct record_writer {
    char *path, *temporary;
    int fd;
    uint64_t size;
    buffer_t pending;
    crypto_generichash_state hash;
};

static int flush (record_writer_t *self, err_t *err)
{
    if (file_write_all (self->fd, self->pending.data, self->pending.size, err) < 0)
        return err_wrap (err, "%s", self->temporary);
    buffer_clear (&self->pending);
    return 0;
}

static int append (record_writer_t *self, const void *data, size_t size, err_t *err)
{
    if (size == 0)
        return 0;
    crypto_generichash_update (&self->hash, data, size);
    buffer_append (&self->pending, data, size);
    self->size += size;
    return self->pending.size < BUFFER ? 0 : flush (self, err);
}

int record_new (record_writer_t **out, const char *path, err_t *err)
{
    AUTO (record_writer) record_writer_t *self = mem_alloc (sizeof *self);
    uint8_t head [HEAD_SIZE];
    self->path = mem_strdup (path);
    self->temporary = mem_printf ("%s.new", path);
    self->fd = open (self->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (self->fd < 0)
        return err_sys (err, errno, "make %s", self->temporary);
    crypto_generichash_init (&self->hash, NULL, 0, DIGEST_SIZE);
    if (make_head (head, err) < 0 || append (self, head, sizeof head, err) < 0)
        return -1;
    *out = take (&self);
    return 0;
}

int record_add (record_writer_t *self, const void *listing, size_t size, const record_slot_t *slots, size_t count,
                uint64_t *block, err_t *err)
{
    uint8_t head [BLOCK_HEAD], *at = head;
    AUTO_FREE uint8_t *bytes = mem_alloc (count * SLOT_SIZE + 1);
    put (&at, size, 4);
    put (&at, count, 4);
    at = bytes;
    for (size_t i = 0; i < count; i++) {
        put (&at, slots [i].inode, 8);
        put (&at, (uint64_t) slots [i].ctime_s, 8);
        put (&at, slots [i].ctime_ns, 4);
        put (&at, slots [i].block, 8);
    }
    *block = self->size;
    if (append (self, head, sizeof head, err) < 0 || append (self, listing, size, err) < 0)
        return -1;
    return append (self, bytes, count * SLOT_SIZE, err);
}

static int append_tail (record_writer_t *self, const record_facts_t *facts, err_t *err)
{
    uint8_t tail [TAIL_SIZE + sizeof facts->repository + 4], *at = tail;
    size_t size = strlen (facts->repository);
    put (&at, facts->block, 8);
    put (&at, facts->device, 8);
    put (&at, (uint64_t) facts->sealed.tv_sec, 8);
    put (&at, (uint64_t) facts->sealed.tv_nsec, 4);
    put (&at, facts->root.size_bytes, 8);
    put (&at, facts->root.level, 1);
    memcpy (at, facts->root.digest.bytes, DIGEST_SIZE);
    at += DIGEST_SIZE;
    put (&at, facts->disk_bytes, 8);
    put (&at, size, 2);
    memcpy (at, facts->repository, size);
    at += size;
    put (&at, TAIL_SIZE + size, 4);
    return append (self, tail, (size_t) (at - tail), err);
}

int record_end (record_writer_t **self_p, const record_facts_t *facts, err_t *err)
{
    AUTO (record_writer) record_writer_t *self = take (self_p);
    digest_t digest;
    if (append_tail (self, facts, err) < 0)
        return -1;
    crypto_generichash_final (&self->hash, digest.bytes, DIGEST_SIZE);
    buffer_append (&self->pending, digest.bytes, DIGEST_SIZE);
    if (flush (self, err) < 0)
        return -1;
    if (rename (self->temporary, self->path) < 0)
        return err_sys (err, errno, "rename %s", self->temporary);
    return 0;
}

void record_writer_destroy (record_writer_t **self_p)
{
    record_writer_t *self = *self_p;
    if (!self)
        return;
    if (self->fd >= 0) {
        close (self->fd);
        unlink (self->temporary);       /* not there any more when all went well */
    }
    buffer_free (&self->pending);
    free (self->path);
    free (self->temporary);
    free (self);
    *self_p = NULL;
}

/* -- reading ---------------------------------------------------------------------------------------------------- */

struct record {
    int fd;
    uint64_t size;                  /* of head and blocks */
    record_facts_t facts;
};

static int read_at (int fd, uint64_t offset, void *data, size_t size)
{
    for (size_t have = 0; have < size;) {
        ssize_t got = pread (fd, (uint8_t *) data + have, size - have, (off_t) (offset + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        have += (size_t) got;
    }
    return 0;
}

/* Are the last bytes the digest of those before? */
static bool is_whole (int fd, uint64_t size)
{
    AUTO_FREE uint8_t *data = mem_alloc (BUFFER);
    crypto_generichash_state hash;
    digest_t own, noted;
    crypto_generichash_init (&hash, NULL, 0, DIGEST_SIZE);
    for (uint64_t at = 0, end = size - DIGEST_SIZE; at < end;) {
        size_t part = end - at < BUFFER ? (size_t) (end - at) : BUFFER;
        if (read_at (fd, at, data, part) < 0)
            return false;
        crypto_generichash_update (&hash, data, part);
        at += part;
    }
    crypto_generichash_final (&hash, own.bytes, DIGEST_SIZE);
    return read_at (fd, size - DIGEST_SIZE, noted.bytes, DIGEST_SIZE) == 0 && digest_equal (&own, &noted);
}

static bool read_facts (record_t *self, const uint8_t *at, size_t size)
{
    record_facts_t *facts = &self->facts;
    facts->block = get (&at, 8);
    facts->device = get (&at, 8);
    facts->sealed.tv_sec = (time_t) get (&at, 8);
    facts->sealed.tv_nsec = (long) get (&at, 4);
    facts->root.size_bytes = get (&at, 8);
    facts->root.level = (uint8_t) get (&at, 1);
    memcpy (facts->root.digest.bytes, at, DIGEST_SIZE);
    at += DIGEST_SIZE;
    facts->disk_bytes = get (&at, 8);
    size_t length = (size_t) get (&at, 2);
    if (length != size - TAIL_SIZE || length >= sizeof facts->repository)
        return false;
    memcpy (facts->repository, at, length);
    return true;
}

static bool read_tail (record_t *self, uint64_t size)
{
    uint8_t number [4], tail [TAIL_SIZE + sizeof self->facts.repository];
    const uint8_t *at = number;
    if (read_at (self->fd, size - END_SIZE, number, 4) < 0)
        return false;
    uint64_t tail_size = get (&at, 4);
    if (tail_size < TAIL_SIZE || tail_size >= sizeof tail || tail_size > size - HEAD_SIZE - END_SIZE)
        return false;
    self->size = size - END_SIZE - tail_size;
    return read_at (self->fd, self->size, tail, (size_t) tail_size) == 0 && read_facts (self, tail, (size_t) tail_size);
}

int record_open (record_t **out, const char *path, err_t *err)
{
    AUTO (record) record_t *self = mem_alloc (sizeof *self);
    uint8_t expected [HEAD_SIZE], head [HEAD_SIZE];
    struct stat info;
    self->fd = open (path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (self->fd < 0 || fstat (self->fd, &info) < 0)
        return err_sys (err, errno, "open %s", path);
    uint64_t size = (uint64_t) info.st_size;
    if (!S_ISREG (info.st_mode) || info.st_uid != geteuid () || size < HEAD_SIZE + TAIL_SIZE + END_SIZE)
        return err_set (err, ERR_FARM, "%s is no record of ours", path);
    if (make_head (expected, err) < 0)
        return -1;
    if (read_at (self->fd, 0, head, sizeof head) < 0 || memcmp (head, expected, sizeof head) != 0)
        return err_set (err, ERR_FARM, "%s is of another boot or version", path);
    if (!is_whole (self->fd, size) || !read_tail (self, size))
        return err_set (err, ERR_FARM, "%s is damaged", path);
    *out = take (&self);
    return 0;
}

void record_destroy (record_t **self_p)
{
    record_t *self = *self_p;
    if (!self)
        return;
    auto_close (&self->fd);
    free (self);
    *self_p = NULL;
}

const record_facts_t *record_facts (const record_t *self)
{
    return &self->facts;
}

int record_read (const record_t *self, uint64_t block, record_block_t *out, err_t *err)
{
    uint8_t head [BLOCK_HEAD];
    const uint8_t *at = head;
    if (block < HEAD_SIZE || block > self->size - BLOCK_HEAD || read_at (self->fd, block, head, sizeof head) < 0)
        return err_set (err, ERR_FARM, "the record of a checkout cannot be read");
    out->listing_size = (size_t) get (&at, 4);
    out->count = (size_t) get (&at, 4);
    uint64_t size = out->listing_size + (uint64_t) out->count * SLOT_SIZE;
    if (size > self->size - block - BLOCK_HEAD)
        return err_set (err, ERR_FARM, "the record of a checkout is damaged");
    buffer_clear (&out->bytes);
    buffer_reserve (&out->bytes, (size_t) size + 1);
    if (read_at (self->fd, block + BLOCK_HEAD, out->bytes.data, (size_t) size) < 0)
        return err_set (err, ERR_FARM, "the record of a checkout cannot be read");
    out->bytes.size = (size_t) size;
    return 0;
}

record_slot_t record_slot (const record_block_t *self, size_t index)
{
    if (index >= self->count)
        return (record_slot_t) { 0 };
    const uint8_t *at = self->bytes.data + self->listing_size + index * SLOT_SIZE;
    record_slot_t slot = { .inode = get (&at, 8) };
    slot.ctime_s = (int64_t) get (&at, 8);
    slot.ctime_ns = (uint32_t) get (&at, 4);
    slot.block = get (&at, 8);
    return slot;
}

void record_block_free (record_block_t *self)
{
    buffer_free (&self->bytes);
    *self = (record_block_t) { 0 };
}

/* -- comparing -------------------------------------------------------------------------------------------------- */

bool record_matches (const record_t *self, const tree_entry_t *entry, const record_slot_t *slot, const struct stat *now)
{
    bool is_link = entry->kind == TREE_LINK;
    stamp_t stamp = stamp_of (now), noted = {
        .size_bytes = is_link ? entry->target_size : entry->content.size_bytes, .inode = slot->inode,
        .device = self->facts.device, .ctime_s = slot->ctime_s, .ctime_ns = slot->ctime_ns
    };
    if (is_link ? !S_ISLNK (now->st_mode) : !S_ISREG (now->st_mode) || (now->st_mode & 07777) != entry->mode)
        return false;
    return now->st_mtim.tv_sec == entry->mtime_s && now->st_mtim.tv_nsec == entry->mtime_ns && stamp_equal (&stamp, &noted)
        && stamp_is_settled (&stamp, &self->facts.sealed, 0);
}
