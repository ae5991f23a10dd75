/* compare.c - see compare.h. Of the first layer a print of each file is kept; the second is then read beside them. */
#include "coordinator/compare.h"

#include <archive.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRINTS_MAX = 1000000, BLOCK_SIZE = 64 * 1024, VALUE_SHOWN = 80 };

/* -- files ---------------------------------------------------------------------------------------------------------- */

/* What a file is, in parts of which one can be told from the other. */
typedef struct { uint8_t name [8], kind [8], time [8], content [8]; } print_t;

typedef struct {
    print_t *items;
    size_t count, capacity;
    char unpacked [OCI_DIGEST_SIZE];
} prints_t;

typedef struct { crypto_generichash_state state; } hasher_t;

static void hash_begin (hasher_t *self)
{
    crypto_generichash_init (&self->state, NULL, 0, crypto_generichash_BYTES);
}

static void hash_text (hasher_t *self, const char *text)
{
    crypto_generichash_update (&self->state, (const unsigned char *) (text ? text : ""), text ? strlen (text) + 1 : 1);
}

static void hash_number (hasher_t *self, int64_t number)
{
    crypto_generichash_update (&self->state, (const unsigned char *) &number, sizeof number);
}

static void hash_end (hasher_t *self, uint8_t out [8])
{
    unsigned char whole [crypto_generichash_BYTES];
    crypto_generichash_final (&self->state, whole, sizeof whole);
    memcpy (out, whole, 8);
}

static void hash_attributes (hasher_t *self, struct archive_entry *entry)
{
    const char *name;
    const void *value;
    size_t size;
    archive_entry_xattr_reset (entry);
    while (archive_entry_xattr_next (entry, &name, &value, &size) == ARCHIVE_OK) {
        hash_text (self, name);
        crypto_generichash_update (&self->state, value, size);
    }
}

static int print_content (layer_t *layer, print_t *out, err_t *err)
{
    uint8_t block [BLOCK_SIZE];
    hasher_t hasher;
    ssize_t got;
    hash_begin (&hasher);
    while ((got = layer_read (layer, block, sizeof block, err)) > 0)
        crypto_generichash_update (&hasher.state, block, (unsigned long long) got);
    hash_end (&hasher, out->content);
    return (int) got;
}

static int print_file (layer_t *layer, struct archive_entry *entry, print_t *out, err_t *err)
{
    hasher_t name, kind, time;
    hash_begin (&name);
    hash_begin (&kind);
    hash_begin (&time);
    hash_text (&name, layer_name (entry));
    hash_number (&kind, archive_entry_mode (entry));
    hash_number (&kind, archive_entry_uid (entry));
    hash_number (&kind, archive_entry_gid (entry));
    hash_number (&kind, (int64_t) archive_entry_rdev (entry));
    hash_text (&kind, archive_entry_symlink (entry));
    hash_text (&kind, archive_entry_hardlink (entry));
    hash_attributes (&kind, entry);
    hash_number (&time, archive_entry_mtime (entry));
    hash_number (&time, archive_entry_mtime_nsec (entry));
    hash_end (&name, out->name);
    hash_end (&kind, out->kind);
    hash_end (&time, out->time);
    return print_content (layer, out, err);
}

/* -- layers ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    registry_t *registry;
    const reference_t *repository;
    const compared_t *first, *second;
    reading_t *reading;
} comparison_t;

static int open_layer (const comparison_t *self, const descriptor_t *descriptor, layer_t **out, err_t *err)
{
    return layer_open (out, self->registry, self->repository, descriptor, self->reading, true, err);
}

static int keep_print (prints_t *prints, layer_t *layer, struct archive_entry *entry, err_t *err)
{
    if (prints->count == PRINTS_MAX)
        return err_set (err, ERR_VERIFY, "it has more than %d files, too many to compare", PRINTS_MAX);
    if (prints->count == prints->capacity) {
        prints->capacity = prints->capacity ? 2 * prints->capacity : 256;
        prints->items = mem_resize (prints->items, prints->capacity * sizeof *prints->items);
    }
    return print_file (layer, entry, &prints->items [prints->count++], err);
}

static int read_prints (const comparison_t *self, const descriptor_t *descriptor, prints_t *out, err_t *err)
{
    AUTO (layer) layer_t *layer = NULL;
    struct archive_entry *entry;
    int rc;
    if (open_layer (self, descriptor, &layer, err) < 0)
        return -1;
    while ((rc = layer_next (layer, &entry, err)) > 0)
        if (keep_print (out, layer, entry, err) < 0)
            return -1;
    return rc < 0 ? -1 : layer_digest (layer, out->unpacked, err);
}

/* What stands at this place of a layer. */
static int name_at (const comparison_t *self, const descriptor_t *descriptor, size_t at, char name [512], err_t *err)
{
    AUTO (layer) layer_t *layer = NULL;
    struct archive_entry *entry;
    int rc = open_layer (self, descriptor, &layer, err);
    for (size_t i = 0; rc >= 0 && i <= at; i++)
        if ((rc = layer_next (layer, &entry, err)) <= 0)
            return rc < 0 ? -1 : err_set (err, ERR_REGISTRY, "it has changed while it was read");
    if (rc > 0)
        snprintf (name, 512, "%s", layer_name (entry));
    return rc < 0 ? -1 : 0;
}

/* name: of what the second has there; NULL for nothing. */
static int tell_missing (const comparison_t *self, const descriptor_t *one, size_t at, const char *name, err_t *err)
{
    char first [512];
    if (name_at (self, one, at, first, err) < 0)
        return -1;
    if (!name)
        return err_set (err, ERR_VERIFY, "%s has /%s, and %s nothing more", self->first->name, first, self->second->name);
    return err_set (err, ERR_VERIFY, "%s has /%s where %s has /%s", self->first->name, first, self->second->name, name);
}

/* How do the two differ? 0: not at all. */
static int tell_file (const comparison_t *self, const print_t *one, const print_t *other, const char *name, err_t *err)
{
    const char *what = memcmp (one->content, other->content, 8) != 0 ? "content"
                       : memcmp (one->kind, other->kind, 8) != 0 ? "kind, owner, mode or attributes"
                       : memcmp (one->time, other->time, 8) != 0 ? "time" : NULL;
    return what ? err_set (err, ERR_VERIFY, "/%s has another %s in %s than in %s", name, what, self->first->name, self->second->name) : 0;
}

static int compare_files (const comparison_t *self, const descriptor_t *one, const prints_t *prints, layer_t *layer, err_t *err)
{
    struct archive_entry *entry;
    size_t at = 0;
    int rc;
    for (; (rc = layer_next (layer, &entry, err)) > 0; at++) {
        print_t print;
        char name [512];
        snprintf (name, sizeof name, "%s", layer_name (entry));
        if (print_file (layer, entry, &print, err) < 0)
            return -1;
        if (at >= prints->count)
            return err_set (err, ERR_VERIFY, "%s has /%s, and %s nothing more", self->second->name, name, self->first->name);
        if (memcmp (print.name, prints->items [at].name, 8) != 0)
            return tell_missing (self, one, at, name, err);
        if (tell_file (self, &prints->items [at], &print, name, err) < 0)
            return -1;
    }
    return rc == 0 && at < prints->count ? tell_missing (self, one, at, NULL, err) : rc;
}

static int compare_layer (const comparison_t *self, const descriptor_t *one, const descriptor_t *other, err_t *err)
{
    prints_t prints = { 0 };
    char unpacked [OCI_DIGEST_SIZE];
    if (strcmp (one->digest, other->digest) == 0 && media_packing (one->media_type) == media_packing (other->media_type))
        return 0;
    AUTO (layer) layer_t *layer = NULL;
    int rc = read_prints (self, one, &prints, err);
    if (rc == 0)
        rc = open_layer (self, other, &layer, err);
    if (rc == 0)
        rc = compare_files (self, one, &prints, layer, err);
    if (rc == 0)
        rc = layer_digest (layer, unpacked, err);
    free (prints.items);
    if (rc == 0 && strcmp (unpacked, prints.unpacked) != 0)
        return err_set (err, ERR_VERIFY, "its files are the same, but not the tar that %s and %s made of them", self->first->name, self->second->name);
    return rc;
}

static int compare_layers (const comparison_t *self, const image_manifest_t *one, const image_manifest_t *other, err_t *err)
{
    size_t common = one->layer_count < other->layer_count ? one->layer_count : other->layer_count;
    for (size_t i = 0; i < common; i++)
        if (compare_layer (self, &one->layers [i], &other->layers [i], err) < 0)
            return err_wrap (err, "layer %zu", i + 1);
    if (one->layer_count != other->layer_count)
        return err_set (err, ERR_VERIFY, "%s has %zu layers, and %s %zu", self->first->name, one->layer_count, self->second->name, other->layer_count);
    return 0;
}

/* -- configs ---------------------------------------------------------------------------------------------------------- */

static char *shown (const json_t *value)
{
    char *text = value ? json_dumps (value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : mem_strdup ("not there");
    if (text && strlen (text) > VALUE_SHOWN)
        strcpy (text + VALUE_SHOWN - 3, "...");
    return text;
}

static int tell_value (const comparison_t *self, const char *path, const json_t *one, const json_t *other, err_t *err)
{
    AUTO_FREE char *first = shown (one), *second = shown (other);
    return err_set (err, ERR_VERIFY, "config: %s is %s in %s, and %s in %s", *path ? path : "all of it", first ? first : "?", self->first->name,
                    second ? second : "?", self->second->name);
}

/* The documents are at most 16 deep. */
static int compare_values (const comparison_t *self, const char *path, const json_t *one, const json_t *other, err_t *err)
{
    const char *name;
    json_t *member;
    if (json_equal (one, other))
        return 0;
    if (json_is_array (one) && json_is_array (other))
        for (size_t i = 0; i < json_array_size (one) || i < json_array_size (other); i++) {
            AUTO_FREE char *below = mem_printf ("%s[%zu]", path, i);
            if (compare_values (self, below, json_array_get (one, i), json_array_get (other, i), err) < 0)
                return -1;
        }
    if (!json_is_object (one) || !json_is_object (other))
        return tell_value (self, path, one, other, err);
    json_object_foreach ((json_t *) one, name, member) {
        AUTO_FREE char *below = mem_printf ("%s%s%.60s", path, *path ? "." : "", name);
        if (compare_values (self, below, member, json_object_get (other, name), err) < 0)
            return -1;
    }
    json_object_foreach ((json_t *) other, name, member) {
        AUTO_FREE char *below = mem_printf ("%s%s%.60s", path, *path ? "." : "", name);
        if (!json_object_get (one, name))
            return tell_value (self, below, NULL, member, err);
    }
    return 0;
}

static int read_config (const comparison_t *self, const descriptor_t *config, json_t **out, err_t *err)
{
    AUTO_BUFFER buffer_t bytes = { 0 };
    if (registry_get_blob (self->registry, self->repository, config->digest, CONFIG_BYTES_MAX, &bytes, err) < 0)
        return -1;
    *out = json_loadb ((const char *) bytes.data, bytes.size, JSON_REJECT_DUPLICATES, NULL);
    return *out ? 0 : err_set (err, ERR_VERIFY, "config %s is no JSON", config->digest);
}

/* One value may be written in two ways. */
static int compare_configs (const comparison_t *self, const descriptor_t *one, const descriptor_t *other, err_t *err)
{
    AUTO_JSON json_t *first = NULL;
    AUTO_JSON json_t *second = NULL;
    if (strcmp (one->digest, other->digest) == 0)
        return 0;
    if (read_config (self, one, &first, err) < 0 || read_config (self, other, &second, err) < 0)
        return -1;
    return compare_values (self, "", first, second, err);
}

/* -- images ----------------------------------------------------------------------------------------------------------- */

static int read_image (const comparison_t *self, const compared_t *image, image_manifest_t *out, err_t *err)
{
    reference_t reference = *self->repository;
    manifest_t manifest = { 0 };
    reference.tag [0] = 0;
    snprintf (reference.digest, sizeof reference.digest, "%s", image->digest);
    int rc = registry_get_manifest (self->registry, &reference, &manifest, err);
    if (rc == 0)
        rc = manifest_parse_image (manifest.bytes.data, manifest.bytes.size, manifest.media_type, out, err);
    manifest_free (&manifest);
    if (rc < 0 && err && err->code == ERR_NOT_FOUND)
        err->code = ERR_VERIFY;
    return rc < 0 ? err_wrap (err, "%s", image->name) : 0;
}

int compare_images (registry_t *registry, const reference_t *repository, const compared_t *first, const compared_t *second,
                    reading_t *reading, err_t *err)
{
    comparison_t self = { registry, repository, first, second, reading };
    if (strcmp (first->digest, second->digest) == 0)
        return 0;
    AUTO_FREE image_manifest_t *one = mem_alloc (sizeof *one);
    AUTO_FREE image_manifest_t *other = mem_alloc (sizeof *other);
    if (read_image (&self, first, one, err) < 0 || read_image (&self, second, other, err) < 0)
        return -1;
    if (compare_layers (&self, one, other, err) < 0)
        return -1;
    return compare_configs (&self, &one->config, &other->config, err);
}
