/* registry_call.h - one call of the registry's API, as registry.c, registry_ask.c and registry_upload.c make it: with what the registry wants
 * to be shown, redirects followed, and tried again where that may help. */
#ifndef FARM_REGISTRY_CALL_H
#define FARM_REGISTRY_CALL_H

#include "common/http.h"
#include "common/registry.h"
#include "common/resting.h"
#include "common/token.h"

enum { ERROR_BODY_MAX = 64 * 1024, REGISTRY_LANES = 4, CALL_URL_MAX = REFERENCE_PATH_MAX + REFERENCE_DIGEST_MAX + 64 };

struct registry {
    registry_settings_t settings;       /* texts are copies; the list is borrowed */
    http_t *http;
    http_t *lanes [REGISTRY_LANES];     /* beside it, for several calls at once */
    http_t *source;                     /* for a blob that is read while another request is on its way */
    tokens_t *tokens;
    resting_t resting;                  /* is_brief: hosts that have failed */
    int64_t until_ms;                   /* when all has to be done; 0: no such end */
};

typedef struct {
    const char *method;
    const char *host;                   /* of the reference: whose credential and certificates */
    const char *url;                    /* "/v2/…", or an absolute one that the registry gave */
    place_t from;                       /* who stood there */
    const char *scope;                  /* for tokens; "" for none */
    const char *const *headers;         /* beside Authorization; NULL: none */
    const void *body;                   /* or by read, then it is sent once and never again */
    size_t body_size;
    http_read_fn *read;
    void *read_argument;
    int64_t body_bytes;
} call_t;

/* Scope of a repository's actions ("pull", "pull,push"). */
void call_scope (char scope [TOKEN_SCOPE_MAX], const reference_t *repository, const char *actions);

/* One call until its answer's headers, of any status that another try does not better: 5xx, 429 and failed connections
 * are tried three times, then ERR_REGISTRY. The body is read from `http` (self->http or self->source). */
int call_open (registry_t *self, http_t *http, const call_t *call, http_answer_t *answer, err_t *err);

/* The same on self->http, with the whole body; when that breaks off it counts as a failed connection. Of an answer above 299
 * the body is bounded by ERROR_BODY_MAX. */
int call_whole (registry_t *self, const call_t *call, size_t max_bytes, http_answer_t *answer, buffer_t *body, err_t *err);

/* The same in two steps, for several calls at once, each on a lane of its own. The second meets all that the first answer may
 * be, as above, unless the first has failed (CALL_NEW). body NULL: only until the headers. */
typedef enum { CALL_NEW, CALL_BEGUN, CALL_BEGUN_WITH_TOKEN } call_progress;
call_progress call_begin (registry_t *self, http_t *http, const call_t *call, http_answer_t *answer, err_t *err);
int call_end (registry_t *self, http_t *http, const call_t *call, call_progress progress, size_t max_bytes,
              http_answer_t *answer, buffer_t *body, err_t *err);

/* Wait before the next try: as long as the registry asks for (-1: it does not). False when that is beyond the time limit. */
bool call_wait (const registry_t *self, int tries, int retry_after_s);

/* An answer that is not what was wanted, as an error: by its status, with the registry's own words from the body (may be
 * NULL). Returns -1. */
int call_failed (const call_t *call, const http_answer_t *answer, const buffer_t *body, err_t *err);

/* An absolute URL of the answer's Location, checked to be one that we may go to. The caller frees; NULL with err. */
char *call_location (const registry_t *self, const call_t *call, const http_answer_t *answer, err_t *err);

#endif
