/* publisher.h - the actors that talk to registries: verify what was pushed, publish what was verified.
 *
 * Pipe: ["verify", JSON] is answered by ["verified", JSON], ["publish", JSON] by ["published", JSON]; the documents are lists
 * of the headers of engine.h's ACTION_VERIFY and ACTION_PUBLISH and, in the same order, of the events of those names: several
 * images to verify, one build to publish. Nothing is durable: what is lost with the process is handed out again by the engine. */
#ifndef FARM_PUBLISHER_H
#define FARM_PUBLISHER_H

#include <czmq.h>

/* argument: registry_settings_t, which must outlive the actor. */
void publisher_actor (zsock_t *pipe, void *registry_settings);

#endif
