/* checkout_work.c - writes a tree to disk, with a thread for each processor.
 *
 *     stack of folders     the top one's entries are handed out in slices; files and links are made at once, a folder among
 *                          them goes on top: so as many folders are open as the tree is deep, for each thread
 *     a folder's end       when all in it is done: names that are not listed go, then its mode and time are set, its block is
 *                          written to the record, and its parent may end
 *
 * Folders are entered from the top down, each name in its folder's descriptor (mkdirat, openat with O_EXCL and O_NOFOLLOW,
 * symlinkat), and in a new folder what exists already is an error: so a tree that lies can make a mess in its own folder,
 * and nowhere else. In one that was there, what has the name goes; where that was another entry of the tree, on a disk that
 * folds case, one name is missing at the folder's end, which is the same error.
 *
 * For a change the record of the earlier checkout is read side by side with the tree. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "worker/checkout_private.h"

int checkout_check_cancelled (const checkout_t *self, err_t *err)
{
    if (self->settings->is_cancelled && atomic_load (self->settings->is_cancelled))
        return err_set (err, ERR_CANCELLED, "cancelled while the context was being written");
    return 0;
}

int checkout_count_entry (checkout_t *self, err_t *err)
{
    if (atomic_fetch_sub (&self->entries_left, 1) > 0)
        return 0;
    if (self->entries_most == self->settings->entries_max)
        return err_set (err, ERR_USAGE, "the context has more than %" PRId64 " files and folders (context/entries of the worker): leave out by .dockerignore"
                        " what the build does not read", self->entries_most);
    return err_set (err, ERR_FULL, "the context does not fit: there is room for %" PRId64 " more files on the disk of %s. Remove some there, or move"
                    " the worker's state to another disk", self->entries_most, self->settings->folder);
}

int checkout_names_collide (err_t *err)
{
    return err_set (err, ERR_FARM, "the worker's disk takes two names there for one: they differ by upper and lower case alone, or are letters that it does not"
                    " tell apart. Rename one, or give the worker a disk that keeps both");
}

/* -- work ------------------------------------------------------------------------------------------------------- */

static void end_work (checkout_t *self)
{
    atomic_store (&self->is_over, true);
    pthread_cond_broadcast (&self->changed);
}

/* The first error counts. */
static void fail (checkout_t *self, const err_t *err)
{
    pthread_mutex_lock (&self->lock);
    if (self->err.code == ERR_NONE)
        self->err = *err;
    end_work (self);
    pthread_mutex_unlock (&self->lock);
}

/* Put the path in front of an error. */
static int blame (const folder_t *folder, const char *name, err_t *err)
{
    AUTO_FREE char *path = folder_path (folder);
    return *path || *name ? err_wrap (err, "%s%s", path, name) : -1;
}

/* On top of the stack; under the lock. */
static void push (checkout_t *self, folder_t *folder)
{
    folder->next = self->stack;
    self->stack = folder;
    pthread_cond_signal (&self->changed);
}

/* A folder to open, for which the slice is empty, or entries of one that is open; under the lock. */
static int take_work (checkout_t *self, slice_t *slice, err_t *err)
{
    folder_t *folder = self->stack;
    slice->folder = folder;
    slice->count = 0;
    folder->pending++;
    if (folder->is_open && folder_read (folder, slice, err) < 0)
        return blame (folder, "", err);
    if (!folder->is_open || folder->is_read)
        self->stack = folder->next;
    return 0;
}

/* 1: the slice is to be done; 0: there is nothing left to do. */
static int await_work (checkout_t *self, slice_t *slice, err_t *err)
{
    pthread_mutex_lock (&self->lock);
    while (!self->is_over && !self->stack)
        pthread_cond_wait (&self->changed, &self->lock);
    bool is_more = !self->is_over;
    int rc = is_more ? take_work (self, slice, err) : 0;
    pthread_mutex_unlock (&self->lock);
    return rc < 0 ? -1 : is_more;
}

/* The decoder has refused such names already. One more look costs nothing, and here is where it would matter. */
static int check_name (const tree_entry_t *entry, err_t *err)
{
    size_t size = entry->name_size;
    bool is_dots = (size == 1 || size == 2) && memcmp (entry->name, "..", size) == 0;
    if (size == 0 || size > TREE_NAME_MAX || is_dots || memchr (entry->name, '/', size) || memchr (entry->name, 0, size))
        return err_set (err, ERR_PROTOCOL, "a name in the context leads out of its folder");
    return 0;
}

static int do_item (hand_t *hand, slice_t *slice, size_t index, err_t *err)
{
    checkout_t *all = hand->all;
    item_t *item = &slice->items [index];
    char name [TREE_NAME_MAX + 1] = { 0 };
    if (checkout_check_cancelled (all, err) < 0 || check_name (&item->entry, err) < 0 || checkout_count_entry (all, err) < 0)
        return -1;
    memcpy (name, item->entry.name, item->entry.name_size);
    if (item->entry.kind != TREE_FOLDER)
        return entry_make (hand, slice->folder, item, name, err) < 0 ? blame (slice->folder, name, err) : 0;
    pthread_mutex_lock (&all->lock);
    slice->folder->pending++;
    push (all, folder_new (all, slice->folder, item, slice->first + index));
    pthread_mutex_unlock (&all->lock);
    return 0;
}

static int do_work (hand_t *hand, slice_t *slice, err_t *err)
{
    checkout_t *all = hand->all;
    if (!slice->folder->is_open) {
        if (folder_open (hand, slice->folder, err) < 0)
            return blame (slice->folder, "", err);
        pthread_mutex_lock (&all->lock);
        slice->folder->is_open = true;
        push (all, slice->folder);
        pthread_mutex_unlock (&all->lock);
    }
    for (size_t i = 0; i < slice->count && !all->is_over; i++)
        if (do_item (hand, slice, i, err) < 0)
            return -1;
    return 0;
}

/* -- the end of folders ----------------------------------------------------------------------------------------- */

/* One thing less that the folder waits for; the folder when it may end. Under the lock, as the next two. */
static folder_t *release (folder_t *folder)
{
    folder->pending--;
    return folder->is_read && folder->pending == 0 ? folder : NULL;
}

/* Of files and links; a folder below fills in its own when it ends. */
static void keep_slots (const slice_t *slice)
{
    record_slot_t *slots = (record_slot_t *) slice->folder->slots.data + slice->first;
    for (size_t i = 0; i < slice->count; i++)
        if (slice->items [i].entry.kind != TREE_FOLDER)
            slots [i] = slice->items [i].slot;
}

/* Its block goes to the record, and the folder away. *next: the parent, when it may end now. */
static int close_folder (checkout_t *all, folder_t *folder, folder_t **next, err_t *err)
{
    folder_t *parent = folder->parent;
    uint64_t block = 0;
    if (all->writer && record_add (all->writer, folder->listing, folder->listing_size, (record_slot_t *) folder->slots.data,
                                   folder->count, &block, err) < 0)
        return -1;
    if (parent)
        ((record_slot_t *) parent->slots.data) [folder->place].block = block;
    else
        all->facts.block = block;
    folder_free (all, folder);
    *next = parent ? release (parent) : NULL;
    if (!parent)
        end_work (all);
    return 0;
}

/* The slice is done, and what only waited for it: its folder, and those above. */
static int finish_work (hand_t *hand, const slice_t *slice, err_t *err)
{
    checkout_t *all = hand->all;
    pthread_mutex_lock (&all->lock);
    keep_slots (slice);
    folder_t *ending = release (slice->folder);
    pthread_mutex_unlock (&all->lock);
    while (ending) {
        if (folder_end (hand, ending, err) < 0)
            return blame (ending, "", err);
        pthread_mutex_lock (&all->lock);
        int rc = close_folder (all, ending, &ending, err);
        pthread_mutex_unlock (&all->lock);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* -- threads ---------------------------------------------------------------------------------------------------- */

static void add_stats (checkout_stats_t *sum, const checkout_stats_t *one)
{
    sum->files += one->files;
    sum->bytes += one->bytes;
    sum->disk_bytes += one->disk_bytes;
    sum->written += one->written;
    sum->written_bytes += one->written_bytes;
    sum->cloned += one->cloned;
    sum->removed += one->removed;
}

void checkout_work (void *argument)
{
    checkout_t *all = argument;
    hand_t hand = { .all = all };
    err_t err;
    int rc;
    AUTO_FREE slice_t *slice = mem_alloc (sizeof *slice);
    while ((rc = await_work (all, slice, &err)) != 0)
        if (rc < 0 || do_work (&hand, slice, &err) < 0 || (!all->is_over && finish_work (&hand, slice, &err) < 0))
            fail (all, &err);
    pthread_mutex_lock (&all->lock);
    add_stats (&all->stats, &hand.stats);
    all->has_touched |= hand.has_touched;
    pthread_mutex_unlock (&all->lock);
    buffer_free (&hand.object);
}
