/* published.h - what a publisher says of an index that it was handed: it stands under its tags, or does not. A tag that was moved, by a
 * build that then failed at another tag too, is that build's from then on: no older build moves it back. */
#ifndef FARM_PUBLISHED_H
#define FARM_PUBLISHED_H

#include "coordinator/engine_private.h"

handler_fn published_on_published;

#endif
