/* orders.h - an admin's word on a worker: drain, pause, resume, label, forget. */
#ifndef FARM_ORDERS_H
#define FARM_ORDERS_H

#include "coordinator/engine_private.h"

handler_fn orders_on_order;

#endif
