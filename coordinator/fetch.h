/* fetch.h - what farm-coordinator-fetch is told and says, and what its parts share. It is a program of its own: it has no key of the farm, and
 * what git, ssh and a stranger's repository do happens in its process group, in a folder of its own.
 *
 *     standard input    a frame with the job, and nothing more; its end is the coordinator's
 *     standard output   frames 'P': a pack of objects (common/pack.h), what they name before them; then one frame 'R': the outcome
 *
 * A frame is its kind (1), the length of what follows (4, big-endian), and that. */
#ifndef FARM_FETCH_H
#define FARM_FETCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/source.h"

enum { FETCH_FRAME_HEAD = 5, FETCH_JOB_MAX = 1024 * 1024, FETCH_OUTCOME_MAX = 64 * 1024, FETCH_DOCKERFILE_MAX = 256 * 1024 };

/* job: {source, rules, dockerfile, mirrors, work, size_max, entries_max, store_max}. outcome: {ok: true, context, dockerfile: {digest, size}, commit} or
 * {ok: false, code, text}; and is_confined. */
typedef struct {
    json_t *json;                   /* owned; the rest is borrowed from it */
    source_t source;
    const json_t *rules;            /* source_rules.h, of one user */
    const char *dockerfile;         /* below the context's folder */
    const char *mirrors, *work;     /* folders: of all repositories fetched so far; its own, empty */
    int64_t size_max;               /* bytes of a context, of an archive, and of what one fetch may bring */
    int64_t entries_max;            /* of a context */
} fetch_job_t;

/* What was fetched: a folder below `work`, whose files all have one time. */
typedef struct {
    char *folder;                   /* owned */
    char commit [65];               /* "": an archive has none */
    bool has_time;
    int64_t time_s;
} fetched_t;

/* How long what follows a frame's head is; and a whole frame, to a descriptor. For both ends (fetch_frame.c). */
size_t fetch_frame_size (const uint8_t head [FETCH_FRAME_HEAD]);
int fetch_frame_write (int fd, char kind, const void *data, size_t size, err_t *err);

/* What the program says, for the coordinator, which takes it for a stranger's word (fetch_word.c). */
typedef struct {
    char kind;                      /* 'P' or 'R' */
    const uint8_t *data;            /* borrowed, behind the head */
    size_t size;
} fetch_frame_t;

/* The frame at the beginning of these bytes. 1; 0: more of it is to come; -1, ERR_FARM: it is none that the program may say. */
int fetch_frame_read (fetch_frame_t *out, const uint8_t *bytes, size_t size, err_t *err);

typedef struct {
    bool is_unconfined;             /* also of a fetch that failed */
    digest_t context, dockerfile;
    int64_t dockerfile_size;
    char commit [65];               /* "": an archive has none */
} fetch_outcome_t;

/* Why it failed is the error; ERR_FARM also where it is no outcome. Whether the objects have come is the caller's to look at. */
int fetch_outcome_read (fetch_outcome_t *out, const uint8_t *text, size_t size, err_t *err);

/* From standard input. */
int fetch_read_job (fetch_job_t *out, err_t *err);

/* Take from this process what it does not need: see fetch_room.c. *is_confined: the kernel keeps it to its files. */
int fetch_enter_room (const fetch_job_t *job, bool *is_confined, err_t *err);

int git_fetch (const fetch_job_t *job, fetched_t *out, err_t *err);
int archive_fetch (const fetch_job_t *job, fetched_t *out, err_t *err);

/* The tree of a folder as frames; the outcome's fields go into it. */
int fetch_ingest (const fetch_job_t *job, const fetched_t *fetched, json_t *outcome, err_t *err);

#endif
