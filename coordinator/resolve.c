/* resolve.c - see resolve.h. What a tag means is asked each time, by HEAD, which no registry counts as a pull; what an index has in it, which never changes,
 * once. */
#include "coordinator/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base_names.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/manifest.h"
#include "common/mem.h"

enum { TIMEOUT_MS = 10000, REST_MS = 1500, WANTED_MAX = 32, INDEXES_MAX = 256, PLATFORMS_MAX = 64 };

/* What an index offers; count 0: it is an image, for whoever takes it. */
typedef struct {
    char digest [OCI_DIGEST_SIZE];
    platform_t platforms [PLATFORMS_MAX];
    size_t count;
} offer_t;

struct resolver {
    depot_t *depot;
    registry_t *own, *others;           /* of the build's own host, and of the rest */
    int most_ms;                        /* for all that one Dockerfile names */
    offer_t offers [INDEXES_MAX];       /* a ring */
    unsigned next_offer;
};

/* An image that is looked up, and the platforms that it is wanted for. */
typedef struct {
    reference_t reference;
    char text [REFERENCE_MAX];
    char digest [OCI_DIGEST_SIZE];
    char platforms [PLATFORMS_MAX] [PLATFORM_MAX];
    size_t platform_count;
    size_t last_of;                     /* platforms of the build that begin with it */
} wanted_t;

typedef struct {
    wanted_t items [WANTED_MAX];
    size_t count;
} list_t;

resolver_t *resolver_new (const registry_settings_t *settings, depot_t *depot)
{
    resolver_t *self = mem_alloc (sizeof *self);
    registry_settings_t brief = *settings;
    brief.is_brief = true;
    brief.rest_ms = REST_MS;
    if (brief.timeout_ms <= 0 || brief.timeout_ms > TIMEOUT_MS)
        brief.timeout_ms = TIMEOUT_MS;
    self->depot = depot;
    self->most_ms = 2 * brief.timeout_ms;
    self->own = registry_new (&brief);
    brief.guards_homes = true;
    self->others = registry_new (&brief);
    return self;
}

void resolver_destroy (resolver_t **self_p)
{
    resolver_t *self = *self_p;
    if (!self)
        return;
    registry_destroy (&self->own);
    registry_destroy (&self->others);
    free (self);
    *self_p = NULL;
}

/* -- names ------------------------------------------------------------------------------------------------------ */

static bool read_dockerfile (const resolver_t *self, const char *hex, buffer_t *out)
{
    digest_t digest;
    object_kind kind;
    err_t err;
    if (!self->depot || !hex || digest_from_hex (&digest, hex, NULL) < 0)
        return false;
    if (depot_get (self->depot, &digest, out, &kind, &err) == 0)
        return kind == OBJECT_CONTENT;
    log_warn ("publisher", "read Dockerfile %.16s…: %s", hex, err.text);
    return false;
}

static wanted_t *find_wanted (list_t *self, const char *text)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp (self->items [i].text, text) == 0)
            return &self->items [i];
    return NULL;
}

static void want (list_t *self, const base_name_t *name)
{
    char text [REFERENCE_MAX];
    reference_format (&name->reference, text);
    wanted_t *wanted = find_wanted (self, text);
    if (!wanted && self->count == WANTED_MAX)
        return;
    if (!wanted) {
        wanted = &self->items [self->count++];
        wanted->reference = name->reference;
        strcpy (wanted->text, text);
    }
    wanted->last_of += name->is_last;
    if (*name->platform && wanted->platform_count < PLATFORMS_MAX)
        strcpy (wanted->platforms [wanted->platform_count++], name->platform);
}

/* Longer ones a worker asks for. */
static bool fits (const base_name_t *name)
{
    char text [REFERENCE_MAX];
    reference_format (&name->reference, text);
    return strlen (text) <= 512;
}

static void find_names (const buffer_t *dockerfile, const json_t *question, list_t *out)
{
    size_t i;
    json_t *platform;
    AUTO_FREE base_names_t *names = mem_alloc (sizeof *names);
    const char *target = json_string_value (json_object_get (question, "target"));
    json_array_foreach (json_object_get (question, "platforms"), i, platform) {
        base_names_find ((const char *) dockerfile->data, dockerfile->size, json_object_get (question, "build_args"), target, json_string_value (platform), names);
        for (size_t j = 0; j < names->count; j++)
            if (fits (&names->items [j]))
                want (out, &names->items [j]);
    }
}

/* -- what they mean --------------------------------------------------------------------------------------------- */

/* What it is for the user: a name that leads nowhere is a fault of the Dockerfile. */
static int judge (const wanted_t *wanted, const err_t *why, err_t *err)
{
    if (why->code == ERR_NOT_FOUND)
        return err_set (err, ERR_BUILD, "there is no image %s: check its name and tag in the Dockerfile, or push it (%s)", wanted->text, why->text);
    *err = *why;
    return err_wrap (err, "%s", wanted->text);
}

static bool is_own (const wanted_t *wanted, const reference_t *repository)
{
    return strcmp (wanted->reference.host, repository->host) == 0;
}

static int ask_part (registry_t *registry, list_t *list, const reference_t *repository, bool wants_own, err_t *err)
{
    size_t count = 0;
    int rc = 0;
    AUTO_FREE registry_ask_t *asks = mem_alloc ((list->count + 1) * sizeof *asks);
    AUTO_FREE wanted_t **of = mem_alloc ((list->count + 1) * sizeof *of);
    for (size_t i = 0; i < list->count; i++)
        if (is_own (&list->items [i], repository) == wants_own) {
            of [count] = &list->items [i];
            asks [count++] = (registry_ask_t) { .kind = ASK_DIGEST, .of = &list->items [i].reference };
        }
    registry_ask (registry, asks, count);
    for (size_t i = 0; i < count; i++) {
        if (rc == 0 && asks [i].err.code != ERR_NONE)
            rc = judge (of [i], &asks [i].err, err);
        strcpy (of [i]->digest, asks [i].found.digest);
        manifest_free (&asks [i].found);
    }
    return rc;
}

/* -- what they offer -------------------------------------------------------------------------------------------- */

static const offer_t *find_offer (const resolver_t *self, const char *digest)
{
    for (size_t i = 0; i < INDEXES_MAX; i++)
        if (strcmp (self->offers [i].digest, digest) == 0)
            return &self->offers [i];
    return NULL;
}

/* An index that cannot be read is left to the builder. */
static const offer_t *keep_offer (resolver_t *self, const manifest_t *manifest, const char *digest)
{
    AUTO_FREE image_index_t *index = mem_alloc (sizeof *index);
    offer_t *offer = &self->offers [self->next_offer++ % INDEXES_MAX];
    *offer = (offer_t) { .count = 0 };
    strcpy (offer->digest, digest);
    if (!media_is_index (manifest->media_type)
        || manifest_parse_index (manifest->bytes.data, manifest->bytes.size, manifest->media_type, index, NULL) < 0)
        return offer;
    for (size_t i = 0; i < index->child_count && offer->count < PLATFORMS_MAX; i++)
        if (*index->children [i].platform.os)
            offer->platforms [offer->count++] = index->children [i].platform;
    return offer;
}

static const offer_t *ask_offer (resolver_t *self, registry_t *registry, const wanted_t *wanted, err_t *err)
{
    const offer_t *known = find_offer (self, wanted->digest);
    if (known)
        return known;
    manifest_t manifest = { .digest = "" };
    err_t why = { 0 };
    reference_t reference = wanted->reference;
    reference.tag [0] = 0;
    snprintf (reference.digest, sizeof reference.digest, "%s", wanted->digest);
    int rc = registry_get_manifest (registry, &reference, &manifest, &why);
    known = rc == 0 ? keep_offer (self, &manifest, wanted->digest) : NULL;
    manifest_free (&manifest);
    if (rc < 0 && why.code == ERR_NOT_FOUND)
        err_set (err, ERR_REGISTRY, "%s is %s for its registry, which does not have that: it moves, or the registry is not healthy", wanted->text, wanted->digest);
    else if (rc < 0)
        judge (wanted, &why, err);
    return known;
}

/* Would a builder take this one? Of 32-bit ARM an older variant too; where variants are written is not the same everywhere. */
static bool serves (const platform_t *offered, const platform_t *wanted)
{
    if (strcmp (offered->os, wanted->os) != 0 || strcmp (offered->architecture, wanted->architecture) != 0)
        return false;
    bool is_arm = strcmp (wanted->architecture, "arm") == 0;
    return !is_arm || !*offered->variant || strcmp (offered->variant, wanted->variant) <= 0;
}

static void name_offers (const offer_t *offer, buffer_t *out)
{
    for (size_t i = 0; i < offer->count; i++) {
        char name [PLATFORM_MAX];
        platform_format (&offer->platforms [i], name);
        if (strncmp (name, "unknown", 7) != 0)          /* attestations */
            buffer_printf (out, "%s%s", out->size ? ", " : "", name);
    }
}

static int check_platform (const wanted_t *wanted, const offer_t *offer, const char *name, err_t *err)
{
    platform_t platform;
    AUTO_BUFFER buffer_t text = { 0 };
    if (offer->count == 0 || platform_parse (&platform, name, NULL) < 0)
        return 0;
    for (size_t i = 0; i < offer->count; i++)
        if (serves (&offer->platforms [i], &platform))
            return 0;
    name_offers (offer, &text);
    return err_set (err, ERR_BUILD, "%s is not there for %s, only for %.300s: build for those, or begin with another image", wanted->text, name,
                    text.size ? (const char *) text.data : "nothing that runs");
}

static int check_platforms (resolver_t *self, registry_t *registry, const wanted_t *wanted, err_t *err)
{
    if (wanted->platform_count == 0)
        return 0;
    const offer_t *offer = ask_offer (self, registry, wanted, err);
    for (size_t i = 0; offer && i < wanted->platform_count; i++)
        if (check_platform (wanted, offer, wanted->platforms [i], err) < 0)
            return -1;
    return offer ? 0 : -1;
}

/* -- all of it -------------------------------------------------------------------------------------------------- */

static int look_up (resolver_t *self, list_t *list, const reference_t *repository, err_t *err)
{
    if (ask_part (self->own, list, repository, true, err) < 0 || ask_part (self->others, list, repository, false, err) < 0)
        return -1;
    for (size_t i = 0; i < list->count; i++)
        if (check_platforms (self, is_own (&list->items [i], repository) ? self->own : self->others, &list->items [i], err) < 0)
            return -1;
    return 0;
}

static json_t *write_answer (const list_t *list, size_t platforms)
{
    json_t *answer = json_array ();
    for (size_t i = 0; i < list->count; i++) {
        json_t *base = json_pack ("{s:s, s:s}", "reference", list->items [i].text, "digest", list->items [i].digest);
        if (list->items [i].last_of == platforms)
            json_object_set_new (base, "is_last", json_true ());
        json_array_append_new (answer, base);
    }
    return answer;
}

json_t *resolver_ask (resolver_t *self, const json_t *question, err_t *err)
{
    reference_t repository;
    AUTO_BUFFER buffer_t dockerfile = { 0 };
    const char *text = json_string_value (json_object_get (question, "repository"));
    if (!text || reference_parse (&repository, text, err) < 0) {
        err_set (err, ERR_FARM, "a question about base images that is none");
        return NULL;
    }
    if (!read_dockerfile (self, json_string_value (json_object_get (question, "dockerfile")), &dockerfile))
        return json_array ();
    AUTO_FREE list_t *list = mem_alloc (sizeof *list);
    find_names (&dockerfile, question, list);
    registry_set_deadline (self->own, clock_boot_ms () + self->most_ms);
    registry_set_deadline (self->others, clock_boot_ms () + self->most_ms);
    return look_up (self, list, &repository, err) < 0 ? NULL : write_answer (list, json_array_size (json_object_get (question, "platforms")));
}
