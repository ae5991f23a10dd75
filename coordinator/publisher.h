/* publisher.h - the actors that talk to registries: verify what was pushed, publish what was verified.
 *
 * Pipe: ["verify", JSON] is answered by ["verified", JSON], ["publish", JSON] by ["published", JSON], ["look", JSON] by ["looked", JSON], ["resolve", JSON] by
 * ["resolved", JSON]; the documents are lists
 * of the headers of engine.h's ACTION_VERIFY and ACTION_PUBLISH and, in the same order, of the events of those names: several
 * images to verify, one build to publish. Nothing is durable: what is lost with the process is handed out again by the engine. */
#ifndef FARM_PUBLISHER_H
#define FARM_PUBLISHER_H

#include <czmq.h>
#include <stdatomic.h>

#include "common/depot.h"
#include "common/registry.h"

/* What all of them are told; it must outlive them. */
typedef struct {
    const registry_settings_t *registry;
    depot_t *depot;                         /* where Dockerfiles are; borrowed; NULL: they name nothing */
    int64_t unpacked_max, reading_ms;       /* of one image whose layers are read: bytes, time; 0: no limit */
    atomic_bool is_stopped;                 /* a reading under way ends without an outcome: the list is empty then */
} publisher_settings_t;

/* argument: publisher_settings_t */
void publisher_actor (zsock_t *pipe, void *settings);

#endif
