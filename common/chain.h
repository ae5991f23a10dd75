/* chain.h - the audit log's chain: each row has a hash over the one before it and its own fields, so no row can be changed, taken out or put
 * in without every later hash being another. Computed by the coordinator, and again by farmctl audit verify. */
#ifndef FARM_CHAIN_H
#define FARM_CHAIN_H

#include <jansson.h>

enum { CHAIN_HEX_SIZE = 64 };

/* What stands before the first row: 64 zeros. */
extern const char chain_start [CHAIN_HEX_SIZE + 1];

/* The hash (hex) of a row as docs/protocol.md shows it, behind one with the hash `before`: BLAKE2b-256 over that text, and over the compact
 * JSON array of id, at_ms, who, key, act, subject, outcome, detail and times. Other fields do not count. */
void chain_hash (const char *before, const json_t *row, char out [CHAIN_HEX_SIZE + 1]);

#endif
