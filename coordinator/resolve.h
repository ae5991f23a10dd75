/* resolve.h - what the base images mean that a Dockerfile names (common/base_names.h): each is asked of its registry, as the coordinator itself.
 *
 * A registry may be anywhere, but on the coordinator's own machine or link only where settings name it (registry/plain-http, registry/inside) or the build is
 * published to it: else whoever may submit could have services there asked. */
#ifndef FARM_RESOLVE_H
#define FARM_RESOLVE_H

#include <jansson.h>

#include "common/depot.h"
#include "common/registry.h"

typedef struct resolver resolver_t;

/* One serves one thread. All borrowed; settings are copied, but for what they point at. depot NULL: Dockerfiles name nothing. */
resolver_t *resolver_new (const registry_settings_t *settings, depot_t *depot);
void resolver_destroy (resolver_t **self);

/* question and answer ([{reference, digest, is_last}], to the caller) as ACTION_RESOLVE has them in engine.h. NULL: ERR_BUILD, there is no such image, or none
 * for a platform; ERR_REGISTRY_DENIED; ERR_REGISTRY is worth another try. A Dockerfile that cannot be read names nothing: the worker will say so. */
json_t *resolver_ask (resolver_t *self, const json_t *question, err_t *err);

#endif
