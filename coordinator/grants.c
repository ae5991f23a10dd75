/* grants.c - see grants.h. */
#include "coordinator/grants.h"

#include <string.h>

#include "common/mem.h"
#include "common/reference.h"
#include "coordinator/boards.h"
#include "coordinator/builds.h"

static const lease_t *lease_of (engine_t *self, const event_t *event)
{
    const board_t *board = board_of_principal (self, event->principal);
    const lease_t *lease = lease_find (self, event_int (event, "job"));
    return board && lease && lease->worker == board->id && lease->attempt == event_int (event, "attempt") ? lease : NULL;
}

static int read_repository (engine_t *self, int64_t build, reference_t *repository, err_t *err)
{
    char text [512];
    AUTO_JSON json_t *spec = build_spec (self, build, text, err);
    return spec ? reference_parse (repository, text, err) : -1;
}

/* "repository:PATH:pull,push", perhaps with a second repository behind it: the schema has seen to its form. */
static bool may_push (const char *scope, const char *path)
{
    static const char before [] = "repository:", behind [] = ":pull,push";
    const char *colon = strchr (scope + sizeof before - 1, ':');
    size_t size = (size_t) (colon - scope) - (sizeof before - 1);
    bool wants_push = strncmp (colon, behind, sizeof behind - 1) == 0;
    return !wants_push || (strlen (path) == size && strncmp (scope + sizeof before - 1, path, size) == 0);
}

int grants_on_want (engine_t *self, const event_t *event, err_t *err)
{
    reference_t repository;
    const char *host = event_text (event, "host"), *scope = event_text (event, "scope");
    const lease_t *lease = lease_of (self, event);
    if (!lease)
        return err_set (err, ERR_STALE, "job %lld, attempt %lld is not this worker's: nothing is shown to registries for it",
                        (long long) event_int (event, "job"), (long long) event_int (event, "attempt"));
    if (read_repository (self, lease->build, &repository, err) < 0)
        return -1;
    bool is_own = strcmp (host, repository.host) == 0;
    if (!may_push (scope, is_own ? repository.path : ""))
        return err_set (err, ERR_DENIED, "build %lld is pushed to %s/%s: %s at %s is nothing that it may have", (long long) lease->build,
                        repository.host, repository.path, scope, host);
    engine_answer (self, event, "token", json_pack ("{s:s, s:s, s:b}", "host", host, "scope", scope, "is_own", is_own));
    return 0;
}
