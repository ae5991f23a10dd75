/* crowd_registry.c - see crowd.h: a registry as quick as one can be, so that what is measured is the coordinator's part. It has one
 * image, in every repository, and keeps the manifests that are put. One thread, HTTP without TLS, no checks. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "crowd.h"

#define OCI "application/vnd.oci.image."
#define INDEX_TYPE OCI "index.v1+json"

typedef struct { char type [64]; buffer_t bytes; } kept_t;

static const char layer [] = "a layer";
static char config [256], manifest [1024];
static char config_digest [OCI_DIGEST_SIZE], layer_digest [OCI_DIGEST_SIZE], manifest_digest [OCI_DIGEST_SIZE];
const char *registry_image = manifest_digest;

static zhashx_t *kept;              /* path -> kept_t; only its thread looks at it */
static _Atomic int64_t tags;

int64_t registry_tags (void)
{
    return tags;
}

static void kept_free (void **item)
{
    buffer_free (&((kept_t *) *item)->bytes);
    free (*item);
    *item = NULL;
}

static void make_image (void)
{
    oci_digest_of (layer, strlen (layer), layer_digest);
    snprintf (config, sizeof config, "{\"architecture\":\"arm64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}", layer_digest);
    oci_digest_of (config, strlen (config), config_digest);
    snprintf (manifest, sizeof manifest, "{\"schemaVersion\":2,\"mediaType\":\"" OCI "manifest.v1+json\",\"config\":{\"mediaType\":\"" OCI
              "config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":\"" OCI "layer.v1.tar\",\"digest\":\"%s\","
              "\"size\":%zu}]}", config_digest, strlen (config), layer_digest, strlen (layer));
    oci_digest_of (manifest, strlen (manifest), manifest_digest);
}

/* -- requests --------------------------------------------------------------------------------------------------------- */

static enum MHD_Result answer (struct MHD_Connection *connection, unsigned status, const char *type, const void *bytes, size_t size)
{
    char digest [OCI_DIGEST_SIZE];
    struct MHD_Response *response = MHD_create_response_from_buffer (size, (void *) bytes, MHD_RESPMEM_MUST_COPY);
    oci_digest_of (bytes, size, digest);
    MHD_add_response_header (response, "Content-Type", type);
    MHD_add_response_header (response, "Docker-Content-Digest", digest);
    enum MHD_Result result = MHD_queue_response (connection, status, response);
    MHD_destroy_response (response);
    return result;
}

static bool ends_with (const char *url, const char *end)
{
    size_t size = strlen (url), end_size = strlen (end);
    return size >= end_size && strcmp (url + size - end_size, end) == 0;
}

static enum MHD_Result on_get (struct MHD_Connection *connection, const char *url)
{
    const kept_t *found = zhashx_lookup (kept, url);
    if (found)
        return answer (connection, 200, found->type, found->bytes.data, found->bytes.size);
    if (ends_with (url, manifest_digest))
        return answer (connection, 200, OCI "manifest.v1+json", manifest, strlen (manifest));
    if (ends_with (url, config_digest))
        return answer (connection, 200, "application/octet-stream", config, strlen (config));
    if (ends_with (url, layer_digest))
        return answer (connection, 200, "application/octet-stream", layer, strlen (layer));
    return answer (connection, ends_with (url, "/v2/") ? 200 : 404, "application/json", "{}", 2);
}

static enum MHD_Result on_put (struct MHD_Connection *connection, const char *url, kept_t *put)
{
    const char *type = MHD_lookup_connection_value (connection, MHD_HEADER_KIND, "Content-Type");
    snprintf (put->type, sizeof put->type, "%s", type ? type : INDEX_TYPE);
    zhashx_update (kept, url, put);
    tags += !strstr (url, "/sha256:");
    return answer (connection, 201, "application/json", put->bytes.data, put->bytes.size);
}

/* Called for the headers, for each part of a body, and at its end. */
static enum MHD_Result on_request (void *unused, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                   const char *data, size_t *size, void **state)
{
    (void) unused;
    (void) version;
    if (strcmp (method, "PUT") != 0)
        return on_get (connection, url);
    if (!*state) {
        *state = mem_alloc (sizeof (kept_t));
        return MHD_YES;
    }
    kept_t *put = *state;
    if (*size) {
        buffer_append (&put->bytes, data, *size);
        *size = 0;
        return MHD_YES;
    }
    *state = NULL;
    return on_put (connection, url, put);
}

int registry_begin (int port, err_t *err)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK), .sin_port = htons ((uint16_t) port) };
    make_image ();
    kept = zhashx_new ();
    zhashx_set_destructor (kept, kept_free);
    if (MHD_start_daemon (MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *) &address,
                          MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) 65536, MHD_OPTION_END))
        return 0;
    return err_set (err, ERR_FARM, "the registry cannot listen on port %d", port);
}
