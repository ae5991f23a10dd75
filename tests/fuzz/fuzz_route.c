/* fuzz_route.c - what a builder, or a RUN step, asks of the worker's door: the method in a first line, then the path.
 *
 * covers: worker/door_route.c common/reference.c */
#include <string.h>

#include "common/mem.h"
#include "fuzz.h"
#include "worker/door_route.h"

/* Of the path nothing goes upstream but these, so they hold nothing that a registry could take for more. */
static void check (const route_t *route)
{
    reference_t again;
    AUTO_FREE char *whole = mem_printf ("%s/%s", route->repository.host, route->repository.path);
    MUST (reference_parse (&again, whole, NULL) == 0 && strcmp (again.host, route->repository.host) == 0);
    MUST (strcmp (again.path, route->repository.path) == 0 && !again.tag [0] && !again.digest [0]);
    MUST (strlen (route->name) < sizeof route->name && strlen (route->masked_host) < sizeof route->masked_host);
    if (route->kind == ROUTE_READ_BLOB)
        MUST (reference_is_digest (route->name));
    if (route->kind == ROUTE_READ_MANIFEST || route->kind == ROUTE_PUT_MANIFEST)
        MUST (route->name [0] && !strpbrk (route->name, "/?#%& ") && route->name [0] != '.');
}

FUZZ_TARGET (route)
{
    err_t err = { 0 };
    route_t route;
    fuzz_input_t input = { data, size };
    AUTO_FREE char *method = fuzz_line (&input, NULL);
    AUTO_FREE char *path = fuzz_rest (&input, NULL);
    if (route_parse (&route, method, path, &err) < 0)
        MUST (err.code == ERR_USAGE || err.code == ERR_DENIED);
    else if (route.kind != ROUTE_PING)
        check (&route);
}
