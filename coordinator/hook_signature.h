/* hook_signature.h - is a request to a hook signed with its secret? As GitHub, Gitea and Forgejo, and GitLab sign theirs:
 *
 *   X-Hub-Signature-256: sha256=HEX                   HMAC-SHA256 of the body (GitHub: "Validating webhook deliveries")
 *   X-Gitea-Signature: HEX, X-Forgejo-Signature: HEX  the same
 *   webhook-signature: v1,BASE64 ...                  HMAC-SHA256 of "webhook-id.webhook-timestamp.body", the key being what stands in base64
 *                                                     behind whsec_ (GitLab's signing token; the Standard Webhooks specification)
 *   X-Gitlab-Token: SECRET                            the secret itself
 *
 * The first of them that is there, in the order webhook-signature, Hub, Gitea, Forgejo, token, decides: a good one behind a bad one saves nothing.
 * All comparisons take the same time wherever the difference is. */
#ifndef FARM_HOOK_SIGNATURE_H
#define FARM_HOOK_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum { HOOK_REQUEST_SIZE = 33 };

/* Header values, NULL where they are not there. */
typedef struct {
    char *hub, *gitea, *forgejo, *token;
    char *standard, *standard_id, *standard_time;
    char *delivery;                     /* GitLab's Idempotency-Key, or X-Gitlab-Event-UUID */
    char *event;                        /* X-GitHub-Event */
} hook_headers_t;

/* 0, and in `request` what tells this delivery from others of the hook (name), 32 hex digits: the same for one that is repeated or replayed. It is
 * made of what is signed: the body, or the signed id; of an unsigned id only with X-Gitlab-Token, where nothing is. ERR_USAGE: nothing is signed at
 * all. ERR_DENIED: not with this secret, or too long ago; the text says which, for the audit log, and not what would have been right. */
int hook_verify (const hook_headers_t *headers, const char *name, const char *secret, const void *body, size_t size, int64_t wall_ms,
                 char request [HOOK_REQUEST_SIZE], err_t *err);

#endif
