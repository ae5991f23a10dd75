/* buildah_probe.h - what of buildah works on this machine, found out by doing it. */
#ifndef FARM_BUILDAH_PROBE_H
#define FARM_BUILDAH_PROBE_H

#include "worker/buildah_private.h"

/* Fill version. ERR_FARM when the program is not there or is not the driver's. */
int buildah_probe_version (buildah_t *self, err_t *err);

/* Fill driver, isolation, network, runtime and reason: the first combination in which a container really ran. wanted:
 * "auto", "oci" or "chroot". */
int buildah_probe_isolation (buildah_t *self, const char *wanted, err_t *err);

/* A way to run a container. */
struct buildah_candidate {
    const char *isolation, *runtime, *network;          /* as in buildah_t */
};

/* Run /bin/true so: in a container from nothing, or, with a program that makes no working containers, in a build from nothing. */
int buildah_try_container (buildah_t *self, const buildah_candidate_t *candidate, err_t *err);
int buildah_try_build (buildah_t *self, const buildah_candidate_t *candidate, err_t *err);

#endif
