/* stamp.c - see stamp.h. */
#include "common/stamp.h"

enum { COARSE_NS = 10 * 1000 * 1000, COARSE_S = 2 };

stamp_t stamp_of (const struct stat *info)
{
    return (stamp_t) {
        .size_bytes = (uint64_t) info->st_size, .inode = info->st_ino, .device = info->st_dev,
        .ctime_s = info->st_ctim.tv_sec, .ctime_ns = (uint32_t) info->st_ctim.tv_nsec
    };
}

bool stamp_equal (const stamp_t *a, const stamp_t *b)
{
    return a->size_bytes == b->size_bytes && a->inode == b->inode && a->device == b->device && a->ctime_s == b->ctime_s
        && a->ctime_ns == b->ctime_ns;
}

bool stamp_is_past (const stamp_t *self, int64_t s, uint32_t ns, const struct timespec *now, int64_t tick_ns)
{
    bool is_coarse = self->ctime_ns % COARSE_NS == 0;
    int64_t age_s = (int64_t) now->tv_sec - s;
    if (age_s < 0 || age_s > COARSE_S)
        return age_s > 0;
    return age_s * 1000000000 + now->tv_nsec - ns > (is_coarse ? COARSE_S * (int64_t) 1000000000 : tick_ns);
}

bool stamp_is_settled (const stamp_t *self, const struct timespec *now, int64_t tick_ns)
{
    return stamp_is_past (self, self->ctime_s, self->ctime_ns, now, tick_ns);
}
