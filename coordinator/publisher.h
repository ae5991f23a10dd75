/* publisher.h - the actors that talk to registries: verify what was pushed, publish what was verified.
 *
 * Pipe: ["verify", JSON] is answered by ["verified", JSON], ["publish", JSON] by ["published", JSON]; the documents are the
 * headers of engine.h's ACTION_VERIFY and ACTION_PUBLISH and of the events of those names. One task at a time; nothing durable:
 * a task that is lost with the process is handed out again by the engine. */
#ifndef FARM_PUBLISHER_H
#define FARM_PUBLISHER_H

#include <czmq.h>

/* argument: registry_settings_t, which must outlive the actor. */
void publisher_actor (zsock_t *pipe, void *registry_settings);

#endif
