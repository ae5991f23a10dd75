/* helper.c - the verb imagetools is a program of its own: libcurl brings twenty libraries more, and to load them takes as long as
 * all that farmctl does for an unchanged context. */
#include "farmctl/helper.h"

#include <errno.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/sibling.h"
#include "farmctl/options.h"
#include "farmctl/verbs.h"

int helper_run (const char *name, err_t *err)
{
    AUTO_FREE char *path = sibling_path (name, FARM_LIBEXECDIR);
    execv (path, options_given ());
    return err_sys (err, errno, "run %s, a part of archfarm: install archfarm again", path);
}

int verb_imagetools (int argc, char **argv, err_t *err)
{
    (void) argc, (void) argv;
    return helper_run ("farmctl-imagetools", err);
}
