/* helper.c - the verb imagetools is a program of its own: libcurl brings twenty libraries more, and to load them takes as long as
 * all that farmctl does for an unchanged context. */
#include "farmctl/helper.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "farmctl/options.h"
#include "farmctl/verbs.h"

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

int helper_run (const char *name, err_t *err)
{
    AUTO_FREE char *folder = own_folder ();
    AUTO_FREE char *path = folder ? file_join (folder, name) : NULL;
    if (!path || !file_exists (path)) {
        free (path);
        path = file_join (FARM_LIBEXECDIR, name);
    }
    execv (path, options_given ());
    return err_sys (err, errno, "run %s, a part of archfarm: install archfarm again", path);
}

int verb_imagetools (int argc, char **argv, err_t *err)
{
    (void) argc, (void) argv;
    return helper_run ("farmctl-imagetools", err);
}
