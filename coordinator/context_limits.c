/* context_limits.c - see context_limits.h. */
#include "coordinator/context_limits.h"

#include "common/tree.h"

int context_limits_check (const context_limits_t *self, depot_t *depot, const digest_t *root, err_t *err)
{
    depot_extent_t extent;
    if (!depot_extent (depot, root, &extent))
        return 0;
    if (self->entries_max && extent.entries > (uint64_t) self->entries_max)
        return err_set (err, ERR_USAGE, "the context has %llu files and folders, each counted as often as it stands in it, and may have %lld (context/entries of the"
                        " coordinator): leave out by .dockerignore what the build does not read", (unsigned long long) extent.entries,
                        (long long) self->entries_max);
    if (self->bytes_max && extent.bytes > (uint64_t) self->bytes_max)
        return err_set (err, ERR_USAGE, "the context has %llu MiB of files, and may have %lld (context/size of the coordinator): leave out by .dockerignore what"
                        " the build does not read", (unsigned long long) (extent.bytes >> 20), (long long) (self->bytes_max >> 20));
    if (extent.depth > TREE_DEPTH_MAX + 1)
        return err_set (err, ERR_USAGE, "the folders of the context lie %llu deep, and may lie %d deep: move some up, or leave them out by .dockerignore",
                        (unsigned long long) extent.depth - 1, TREE_DEPTH_MAX);
    return 0;
}
