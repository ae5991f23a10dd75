/* publish.c - see publish.h. */
#include "coordinator/publish.h"

#include <stdio.h>
#include <string.h>

static int is_same_repository (const reference_t *a, const reference_t *b)
{
    return strcmp (a->host, b->host) == 0 && strcmp (a->path, b->path) == 0;
}

static bool is_same_manifest (const manifest_t *a, const manifest_t *b)
{
    return a->bytes.size == b->bytes.size && memcmp (a->bytes.data, b->bytes.data, a->bytes.size) == 0;
}

/* The registry has just taken this manifest. */
static int read_back (registry_t *registry, const reference_t *reference, const manifest_t *put, err_t *err)
{
    err_t why = { 0 };
    manifest_t back = { .media_type = "" };
    int rc = registry_get_manifest (registry, reference, &back, &why);
    if (rc == 0 && !is_same_manifest (&back, put))
        rc = err_set (&why, ERR_REGISTRY, "the registry gives other bytes back than were put: somebody else may be moving this tag");
    manifest_free (&back);
    if (why.code == ERR_NOT_FOUND)
        why.code = ERR_REGISTRY;
    if (rc < 0 && err)
        *err = why;
    return rc;
}

static int read_back_digest (registry_t *registry, const reference_t *repository, const manifest_t *put, err_t *err)
{
    reference_t reference = *repository;
    reference.tag [0] = 0;
    snprintf (reference.digest, sizeof reference.digest, "%s", put->digest);
    return read_back (registry, &reference, put, err);
}

/* -- children in another repository ------------------------------------------------------------------------------ */

static const descriptor_t *blob_of (const image_manifest_t *image, size_t index)
{
    return index == 0 ? &image->config : &image->layers [index - 1];
}

static int copy_blobs (registry_t *registry, const reference_t *from, const reference_t *to, const image_manifest_t *image, err_t *err)
{
    for (size_t i = 0; i <= image->layer_count; i++)
        if (registry_copy_blob (registry, from, to, blob_of (image, i)->digest, blob_of (image, i)->size_bytes, err) < 0)
            return -1;
    return 0;
}

/* A registry can say that it has mounted what it has not. */
static int look_for_blobs (registry_t *registry, const reference_t *to, const image_manifest_t *image, err_t *err)
{
    AUTO_FREE registry_ask_t *asks = mem_alloc ((image->layer_count + 1) * sizeof *asks);
    for (size_t i = 0; i <= image->layer_count; i++)
        asks [i] = (registry_ask_t) { .kind = ASK_BLOB_SIZE, .of = to, .digest = blob_of (image, i)->digest };
    registry_ask (registry, asks, image->layer_count + 1);
    for (size_t i = 0; i <= image->layer_count; i++) {
        const descriptor_t *blob = blob_of (image, i);
        if (asks [i].err.code == ERR_NOT_FOUND || (asks [i].err.code == ERR_NONE && asks [i].size_bytes != blob->size_bytes))
            return err_set (err, ERR_REGISTRY, "the registry has taken blob %s, and does not have it", blob->digest);
        if (asks [i].err.code != ERR_NONE) {
            if (err)
                *err = asks [i].err;
            return err_wrap (err, "look for blob %s", blob->digest);
        }
    }
    return 0;
}

static int copy_image (registry_t *registry, const reference_t *from, const reference_t *to, const manifest_t *manifest, err_t *err)
{
    AUTO_FREE image_manifest_t *image = mem_alloc (sizeof *image);
    if (manifest_parse_image (manifest->bytes.data, manifest->bytes.size, manifest->media_type, image, err) < 0)
        return -1;
    if (copy_blobs (registry, from, to, image, err) < 0 || registry_put_manifest (registry, to, NULL, manifest, err) < 0)
        return -1;
    return look_for_blobs (registry, to, image, err);
}

static int copy_child (registry_t *registry, const reference_t *from, const reference_t *to, const char *digest, err_t *err)
{
    reference_t reference = *from;
    manifest_t manifest = { .media_type = "" };
    reference.tag [0] = 0;
    snprintf (reference.digest, sizeof reference.digest, "%s", digest);
    int rc = registry_get_manifest (registry, &reference, &manifest, err);
    if (rc == 0)
        rc = copy_image (registry, from, to, &manifest, err);
    if (rc < 0 && err && err->code == ERR_NOT_FOUND)
        err->code = ERR_VERIFY;             /* it was there when it was verified */
    if (rc == 0)
        rc = read_back_digest (registry, to, &manifest, err);
    manifest_free (&manifest);
    return rc < 0 ? err_wrap (err, "copy %s to %s/%s", digest, to->host, to->path) : 0;
}

/* Have everything that the index names, and behind that the index itself, in a repository. */
static int fill_repository (registry_t *registry, const publication_t *self, const reference_t *repository, err_t *err)
{
    if (!is_same_repository (repository, &self->source))
        for (size_t i = 0; i < self->child_count; i++)
            if (copy_child (registry, &self->source, repository, self->children [i].digest, err) < 0)
                return -1;
    return registry_put_manifest (registry, repository, NULL, self->index, err);
}

/* -- tags ------------------------------------------------------------------------------------------------------- */

/* What a registry says that was asked for a tag after a PUT that nobody knows the end of: it shows the index, or gives no answer. */
static bool may_have_moved (const publication_t *self, const registry_ask_t *ask)
{
    return ask->err.code == ERR_NONE ? is_same_manifest (&ask->found, self->index) : ask->err.code != ERR_NOT_FOUND;
}

static bool look (registry_t *registry, const publication_t *self, const reference_t *tag)
{
    AUTO_FREE registry_ask_t *ask = mem_alloc (sizeof *ask);
    *ask = (registry_ask_t) { .kind = ASK_MANIFEST, .of = tag };
    registry_ask (registry, ask, 1);
    bool may = may_have_moved (self, ask);
    manifest_free (&ask->found);
    return may;
}

static int put_tag (registry_t *registry, const publication_t *self, const reference_t *tag, bool *has_moved, err_t *err)
{
    err_t why = { 0 };
    reference_t reference = *tag;
    reference.digest [0] = 0;
    *has_moved = registry_put_manifest (registry, &reference, tag->tag, self->index, &why) == 0;
    if (!*has_moved) {
        *has_moved = why.code != ERR_REGISTRY_DENIED && look (registry, self, &reference);
        if (err)
            *err = why;
        return -1;
    }
    return read_back (registry, &reference, self->index, err);
}

/* Their manifests are the caller's. */
static registry_ask_t *ask_for_tags (registry_t *registry, const publication_t *self)
{
    registry_ask_t *asks = mem_alloc ((self->tag_count + 1) * sizeof *asks);
    for (size_t i = 0; i < self->tag_count; i++)
        asks [i] = (registry_ask_t) { .kind = ASK_MANIFEST, .of = &self->tags [i] };
    registry_ask (registry, asks, self->tag_count);
    return asks;
}

/* In another repository the children would have to be looked for as well. */
static bool all_tags_show_it (registry_t *registry, const publication_t *self)
{
    bool do_they = self->tag_count > 0;
    for (size_t i = 0; i < self->tag_count; i++)
        do_they = do_they && is_same_repository (&self->tags [i], &self->source);
    if (!do_they)
        return false;
    AUTO_FREE registry_ask_t *asks = ask_for_tags (registry, self);
    for (size_t i = 0; i < self->tag_count; i++) {
        do_they = do_they && asks [i].err.code == ERR_NONE && is_same_manifest (&asks [i].found, self->index);
        manifest_free (&asks [i].found);
    }
    return do_they;
}

static int is_first_of_its_repository (const publication_t *self, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (is_same_repository (&self->tags [i], &self->tags [index]))
            return 0;
    return 1;
}

/* Where a tag is put next, that is read. */
static int check_source (registry_t *registry, const publication_t *self, err_t *err)
{
    for (size_t i = 0; i < self->tag_count; i++)
        if (is_same_repository (&self->tags [i], &self->source))
            return 0;
    return read_back_digest (registry, &self->source, self->index, err);
}

/* Every repository first, then the tags: a tag moves when all that stands behind it is there. The source repository gets the
 * index by digest even when no tag is left for it (a superseded build). */
static int publish (registry_t *registry, const publication_t *self, err_t *err)
{
    if (fill_repository (registry, self, &self->source, err) < 0 || check_source (registry, self, err) < 0)
        return err_wrap (err, "publish to %s/%s", self->source.host, self->source.path);
    for (size_t i = 0; i < self->tag_count; i++)
        if (is_first_of_its_repository (self, i) && !is_same_repository (&self->tags [i], &self->source)
            && fill_repository (registry, self, &self->tags [i], err) < 0)
            return err_wrap (err, "publish to %s/%s", self->tags [i].host, self->tags [i].path);
    for (size_t i = 0; i < self->tag_count; i++)
        if (put_tag (registry, self, &self->tags [i], &self->moved [i], err) < 0)
            return err_wrap (err, "publish %s/%s:%s", self->tags [i].host, self->tags [i].path, self->tags [i].tag);
    return 0;
}

/* Of a try before this one nobody knows how far it came. */
static void look_at_all (registry_t *registry, const publication_t *self)
{
    AUTO_FREE registry_ask_t *asks = ask_for_tags (registry, self);
    for (size_t i = 0; i < self->tag_count; i++) {
        self->moved [i] = self->moved [i] || may_have_moved (self, &asks [i]);
        manifest_free (&asks [i].found);
    }
}

int publish_index (registry_t *registry, const publication_t *self, err_t *err)
{
    memset (self->moved, 0, self->tag_count * sizeof *self->moved);
    if (self->was_published && all_tags_show_it (registry, self))
        return 0;
    if (publish (registry, self, err) == 0)
        return 0;
    if (self->is_unsure)
        look_at_all (registry, self);
    return -1;
}
