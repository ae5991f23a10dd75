/* depot.c - see sim.h: the depot loses a context by damage, and tells; workers that have it still put it back, when they are asked; and
 * who submits sends it. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void depot_context (int inputs, char hex [65])
{
    snprintf (hex, 65, "%064x", inputs);
}

void depot_lose (world_t *self)
{
    char hex [65];
    int inputs = (int) draw (self, INPUTS);
    self->depot.is_lost [inputs] = self->depot.was_lost [inputs] = true;
    depot_context (inputs, hex);
    coordinator_hear (self, "lost", 0, 0, json_pack ("{s:s}", "root", hex));
}

void depot_send (world_t *self, int inputs)
{
    self->depot.is_lost [inputs] = false;
}

void depot_restore (world_t *self, int who, const json_t *header)
{
    const char *root = text_of (header, "root");
    int inputs = (int) strtol (root, NULL, 16);
    bool is_found = chance (self, 4);
    if (inputs < INPUTS && is_found)
        self->depot.is_lost [inputs] = false;
    network_post (self, who, "restored", json_pack ("{s:s, s:b}", "root", root, "found", is_found));
}
