/* chunker.h - cuts long content where its bytes say so (FastCDC, USENIX ATC 2016), so that a change in the middle of
 * a file leaves the chunks before and behind it as they were. Sizes: docs/objects.md. */
#ifndef FARM_CHUNKER_H
#define FARM_CHUNKER_H

#include <stddef.h>
#include <stdint.h>

enum { CHUNK_MIN = 16 * 1024, CHUNK_AVERAGE = 64 * 1024, CHUNK_MAX = 256 * 1024 };

/* Length of the first chunk of data; size when it is the end of the content or below CHUNK_MIN. The caller gives at
 * least CHUNK_MAX bytes unless the content ends sooner. Depends on nothing but the bytes. */
size_t chunker_cut (const uint8_t *data, size_t size);

#endif
