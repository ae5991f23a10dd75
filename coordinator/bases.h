/* bases.h - what the base images of a build mean: of each name one digest, the same for all its jobs and attempts (docs/bases.md).
 *
 *     looked up when the build was submitted (lookups.h) ---+
 *     a build's that it repeats, or an image's that it uses --> bases --> assign: the door gives that digest for the name (worker/door.h)
 *     asked for by a worker, `pin`: the first one counts ---+
 *
 * A name is never given another digest. */
#ifndef FARM_BASES_H
#define FARM_BASES_H

#include "coordinator/engine_private.h"

enum { BASES_MAX = 32 };            /* names of one build; schema/messages.json */

/* Add [{reference, digest, is_last}], is_last where it is so. 1, with why, and none is added: a name has another digest already (ERR_STALE), or they are too
 * many (ERR_FULL). */
int bases_put (engine_t *self, int64_t build, const json_t *bases, err_t *why, err_t *err);

/* These of a build's the coordinator has read off its Dockerfile itself. Of others a worker may have said that they are base images. */
int bases_note_named (engine_t *self, int64_t build, const json_t *bases, err_t *err);

/* Is one that was noted so in this repository? */
int bases_name (engine_t *self, int64_t build, const char *host, const char *path, bool *out, err_t *err);

/* Those of a build that this one repeats. */
int bases_copy (engine_t *self, int64_t build, int64_t from, err_t *err);

/* [{reference, digest}] by name, to the caller; empty where there is none. */
json_t *bases_of (engine_t *self, int64_t build);

/* The one that the build's images begin with; false where it is not known, or not one for all platforms. */
typedef struct { char reference [513], digest [80]; } last_base_t;
bool bases_last (engine_t *self, int64_t build, last_base_t *out);

/* What a worker says to have built on: whole names with a tag, as the door writes them? ERR_PROTOCOL. */
int bases_check (const json_t *bases, err_t *err);

/* `pin`: a worker has asked a registry for a name that is not there yet. Answered with what it means. */
handler_fn bases_on_pin;

/* The build is forgotten. */
int bases_forget (engine_t *self, int64_t build, err_t *err);

/* In SQL: does no base image in this JSON ([{reference, digest}]; NULL: none) have another digest in that build? Damaged JSON agrees with nothing. */
#define BASES_AGREE(json, build) "coalesce (json_valid (" json "), 1) AND NOT EXISTS (SELECT 1 FROM json_each (iif (json_valid (" json "), " json ", '[]')) AS one JOIN bases ON bases.build = " build " AND bases.reference = " \
                                 "json_extract (one.value, '$.reference') AND bases.digest <> json_extract (one.value, '$.digest'))"

#endif
