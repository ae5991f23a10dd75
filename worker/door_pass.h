/* door_pass.h - who may go through the door: one pass per live attempt, with what it did there. All calls are thread-safe. */
#ifndef FARM_DOOR_PASS_H
#define FARM_DOOR_PASS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/inside.h"
#include "worker/door.h"

enum { PASS_UPLOADS_MAX = 64, PASS_HEADER_MAX = 128, UPLOAD_ID_SIZE = 17, PASS_TOKENS_MAX = 32, PASS_BASES_MAX = 32, PASS_READS_MAX = 192,
       PASS_BASE_MAX = 512,        /* of a base's name, as a report takes it (schema/messages.json) */
       PASS_WITHHELD_MAX = 768 };

typedef struct {
    char id [UPLOAD_ID_SIZE];
    char *url;                      /* where the registry wants the next part */
    place_t from;                   /* where the registry stood when it said so */
} upload_t;

typedef struct {
    char *key;                      /* host and scope */
    char *header;                   /* "Bearer …"; "" where the registry wants none */
    int64_t renew_ms;               /* boot clock */
} pass_token_t;

/* An image that is named by its tag, and what the tag means. */
typedef struct {
    char reference [PASS_BASE_MAX + 1];
    char digest [OCI_DIGEST_SIZE];              /* "": it was never given */
    bool is_read, is_refused;                   /* it was asked for; and not given, the last time */
    char withheld [PASS_WITHHELD_MAX];          /* then: why the coordinator gives nothing for it; "": it is not that */
} pass_base_t;

/* A repository that may be read; path "": any of the host. */
typedef struct {
    char *host, *path;
} pass_read_t;

typedef struct pass {
    int64_t job;
    int attempt;
    reference_t repository;
    char header [PASS_HEADER_MAX];              /* the Authorization that the builder has to send */
    atomic_bool is_closed;                      /* requests under way stop */
    atomic_llong bytes;                         /* passed through, both ways */
    int references;                             /* under the lock of passes_t */
    struct pass *next;

    const door_limits_t *limits;

    pthread_mutex_t grant_lock;                 /* of these three */
    door_grant_fn *grant;                       /* NULL: there is nothing to show, or no more */
    door_pin_fn *pin;                           /* NULL: nobody is asked, or no more */
    void *argument;

    pthread_mutex_t lock;                       /* of what follows */
    pass_read_t reads [PASS_READS_MAX];
    int read_count;
    err_t last_error;
    bool was_answered;                          /* by a registry, since that error was cleared */
    bool has_pushed;
    char digest [OCI_DIGEST_SIZE], media_type [128];
    int64_t size_bytes;
    pass_base_t bases [PASS_BASES_MAX];
    int base_count;
    bool has_refused_bases;                     /* beside those: there was no room for their names */
    bool has_unknown_bases;                     /* too many or too long, without a digest, not given, or a tag that changed meanwhile */
    upload_t uploads [PASS_UPLOADS_MAX];        /* a ring: the oldest goes */
    unsigned next_upload;
    pass_token_t tokens [PASS_TOKENS_MAX];      /* a ring */
    unsigned next_token;
} pass_t;

typedef struct passes passes_t;

/* limits: copied, but for what they point at; NULL: nothing but what attempts name, and no quota. */
passes_t *passes_new (const door_limits_t *limits);
void passes_destroy (passes_t **self);          /* nobody holds a pass any more */

void passes_open (passes_t *self, const door_pass_t *pass, char password [33]);
void passes_close (passes_t *self, int64_t job, int attempt);
void passes_close_all (passes_t *self);

/* The pass that the header names, compared in constant time; NULL where none does. Give it back. */
pass_t *passes_enter (passes_t *self, const char *authorization);
/* The same by its numbers, for the worker. */
pass_t *passes_find (passes_t *self, int64_t job, int attempt);
void passes_leave (passes_t *self, pass_t **pass);

void pass_note_error (pass_t *self, const err_t *error);
void pass_note_first_error (pass_t *self, const err_t *error);     /* unless there is one */
void pass_note_answer (pass_t *self);
void pass_clear_error (pass_t *self);
void pass_note_push (pass_t *self, const char *digest, const char *media_type, int64_t size_bytes);

/* An image was read by its tag; digest is what that means, "" where the registry did not say. One that was not given, the last time, is refused: the builder
 * may go on with a copy of its own. */
void pass_note_base (pass_t *self, const reference_t *repository, const char *tag, const char *digest, bool is_given);
/* It was refused as the coordinator has a final no for it. */
void pass_note_withheld (pass_t *self, const reference_t *repository, const char *tag, const char *why);

/* What the tag means, where that is known: false where not. And have it told, when the registry says digest: known then. */
bool pass_find_base (pass_t *self, const reference_t *repository, const char *tag, char digest [OCI_DIGEST_SIZE]);
int pass_pin (pass_t *self, const reference_t *repository, const char *tag, const char *digest, char pinned [OCI_DIGEST_SIZE], err_t *err);

/* May it be read? The attempt's own may, what was allowed, and what holds for all attempts. */
void pass_allow (pass_t *self, const char *host, const char *path);
bool pass_may_read (pass_t *self, const char *host, const char *path);

/* Count bytes that pass; false once the attempt has had more than its share. The same as an error; returns -1. */
bool pass_count (pass_t *self, size_t bytes);
int pass_exceeded (const pass_t *self, err_t *err);

/* Remember where an upload goes on, under a name of the door's own; and look it up (the caller frees; NULL unknown). */
void pass_add_upload (pass_t *self, const char *url, place_t from, char id [UPLOAD_ID_SIZE]);
char *pass_find_upload (pass_t *self, const char *id, place_t *from);

/* A header for a key that need not be renewed yet (the caller frees, and wipes; NULL none), and keep one. */
char *pass_token (pass_t *self, const char *key);
void pass_keep_token (pass_t *self, const char *key, const char *header, int64_t renew_ms);

/* As door_grant_fn says; ERR_REGISTRY_DENIED where there is nothing. */
int pass_grant (pass_t *self, const char *host, const char *scope, char **authorization, int64_t *keep_ms, err_t *err);

/* Wipe a secret and free it. */
void pass_wipe (char **secret);

#endif
