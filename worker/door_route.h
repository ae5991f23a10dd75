/* door_route.h - what a request to the door asks for, from its method and path. */
#ifndef FARM_DOOR_ROUTE_H
#define FARM_DOOR_ROUTE_H

#include "common/err.h"
#include "common/reference.h"

enum { ROUTE_NAME_MAX = 256 };

typedef enum {
    ROUTE_PING,             /* GET /v2/ */
    ROUTE_READ_MANIFEST, ROUTE_READ_BLOB,
    ROUTE_START_UPLOAD, ROUTE_UPLOAD, ROUTE_PUT_MANIFEST,
} route_kind;

typedef struct {
    route_kind kind;
    reference_t repository;             /* host and path of the upstream */
    char masked_host [REFERENCE_HOST_MAX + 2];      /* as it stood in the path: "registry.lan__5000" */
    char name [ROUTE_NAME_MAX];         /* tag or digest of a manifest, digest of a blob, the door's name of an upload */
} route_t;

/* ERR_USAGE: no such path of a registry. ERR_DENIED: one that an attempt does not need. */
int route_parse (route_t *self, const char *method, const char *path, err_t *err);

/* "registry.lan__5000/team/app", as a mount's from= has it. */
int route_parse_repository (reference_t *out, const char *text, char masked_host [REFERENCE_HOST_MAX + 2], err_t *err);

#endif
