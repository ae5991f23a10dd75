/* sibling.c - see sibling.h. */
#include "common/sibling.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"

/* NULL when that cannot be known. */
static char *own_folder (void)
{
    char path [PATH_MAX];
    ssize_t size = readlink ("/proc/self/exe", path, sizeof path);
    if (size <= 0 || size == sizeof path)
        return NULL;
    const char *slash = memrchr (path, '/', (size_t) size);
    return slash ? mem_strndup (path, (size_t) (slash - path)) : NULL;
}

char *sibling_path (const char *name, const char *libexec_folder)
{
    AUTO_FREE char *folder = own_folder ();
    char *path = folder ? file_join (folder, name) : NULL;
    if (path && file_exists (path))
        return path;
    free (path);
    return file_join (libexec_folder, name);
}
