/* checkout_content.c - the bytes of a file or of a folder's listing, object by object. */
#include <string.h>

#include "common/file.h"
#include "worker/checkout_private.h"

/* Where content goes: a file, or memory. */
typedef struct {
    int fd;
    buffer_t *memory;
    uint64_t bytes_left;        /* what the entry's size still allows */
} sink_t;

static int pour (sink_t *self, const void *data, size_t size, err_t *err)
{
    if (size > self->bytes_left)
        return err_set (err, ERR_PROTOCOL, "its content is longer than its entry says");
    self->bytes_left -= size;
    if (self->memory)
        buffer_append (self->memory, data, size);
    return self->memory ? 0 : file_write_all (self->fd, data, size, err);
}

static int pour_object (hand_t *hand, const digest_t *digest, int level, sink_t *sink, err_t *err)
{
    const checkout_settings_t *settings = hand->all->settings;
    if (checkout_check_cancelled (hand->all, err) < 0 || supply_get (settings->supply, digest, &hand->object, err) < 0)
        return -1;
    if (level == 0)
        return pour (sink, hand->object.data, hand->object.size, err);
    AUTO_BUFFER buffer_t list = hand->object;       /* the objects below need the buffer */
    hand->object = (buffer_t) { 0 };
    ssize_t count = list_count (list.size, err);
    for (ssize_t i = 0; i < count; i++) {
        list_item_t item;
        list_read_item (list.data, (size_t) i, &item);
        if (pour_object (hand, &item.digest, level - 1, sink, err) < 0)
            return -1;
    }
    return count < 0 ? -1 : 0;
}

int content_pour (hand_t *hand, const content_t *content, int fd, buffer_t *memory, err_t *err)
{
    sink_t sink = { fd, memory, content->size_bytes };
    if (pour_object (hand, &content->digest, content->level, &sink, err) < 0)
        return -1;
    if (sink.bytes_left)
        return err_set (err, ERR_PROTOCOL, "its content is shorter than its entry says");
    return 0;
}
