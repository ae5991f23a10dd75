/* git.h - runs git for farm-coordinator-fetch: which settings it has, what it may bring, and what its words mean. */
#ifndef FARM_GIT_H
#define FARM_GIT_H

#include "coordinator/fetch.h"

typedef struct {
    const fetch_job_t *job;
    char *environment [40];         /* owned; NULL behind the last */
    char *index;                    /* GIT_INDEX_FILE; owned */
    int modules;                    /* submodules fetched so far */
    int64_t entries, bytes;         /* of all files listed so far, those of submodules too */
} git_t;

/* For one host's repository: writes its settings file, looks the host's address up and holds it. ERR_DENIED: an address inside. ERR_NETWORK. */
int git_prepare (git_t *self, const source_t *source, err_t *err);
void git_free (git_t *self);

/* What is done with each NUL-ended record of its output. -1 ends it. */
typedef int (git_record_fn) (void *argument, const char *record, err_t *err);

typedef struct {
    const char *const *arguments;   /* behind "git"; NULL-ended */
    git_record_fn *record;          /* NULL: */
    void *argument;
    buffer_t *output;               /* all of it, at most GIT_OUTPUT_MAX, a NUL behind; NULL: none is wanted */
} git_call_t;
enum { GIT_OUTPUT_MAX = 64 * 1024 };

/* 0: it has ended with status 0. -1: ERR_FARM where it could not be run; else as git_explain has it, of its words. */
int git_run (const git_t *self, const git_call_t *call, err_t *err);

/* Whose fault it was, and in words for a person, by what git said (at most the first lines of it). Returns -1. */
int git_explain (const char *words, int status, err_t *err);

/* The git folder of a repository, for nobody else until it is let go of. */
typedef struct {
    char *path;                     /* owned */
    int lock;
} git_mirror_t;
#define GIT_MIRROR_NONE ((git_mirror_t) { .lock = -1 })

/* The mirror of a repository with its ref (or commit) in it, to the caller, and the commit. Who asks has let go of all others. */
int git_mirror (git_t *self, const source_t *source, git_mirror_t *out, char commit [65], err_t *err);
void git_mirror_let_go (git_mirror_t *self);

/* The files of a commit into target, which is there and empty; submodules too, before which the mirror is let go of. folder: only what is below it,
 * "": all. */
int git_check_out (git_t *self, const source_t *source, git_mirror_t *mirror, const char *commit, const char *target, const char *folder, int depth, err_t *err);

/* Has anything among it a name that leads elsewhere? 0: path below root is what it seems. */
int git_check_path (const char *root, const char *path, err_t *err);

#endif
