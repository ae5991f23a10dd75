/* registry.c - see sim.h: the registry, and the coordinator's publishers, which ask it and put into it. It is down, slow, loses
 * images, moves the tags of base images, and says no before, in the middle of and behind what it has done, or yes to what it has not. Publishers
 * look what it shows after a yes: so they tell the engine of all that can be seen, as publish.c does. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

const char *const tag_names [TAGS] = { "r.lan/app:1", "r.lan/app:2", "r.lan/other:1", "r.lan/other:latest", "r.lan/third:1",
                                       "r.lan/third:2" };

/* -- images ----------------------------------------------------------------------------------------------------------- */

unsigned wish_bit (const submission_t *wish)
{
    return 1u << (wish->inputs * TAGS / 2 + wish->repository);
}

/* A bad one is of another platform than its job, or is not there at all. */
int registry_push (world_t *self, int platform, int inputs, int base, bool is_bad)
{
    registry_t *registry = &self->registry;
    if (registry->image_count % 256 == 0)
        registry->images = mem_resize (registry->images, (size_t) (registry->image_count + 256) * sizeof *registry->images);
    registry->images [registry->image_count] = (image_t) {
        .platform = is_bad && chance (self, 2) ? (platform + 1) % PLATFORMS : platform, .base = base,
        .content = inputs < 0 || is_bad ? -1 - registry->image_count : inputs,
        .is_there = !is_bad || chance (self, 2),
    };
    return registry->image_count++;
}

void image_digest (int image, char digest [80])
{
    snprintf (digest, 80, "sha256:%064x", image);
}

int image_of (const world_t *self, const char *digest)
{
    int image = strncmp (digest, "sha256:00000000", 15) == 0 ? (int) strtol (digest + 15, NULL, 16) : -1;
    return image < self->registry.image_count ? image : -1;
}

json_t *registry_base (int version)
{
    char digest [80];
    snprintf (digest, sizeof digest, "sha256:ba5e%060x", version);
    return json_pack ("{s:s, s:s}", "reference", "r.lan/base:1", "digest", digest);
}

int base_of (const json_t *base)
{
    const char *digest = text_of (base, "digest");
    return strncmp (digest, "sha256:ba5e", 11) == 0 ? (int) strtol (digest + 11, NULL, 16) : -1;
}

json_t *registry_bases (const world_t *self, int image)
{
    return json_pack ("[o]", registry_base (self->registry.images [image].base));
}

/* -- verifying -------------------------------------------------------------------------------------------------------- */

static bool is_down (const world_t *self)
{
    return self->registry.down_until > self->now;
}

/* It says yes: it has what it has not, or it has taken what it throws away. */
static bool lies (world_t *self)
{
    return mishap (self, 80);
}

/* Do the base images that a known one was made from still stand? */
static bool bases_hold (const world_t *self, const json_t *task)
{
    const json_t *base = json_array_get (json_object_get (task, "bases"), 0);
    return !base || base_of (base) == self->registry.base;
}

/* From now on it is a known image. Nobody can tell whether it was really made of these inputs: its worker says so. */
static void note_verified (world_t *self, image_t *image, const json_t *task)
{
    const job_entry_t *job = ledger_job (self, number_of (task, "job"));
    if (!job || job->is_known || job->worker < 0)
        return;
    if (worker_runs (self, job->worker, job->platform, true) == RUNS_EMULATED)
        image->emulated_for |= wish_bit (&self->submissions [job->submission]);
    else
        image->native_for |= wish_bit (&self->submissions [job->submission]);
}

/* Is it what another worker made of the same? */
static bool is_same (const world_t *self, const image_t *image, const json_t *same_as)
{
    int index = image_of (self, text_of (same_as, "digest"));
    const image_t *first = index >= 0 ? &self->registry.images [index] : NULL;
    return first && first->is_there && first->platform == image->platform && first->base == image->base && first->content == image->content;
}

/* NULL: the image is what the job is for. */
static const char *look_at (world_t *self, const json_t *task)
{
    int index = image_of (self, text_of (task, "digest"));
    image_t *image = index >= 0 ? &self->registry.images [index] : NULL;
    if (is_down (self) || mishap (self, 12))
        return "registry";
    if (!image || !(image->is_there || lies (self)) || strcmp (platform_names [image->platform], text_of (task, "platform")) != 0 || !bases_hold (self, task))
        return "verify";
    const json_t *same_as = json_object_get (task, "same_as");
    if (same_as && !is_same (self, image, same_as))
        return "verify";
    image->is_verified = true;
    note_verified (self, image, task);
    return NULL;
}

static void add_outcome (json_t *header, const char *code)
{
    json_object_set_new (header, "ok", json_boolean (!code));
    if (code) {
        json_object_set_new (header, "code", json_string (code));
        json_object_set_new (header, "text", json_string ("the registry's reason"));
    }
}

static void verify (world_t *self, const json_t *task)
{
    json_t *header = json_pack ("{s:O, s:O, s:s, s:O, s:i}", "job", json_object_get (task, "job"), "attempt", json_object_get (task, "attempt"),
                                "media_type", "application/vnd.oci.image.manifest.v1+json", "digest", json_object_get (task, "digest"),
                                "size", 500);
    add_outcome (header, look_at (self, task));
    coordinator_hear (self, "verified", 0, 0, header);
}

/* -- publishing ------------------------------------------------------------------------------------------------------- */

static tag_t *tag_find (world_t *self, const char *name)
{
    for (int i = 0; i < TAGS; i++)
        if (strcmp (tag_names [i], name) == 0)
            return &self->registry.tags [i];
    return NULL;
}

/* Its index is there: put by digest, or with a tag. */
static void note_kept (world_t *self, const json_t *task)
{
    build_entry_t *build = ledger_build (self, number_of (task, "build"));
    if (build)
        build->is_kept = true;
}

static void move_tag (world_t *self, const char *name, const json_t *task)
{
    tag_t *tag = tag_find (self, name);
    int64_t build = number_of (task, "build");
    if (!tag) {
        violation (self, "tags that were asked for", "build %lld: tag %s", (long long) build, name);
        return;
    }
    if (tag->build > build)
        violation (self, "a tag never moves to an older build", "%s goes back from build %lld to %lld", name, (long long) tag->build,
                   (long long) build);
    tag->build = build;
    note_kept (self, task);
    snprintf (tag->digest, sizeof tag->digest, "%s", text_of (task, "index_digest"));
}

static bool has_children (const world_t *self, const json_t *task)
{
    size_t i;
    json_t *child;
    json_array_foreach (json_object_get (task, "children"), i, child) {
        int image = image_of (self, text_of (child, "digest"));
        if (image < 0 || !self->registry.images [image].is_there)
            return false;
    }
    return true;
}

/* A publisher that failed tells which tags it moved, or may have: the last one it put, when that was taken, whatever it shows then, or when nobody
 * answers what became of it; and where nobody knows how far an earlier try came, all that show the index, or that nobody answers for. */
static json_t *moved_tags (world_t *self, const json_t *task, int stage, bool is_taken)
{
    size_t i;
    json_t *name, *moved = json_array ();
    bool is_unsure = json_is_true (json_object_get (task, "is_unsure"));
    json_array_foreach (json_object_get (task, "tags"), i, name) {
        tag_t *tag = tag_find (self, json_string_value (name));
        bool is_last = (int) i + 1 == stage;
        bool shows = tag && strcmp (tag->digest, text_of (task, "index_digest")) == 0;
        if ((int) i + 1 >= stage && !(is_last && is_taken) && !((is_last || is_unsure) && (shows || is_down (self) || mishap (self, 12))))
            continue;
        json_array_append (moved, name);
        if (tag && tag->claimed < number_of (task, "build"))
            tag->claimed = number_of (task, "build");
    }
    return moved;
}

static void end_publish (world_t *self, const json_t *task, int stage, const char *code, bool is_taken)
{
    json_t *header = json_pack ("{s:O}", "build", json_object_get (task, "build"));
    add_outcome (header, code);
    if (code)
        json_object_set_new (header, "moved", moved_tags (self, task, stage, is_taken));
    coordinator_hear (self, "published", 0, 0, header);
}

static int64_t answer_ms (world_t *self)
{
    return self->registry.slow_until > self->now ? draw_ms (self, 8000) : mishap (self, 20) ? draw_ms (self, 10000) : 1 + draw_ms (self, 30);
}

static bool is_refused_for_good (world_t *self, const chore_t *chore)
{
    return (chore->stage == 0 && !has_children (self, chore->header)) || mishap (self, 120);
}

static const char *tag_of_stage (const chore_t *chore)
{
    return json_string_value (json_array_get (json_object_get (chore->header, "tags"), (size_t) chore->stage - 1));
}

/* What it was given it has. */
static void keep (world_t *self, const chore_t *chore)
{
    if (chore->stage == 0)
        note_kept (self, chore->header);
    else
        move_tag (self, tag_of_stage (chore), chore->header);
}

/* From an earlier try, or another build's that is the same: then a lie makes no difference. */
static bool is_shown (world_t *self, const chore_t *chore)
{
    const build_entry_t *build = ledger_build (self, number_of (chore->header, "build"));
    if (chore->stage == 0)
        return build && build->is_kept;
    const tag_t *tag = tag_find (self, tag_of_stage (chore));
    return tag && strcmp (tag->digest, text_of (chore->header, "index_digest")) == 0;
}

/* Stage 0: the index; then a tag each. That what was taken was not kept is seen when the tag is read back, or the index, where no tag brings it. */
static void publish (world_t *self, chore_t *chore)
{
    bool is_last = chore->stage == (int) json_array_size (json_object_get (chore->header, "tags"));
    const char *code = is_down (self) || mishap (self, 12) ? "registry" : is_refused_for_good (self, chore) ? "registry-denied" : NULL;
    bool is_taken = !code, is_kept = is_taken ? !lies (self) || is_shown (self, chore) : chance (self, 2) && (chore->stage > 0 || has_children (self, chore->header));
    if (is_kept)
        keep (self, chore);
    else if (is_taken && (chore->stage > 0 || is_last))
        code = "registry";
    if (code || is_last)
        end_publish (self, chore->header, chore->stage, code, is_taken);
    else
        agenda_add (self, answer_ms (self), (chore_t) { .kind = CHORE_PUBLISHER, .stage = chore->stage + 1, .verb = "publish",
                                                        .header = json_incref (chore->header) });
}

/* -- looking up ------------------------------------------------------------------------------------------------------- */

/* Of some Dockerfiles only the builder can tell what they name. */
static void resolve (world_t *self, const json_t *task)
{
    const char *code = is_down (self) || mishap (self, 12) ? "registry" : mishap (self, 60) ? "build" : NULL;
    json_t *header = json_pack ("{s:O}", "lookup", json_object_get (task, "lookup"));
    add_outcome (header, code);
    if (!code)
        json_object_set_new (header, "bases", chance (self, 4) ? json_array () : json_pack ("[o]", registry_base (self->registry.base)));
    coordinator_hear (self, "resolved", 0, 0, header);
}

void registry_begin (world_t *self, const char *verb, const json_t *task)
{
    chore_t chore = { .kind = CHORE_PUBLISHER, .header = json_incref ((json_t *) task) };
    snprintf (chore.verb, sizeof chore.verb, "%s", verb);
    agenda_add (self, answer_ms (self), chore);
}

void registry_on_chore (world_t *self, chore_t *chore)
{
    if (strcmp (chore->verb, "publish") == 0)
        publish (self, chore);
    else if (strcmp (chore->verb, "resolve") == 0)
        resolve (self, chore->header);
    else
        verify (self, chore->header);
}
