/* publishing.c - see sim.h: what is handed to a publisher. */
#include "sim.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/digest.h"
#include "common/mem.h"

/* -- verify ------------------------------------------------------------------------------------------------------------- */

static bool was_told (const job_entry_t *job, int image)
{
    for (int i = 0; i < job->told_count; i++)
        if (job->told [i] == image)
            return true;
    return job->told_count == TOLD_MAX;         /* more than are remembered */
}

static void judge_known (world_t *self, const job_entry_t *job, const image_t *image)
{
    const submission_t *wish = &self->submissions [job->submission];
    if (!image || !((image->native_for | image->emulated_for) & wish_bit (wish)) || image->platform != job->platform)
        violation (self, "a known image was verified for the same inputs", "job %lld", (long long) job->id);
    else if (!(image->native_for & wish_bit (wish)) && !wish->may_emulate)
        violation (self, "nothing is emulated unasked", "job %lld stands on an emulated image", (long long) job->id);
}

/* An image is known already, or what the worker that has the attempt reported, and nobody else. */
void publishing_judge_verify (world_t *self, const json_t *task)
{
    const job_entry_t *job = ledger_job (self, number_of (task, "job"));
    int image = image_of (self, text_of (task, "digest"));
    if (job && (job->state == JOB_FAILED || job->state == JOB_CANCELLED))
        return;                                 /* later in the same batch */
    if (!job || job->state != JOB_VERIFYING)
        violation (self, "what is verified was committed", "job %lld", (long long) number_of (task, "job"));
    else if (!job->is_known && (job->first != 0) != (json_object_get (task, "same_as") != NULL))
        violation (self, "what is cross-checked is built by two workers", "job %lld is verified as if %s had built it", (long long) job->id,
                   job->first ? "nobody else" : "another");
    else if (job->is_known)
        judge_known (self, job, image < 0 ? NULL : &self->registry.images [image]);
    else if (job->attempt != number_of (task, "attempt") || !was_told (job, image))
        violation (self, "only the attempt that lives is listened to", "job %lld, attempt %lld: an image that %s has not reported",
                   (long long) job->id, (long long) job->attempt, worker_name (job->worker));
}

/* -- publish ------------------------------------------------------------------------------------------------------------ */

static bool share_a_tag (const json_t *a, const json_t *b)
{
    size_t i, j;
    json_t *one, *other;
    json_array_foreach (json_object_get (a, "tags"), i, one)
        json_array_foreach (json_object_get (b, "tags"), j, other)
            if (json_equal (one, other))
                return true;
    return false;
}

static void judge_alone (world_t *self, const json_t *task)
{
    for (size_t i = 0; i < self->agenda.count; i++) {
        const chore_t *chore = &self->agenda.items [i];
        if (chore->kind != CHORE_PUBLISHER || strcmp (chore->verb, "publish") != 0)
            continue;
        if (number_of (chore->header, "build") == number_of (task, "build") || share_a_tag (chore->header, task))
            violation (self, "one publisher to an index and to a tag", "build %lld, while build %lld is published",
                       (long long) number_of (task, "build"), (long long) number_of (chore->header, "build"));
    }
}

/* The bytes are the digest's, the same each time, and name the children. */
static void judge_bytes (world_t *self, build_entry_t *build, const json_t *task)
{
    const char *digest = text_of (task, "index_digest"), *base64 = text_of (task, "index");
    unsigned char bytes [16384];
    char real [OCI_DIGEST_SIZE];
    size_t size = 0, i;
    json_t *child;
    if (sodium_base642bin (bytes, sizeof bytes - 1, base64, strlen (base64), NULL, &size, NULL, sodium_base64_VARIANT_ORIGINAL) < 0)
        size = 0;
    bytes [size] = 0;
    oci_digest_of (bytes, size, real);
    if (strcmp (real, digest) != 0 || (build->index [0] && strcmp (build->index, digest) != 0))
        violation (self, "a build has one index", "build %lld: %s, now %s", (long long) build->id, build->index, digest);
    snprintf (build->index, sizeof build->index, "%s", digest);
    json_array_foreach (json_object_get (task, "children"), i, child)
        if (!strstr ((const char *) bytes, text_of (child, "digest")))
            violation (self, "a build has one index", "build %lld: the index lacks %s", (long long) build->id, text_of (child, "digest"));
}

static void judge_children (world_t *self, const build_entry_t *build, const json_t *task)
{
    const submission_t *wish = &self->submissions [build->submission];
    unsigned have = 0;
    size_t i;
    json_t *child;
    json_array_foreach (json_object_get (task, "children"), i, child) {
        int index = image_of (self, text_of (child, "digest"));
        const image_t *image = index < 0 ? NULL : &self->registry.images [index];
        if (!image || !image->is_verified || strcmp (platform_names [image->platform], text_of (child, "platform")) != 0)
            violation (self, "no index with an image that is not verified", "build %lld, %s", (long long) build->id, text_of (child, "platform"));
        else
            have |= 1u << image->platform;
        if (image)
            assigns_judge_base (self, build->id, image->base);
    }
    if (have == 0 || (wish->required & ~have) || (have & ~wish->platforms))
        violation (self, "no index without a required platform", "build %lld has %x, required are %x of %x", (long long) build->id, have,
                   wish->required, wish->platforms);
}

void publishing_judge (world_t *self, const json_t *task)
{
    build_entry_t *build = ledger_build (self, number_of (task, "build"));
    if (!build || build->state != BUILD_PUBLISHING) {
        violation (self, "only what is to be published is", "build %lld is %s", (long long) number_of (task, "build"),
                   build ? build_state_name (build->state) : "not there");
        return;
    }
    judge_alone (self, task);
    judge_bytes (self, build, task);
    judge_children (self, build, task);
}

/* Each of its tags shows it, or a newer one, or a publisher has said that a newer one moved it. */
void publishing_judge_end (world_t *self, const build_entry_t *build)
{
    const submission_t *wish = &self->submissions [build->submission];
    if (!build->is_kept)
        violation (self, "what is published is there, under its tags", "build %lld: the registry has no such index", (long long) build->id);
    for (int i = 0; i < TAGS; i++) {
        const tag_t *tag = &self->registry.tags [i];
        if (wish->tags >> i & 1 && tag->build < build->id && tag->claimed <= build->id)
            violation (self, "what is published is there, under its tags", "build %lld: %s shows build %lld", (long long) build->id, tag_names [i],
                       (long long) tag->build);
    }
}
