/* door_route.c - see door_route.h. Nothing of a path goes upstream that has not been parsed here.
 *
 *     /v2/registry.lan__5000/team/app/blobs/uploads/0123456789abcdef
 *         host               path     what          name                ("__" or ":" before a port) */
#include "worker/door_route.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int route_parse_repository (reference_t *out, const char *text, char masked_host [REFERENCE_HOST_MAX + 2], err_t *err)
{
    char host [REFERENCE_HOST_MAX + 2], whole [REFERENCE_MAX];
    size_t size = strcspn (text, "/");
    if (size == 0 || size >= sizeof host - 1 || !text [size])
        return err_set (err, ERR_USAGE, "\"%.100s\" names no registry and repository", text);
    memcpy (host, text, size);
    host [size] = 0;
    strcpy (masked_host, host);
    char *mark = strstr (host, "__");
    if (mark) {
        *mark = ':';
        memmove (mark + 1, mark + 2, strlen (mark + 2) + 1);
    }
    int used = snprintf (whole, sizeof whole, "%s%s", host, text + size);
    if (used < 0 || (size_t) used >= sizeof whole || reference_parse (out, whole, err) < 0)
        return err_set (err, ERR_USAGE, "\"%.100s\" is no repository", text);
    if (strcmp (out->host, host) != 0 || out->tag [0] || out->digest [0])
        return err_set (err, ERR_USAGE, "\"%.100s\" does not begin with the host of a registry", text);
    return 0;
}

/* The last `what` in the path, with something before and behind it; cut out name and repository. */
static int cut (route_t *self, const char *path, const char *what, err_t *err)
{
    const char *found = NULL;
    char repository [REFERENCE_MAX];
    for (const char *at = path; (at = strstr (at, what)); at++)
        found = at;
    size_t size = found ? (size_t) (found - path) : 0;
    if (!found || size >= sizeof repository || strlen (found + strlen (what)) >= sizeof self->name)
        return -1;
    memcpy (repository, path, size);
    repository [size] = 0;
    strcpy (self->name, found + strlen (what));
    return route_parse_repository (&self->repository, repository, self->masked_host, err);
}

static bool is_tag (const char *name)
{
    static const char letters [] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    size_t size = strlen (name);
    return size > 0 && size < REFERENCE_TAG_MAX && strchr (letters, name [0])
           && strspn (name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == size;
}

static int refuse (const char *method, const char *path, err_t *err)
{
    return err_set (err, ERR_DENIED, "%.10s %.200s: a build does not need this", method, path);
}

int route_parse (route_t *self, const char *method, const char *path, err_t *err)
{
    bool reads = strcmp (method, "GET") == 0 || strcmp (method, "HEAD") == 0;
    memset (self, 0, sizeof *self);
    if (strcmp (path, "/v2/") == 0 || strcmp (path, "/v2") == 0) {
        self->kind = ROUTE_PING;
        return reads ? 0 : refuse (method, path, err);
    }
    if (strncmp (path, "/v2/", 4) != 0)
        return err_set (err, ERR_USAGE, "%.200s is no path of a registry", path);
    const char *rest = path + 4;
    if (strstr (rest, "/blobs/uploads/")) {
        if (cut (self, rest, "/blobs/uploads/", err) < 0)
            return err_set (err, ERR_USAGE, "%.200s is no path of a registry", path);
        self->kind = self->name [0] ? ROUTE_UPLOAD : ROUTE_START_UPLOAD;
        bool fits = self->name [0] ? strcmp (method, "PATCH") == 0 || strcmp (method, "PUT") == 0
                                     || strcmp (method, "DELETE") == 0 || strcmp (method, "GET") == 0
                                   : strcmp (method, "POST") == 0;
        return fits ? 0 : refuse (method, path, err);
    }
    if (strstr (rest, "/blobs/") && cut (self, rest, "/blobs/", err) == 0 && reference_is_digest (self->name)) {
        self->kind = ROUTE_READ_BLOB;
        return reads ? 0 : refuse (method, path, err);
    }
    if (strstr (rest, "/manifests/") && cut (self, rest, "/manifests/", err) == 0
        && (reference_is_digest (self->name) || is_tag (self->name))) {
        self->kind = reads ? ROUTE_READ_MANIFEST : ROUTE_PUT_MANIFEST;
        return reads || strcmp (method, "PUT") == 0 ? 0 : refuse (method, path, err);
    }
    return refuse (method, path, err);
}
