/* shelf.c - see shelf.h. */
#include "worker/shelf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

enum { OPEN_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

typedef struct place place_t;
struct place {
    place_t *next;                  /* the one used last comes first */
    char *folder, *tree, *record, *repository;
    char *lent_to;                  /* the attempt's folder that has the tree; NULL: it lies here */
    bool is_noted;
    uint64_t bytes;
};

struct shelf {
    char *folder;
    uint64_t keep, limit_bytes;
    int64_t free_floor_bytes;
    pthread_mutex_t lock;
    place_t *places;
    uint64_t last_number;
};

/* -- places ----------------------------------------------------------------------------------------------------- */

static place_t *place_new (const shelf_t *self, uint64_t number, const char *repository)
{
    place_t *place = mem_alloc (sizeof *place);
    place->folder = mem_printf ("%s/%llu", self->folder, (unsigned long long) number);
    place->tree = file_join (place->folder, "tree");
    place->record = file_join (place->folder, "record");
    place->repository = mem_strdup (repository);
    return place;
}

static void place_free (place_t *place)
{
    free (place->folder);
    free (place->tree);
    free (place->record);
    free (place->repository);
    free (place->lent_to);
    free (place);
}

/* The record goes first: a tree that is half removed is no checkout. */
static void place_remove (place_t *place)
{
    err_t err;
    unlink (place->record);
    if (file_remove_tree (place->folder, &err) < 0)
        log_warn ("shelf", "remove an old checkout %s: %s", place->folder, err.text);
    place_free (place);
}

/* In the list or out of it; under the lock. */
static void put_first (shelf_t *self, place_t *place)
{
    place->next = self->places;
    self->places = place;
}

static void take_out (shelf_t *self, const place_t *place)
{
    place_t **at = &self->places;
    while (*at != place)
        at = &(*at)->next;
    *at = place->next;
}

/* -- what earlier runs left ------------------------------------------------------------------------------------- */

/* NULL for what cannot be used. */
static place_t *read_place (const shelf_t *self, uint64_t number, struct timespec *used, err_t *err)
{
    struct stat info, tree;
    AUTO (record) record_t *record = NULL;
    place_t *place = place_new (self, number, "");
    bool is_there = lstat (place->tree, &tree) == 0 && lstat (place->record, &info) == 0;
    if (!is_there)
        err_set (err, ERR_FARM, "it was not put back whole");
    else if (record_open (&record, place->record, err) == 0) {
        const record_facts_t *facts = record_facts (record);
        if (S_ISDIR (tree.st_mode) && tree.st_dev == facts->device) {
            free (place->repository);
            place->repository = mem_strdup (facts->repository);
            place->bytes = facts->disk_bytes;
            place->is_noted = true;
            *used = info.st_mtim;
            return place;
        }
        err_set (err, ERR_FARM, "it is on another disk");
    }
    place_free (place);
    return NULL;
}

typedef struct { place_t *place; struct timespec used; } found_t;

static int oldest_first (const void *a, const void *b)
{
    const struct timespec *x = &((const found_t *) a)->used, *y = &((const found_t *) b)->used;
    return x->tv_sec != y->tv_sec ? (x->tv_sec > y->tv_sec) - (x->tv_sec < y->tv_sec)
                                  : (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* 0 for what is no number of ours. */
static uint64_t number_of (const char *name)
{
    size_t size = strspn (name, "0123456789");
    return size > 0 && size < 19 && !name [size] && name [0] != '0' ? strtoull (name, NULL, 10) : 0;
}

static void find (shelf_t *self, const char *name, buffer_t *found)
{
    found_t item = { 0 };
    err_t err = { 0 };
    uint64_t number = number_of (name);
    AUTO_FREE char *path = file_join (self->folder, name);
    if (number > self->last_number)
        self->last_number = number;
    if (number && (item.place = read_place (self, number, &item.used, &err))) {
        buffer_append (found, &item, sizeof item);
        return;
    }
    log_debug ("shelf", "the checkout %s is not used again: %s", path, number ? err.text : "it is none of ours");
    if (file_remove_tree (path, &err) < 0)
        log_warn ("shelf", "remove an old checkout: %s", err.text);
}

static int find_all (shelf_t *self, err_t *err)
{
    AUTO_BUFFER buffer_t found = { 0 };
    DIR *folder = opendir (self->folder);
    if (!folder)
        return err_sys (err, errno, "list %s", self->folder);
    for (struct dirent *item; (item = readdir (folder));)
        if (strcmp (item->d_name, ".") != 0 && strcmp (item->d_name, "..") != 0)
            find (self, item->d_name, &found);
    closedir (folder);
    found_t *items = (found_t *) found.data;
    size_t count = found.size / sizeof *items;
    if (count)
        qsort (items, count, sizeof *items, oldest_first);
    for (size_t i = 0; i < count; i++)
        put_first (self, items [i].place);
    return 0;
}

/* -- limits ----------------------------------------------------------------------------------------------------- */

static bool is_disk_low (const shelf_t *self)
{
    int64_t free_bytes = file_free_bytes (self->folder);
    return file_is_nearly_full (self->folder) || (free_bytes >= 0 && free_bytes < self->free_floor_bytes);
}

/* The free one that was not used for longest, when there is one too many. */
static place_t *next_to_go (shelf_t *self)
{
    uint64_t count = 0, bytes = 0;
    place_t *last = NULL;
    for (place_t *place = self->places; place; place = place->next) {
        bytes += place->bytes;
        count += !place->lent_to;
        if (!place->lent_to)
            last = place;
    }
    return count > self->keep || bytes > self->limit_bytes || is_disk_low (self) ? last : NULL;
}

void shelf_trim (shelf_t *self)
{
    place_t *place;
    do {
        pthread_mutex_lock (&self->lock);
        if ((place = next_to_go (self)))
            take_out (self, place);
        pthread_mutex_unlock (&self->lock);
        if (place)
            place_remove (place);
    } while (place);
}

size_t shelf_clear (shelf_t *self)
{
    size_t count = 0;
    place_t *place;
    do {
        pthread_mutex_lock (&self->lock);
        for (place = self->places; place && place->lent_to;)
            place = place->next;
        if (place)
            take_out (self, place);
        pthread_mutex_unlock (&self->lock);
        if (place)
            place_remove (place);
        count += place != NULL;
    } while (place);
    return count;
}

/* -- open and close --------------------------------------------------------------------------------------------- */

int shelf_new (shelf_t **out, const shelf_settings_t *settings, err_t *err)
{
    if (file_make_folders (settings->folder, 0700, err) < 0)
        return err_wrap (err, "kept checkouts");
    shelf_t *self = mem_alloc (sizeof *self);
    pthread_mutex_init (&self->lock, NULL);
    self->folder = mem_strdup (settings->folder);
    self->keep = (uint64_t) settings->keep;
    self->limit_bytes = (uint64_t) settings->limit_bytes;
    self->free_floor_bytes = settings->free_floor_bytes;
    if (find_all (self, err) < 0) {
        shelf_destroy (&self);
        return err_wrap (err, "kept checkouts");
    }
    shelf_trim (self);
    *out = self;
    return 0;
}

void shelf_destroy (shelf_t **self_p)
{
    shelf_t *self = *self_p;
    if (!self)
        return;
    while (self->places) {
        place_t *place = self->places;
        self->places = place->next;
        place_free (place);
    }
    pthread_mutex_destroy (&self->lock);
    free (self->folder);
    free (self);
    *self_p = NULL;
}

/* -- moving ---------------------------------------------------------------------------------------------------- */

/* A folder that gets another parent has to be writable, for its ".." (not to root). The next checkout sets its mode again. */
static int move_tree (const char *from, const char *to)
{
    if (rename (from, to) == 0)
        return 0;
    return errno == EACCES && fchmodat (AT_FDCWD, from, 0700, AT_SYMLINK_NOFOLLOW) == 0 ? rename (from, to) : -1;
}

/* -- lending ---------------------------------------------------------------------------------------------------- */

/* A place of the repository, free or lent, that is whole; under the lock. */
static place_t *find_place (const shelf_t *self, const char *repository, bool is_lent)
{
    place_t *place = self->places;
    while (place && (strcmp (place->repository, repository) != 0 || !place->is_noted || (place->lent_to != NULL) != is_lent))
        place = place->next;
    return place;
}

/* A free checkout of the repository, moved away; under the lock. One that cannot be moved stays for the limits to remove. */
static place_t *lend (shelf_t *self, const char *repository, const char *to)
{
    place_t *place = find_place (self, repository, false);
    if (!place)
        return NULL;
    if (move_tree (place->tree, to) < 0) {
        log_warn ("shelf", "move %s to %s: %s; the context is written anew", place->tree, to, strerror (errno));
        return NULL;
    }
    place->lent_to = mem_strdup (to);
    take_out (self, place);
    put_first (self, place);
    return place;
}

/* Another checkout of the repository, to clone from: wherever it lies, its files prove themselves. Under the lock. */
static void open_donor (const shelf_t *self, const char *repository, borrowed_t *out)
{
    const place_t *donor = find_place (self, repository, true);
    if (!donor)
        return;
    out->before_fd = open (donor->lent_to, OPEN_FLAGS);
    if (out->before_fd >= 0 && record_open (&out->before, donor->record, NULL) < 0) {
        close (out->before_fd);
        out->before_fd = -1;
    }
}

static int add_place (shelf_t *self, const char *repository, const char *to, borrowed_t *out, err_t *err)
{
    place_t *place = place_new (self, ++self->last_number, repository);
    if (mkdir (place->folder, 0700) < 0) {
        err_sys (err, errno, "make folder %s", place->folder);
        place_free (place);
        return -1;
    }
    open_donor (self, repository, out);
    place->lent_to = mem_strdup (to);
    put_first (self, place);
    out->place = place;
    return 0;
}

int shelf_take (shelf_t *self, const char *repository, const char *to, borrowed_t *out, err_t *err)
{
    err_t why;
    *out = (borrowed_t) { .before_fd = -1 };
    pthread_mutex_lock (&self->lock);
    out->place = lend (self, repository, to);
    int rc = out->place ? 0 : add_place (self, repository, to, out, err);
    pthread_mutex_unlock (&self->lock);
    if (rc < 0)
        return -1;
    out->record = mem_strdup (out->place->record);
    bool is_lent = out->place->is_noted;
    if (!is_lent || record_open (&out->before, out->record, &why) == 0)
        return 0;
    log_warn ("shelf", "%s; the context is written anew", why.text);
    return file_remove_tree (to, err);
}

/* A change under way has the old record still: what of it was changed does not match it. */
void shelf_note (shelf_t *self, borrowed_t *borrowed, const checkout_stats_t *stats)
{
    pthread_mutex_lock (&self->lock);
    borrowed->place->is_noted = true;
    borrowed->place->bytes = stats->disk_bytes;
    borrowed->is_noted = true;
    pthread_mutex_unlock (&self->lock);
}

/* Whether the tree lies in its place again; under the lock. */
static bool put_back (shelf_t *self, borrowed_t *borrowed)
{
    place_t *place = borrowed->place;
    bool is_back = borrowed->is_noted && move_tree (place->lent_to, place->tree) == 0;
    if (borrowed->is_noted && !is_back)
        log_warn ("shelf", "move %s to %s: %s; the checkout is not kept", place->lent_to, place->tree, strerror (errno));
    take_out (self, place);
    if (!is_back)
        return false;
    utimensat (AT_FDCWD, place->record, NULL, 0);       /* used now, for the next start */
    free (place->lent_to);
    place->lent_to = NULL;
    put_first (self, place);
    return true;
}

void shelf_give_back (shelf_t *self, borrowed_t *borrowed)
{
    if (!borrowed->place)
        return;
    record_destroy (&borrowed->before);
    auto_close (&borrowed->before_fd);
    pthread_mutex_lock (&self->lock);
    bool is_back = put_back (self, borrowed);
    pthread_mutex_unlock (&self->lock);
    if (!is_back)
        place_remove (borrowed->place);
    free (borrowed->record);
    *borrowed = (borrowed_t) { .before_fd = -1 };
}
