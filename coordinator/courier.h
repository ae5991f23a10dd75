/* courier.h - the actor that delivers news. All that it has is on its way at once, so a receiver that hangs holds up nobody else.
 *
 * Pipe: ["DELIVER", JSON as engine.h's ACTION_NEWS] is answered, in any order, by ["DELIVERED", JSON as the event `delivered`]. Nothing is durable:
 * what is lost with the process is handed out again by the engine. */
#ifndef FARM_COURIER_H
#define FARM_COURIER_H

#include <czmq.h>

#include "coordinator/letter.h"

/* settings: letter_settings_t, which must outlive it. */
void courier_actor (zsock_t *pipe, void *settings);

#endif
