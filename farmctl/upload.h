/* upload.h - sends what the coordinator's depot does not have: asks level by level from the root, then puts children
 * before parents, several packs on the way at once. */
#ifndef FARM_UPLOAD_H
#define FARM_UPLOAD_H

#include "common/scan.h"
#include "farmctl/courier.h"

/* When it returns 0 the whole context is on the coordinator's disk. */
int upload_context (client_t *client, const scan_t *scan, upload_stats_t *stats, err_t *err);

/* The context, and with the same questions one piece of content beside it, of at most 256 KiB: the Dockerfile. */
int upload_build (client_t *client, const scan_t *scan, const void *data, size_t size, digest_t *digest, upload_stats_t *stats,
                  err_t *err);

#endif
