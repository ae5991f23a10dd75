/* source.h - a context that the coordinator fetches, as people write it:
 *
 *     https://host/repo.git#ref:folder    git@host:repo.git#ref    ssh://git@host/repo.git    file:///srv/repo.git    git://host/repo.git
 *     https://host/app-1.0.tar.gz#sha256=HEX:folder
 *
 * Reads text only. What somebody has put a password into is refused, with words that do not repeat it; nothing that git or ssh could take for
 * an option, and nothing that a shell would have to be protected from, gets through. */
#ifndef FARM_SOURCE_H
#define FARM_SOURCE_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"

enum { SOURCE_URL_MAX = 1024, SOURCE_REF_MAX = 255, SOURCE_FOLDER_MAX = 511, SOURCE_HOST_MAX = 255 };

typedef struct {
    char url [SOURCE_URL_MAX + 1];          /* as it was given, without what stands behind '#' */
    char transport [8];                     /* https, http, ssh, git, file */
    char host [SOURCE_HOST_MAX + 1];        /* lower case; of IPv6 in brackets; "" of file */
    int port;                               /* 0: the transport's own */
    char path [SOURCE_URL_MAX + 1];         /* begins with '/', but of user@host:path as it was given */
    char ref [SOURCE_REF_MAX + 1];          /* branch, tag, whole commit or refs/…; "": what HEAD is there */
    char folder [SOURCE_FOLDER_MAX + 1];    /* of it that is the context, without '/' at either end; "": all */
    char sha256 [65];                       /* of an archive; "": it is a repository */
} source_t;

/* Is it no folder of this machine, but something to fetch? */
bool source_is_meant (const char *text);

/* ERR_USAGE with the reason. */
int source_parse (source_t *out, const char *text, err_t *err);

/* As a spec has it (docs/protocol.md): {url, ref, folder, sha256}, each where there is one. The JSON may be a peer's, checked against its schema.
 * source_json: to the caller. */
int source_read (source_t *out, const json_t *json, err_t *err);
json_t *source_json (const source_t *self);

/* A repository's name for a submodule: `url` as .gitmodules has it, which may be relative to self. ERR_USAGE. */
int source_of_submodule (const source_t *self, const char *url, source_t *out, err_t *err);

/* "https://host/repo.git#ref:folder", as it would be given. The caller frees. */
char *source_text (const source_t *self);

/* https, http, ssh, git or file? */
bool source_is_transport (const char *text, size_t size);

/* Has the path a part ".."? */
bool source_climbs (const char *path);

/* All 40 (or 64) digits of one? */
bool source_is_commit (const char *ref);

#endif
