/* fetch_frame.c - see fetch.h: frames, for both ends. */
#include "common/file.h"
#include "coordinator/fetch.h"

size_t fetch_frame_size (const uint8_t head [FETCH_FRAME_HEAD])
{
    return (size_t) head [1] << 24 | (size_t) head [2] << 16 | (size_t) head [3] << 8 | head [4];
}

int fetch_frame_write (int fd, char kind, const void *data, size_t size, err_t *err)
{
    uint8_t head [FETCH_FRAME_HEAD] = { (uint8_t) kind, (uint8_t) (size >> 24), (uint8_t) (size >> 16), (uint8_t) (size >> 8), (uint8_t) size };
    return file_write_all (fd, head, sizeof head, err) < 0 ? -1 : file_write_all (fd, data, size, err);
}
