/* buildah_probe.h - what of buildah works on this machine, found out by doing it. */
#ifndef FARM_BUILDAH_PROBE_H
#define FARM_BUILDAH_PROBE_H

#include "worker/buildah_private.h"

/* Fill version. ERR_FARM when the program is not there or is not buildah. */
int buildah_probe_version (builder_t *self, err_t *err);

/* Fill driver, isolation, network, runtime and reason: the first combination in which a container really ran. wanted:
 * "auto", "oci" or "chroot". */
int buildah_probe_isolation (builder_t *self, const char *wanted, err_t *err);

#endif
