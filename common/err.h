/* err.h - how a function says that it failed.
 *
 * The contract, for the whole farm:
 *   - a fallible function returns 0 or -1 and takes `err_t *err` last;
 *   - it fills err exactly when it returns -1; err may be NULL when the caller only wants to know whether;
 *   - each layer puts in front what it was doing, with which thing (err_wrap);
 *   - only main exits, and only main and the handlers of a loop log;
 *   - out of memory aborts (mem.h), so no function reports it.
 *
 * One enum of codes maps to the name on the wire, to farmctl's exit code and to an HTTP status, in one table (err.c). */
#ifndef FARM_ERR_H
#define FARM_ERR_H

#include <stdarg.h>

typedef enum {
    ERR_NONE = 0,
    ERR_FARM,               /* the farm's own fault: a bug, a disk error, a child that cannot be started */
    ERR_NETWORK,            /* a peer cannot be reached, or stopped answering */
    ERR_FULL,               /* no space left on a disk of ours */
    ERR_PROTOCOL,           /* a peer's message does not fit its schema, or its bytes their digest */
    ERR_STALE,              /* a message of an attempt that is no longer the current one */
    ERR_DENIED,             /* the principal may not do that */
    ERR_NOT_FOUND,          /* no such build, job, object or log */
    ERR_USAGE,              /* the user's input cannot be used: an option, a reference, a file of the context */
    ERR_BUILD,              /* the Dockerfile failed: the user's fault, never retried */
    ERR_PRUNED,             /* it needs files that were left out of the context: submitted again with all of it, it may work */
    ERR_CANCELLED,          /* somebody cancelled the build */
    ERR_NO_WORKER,          /* no worker can run the platform */
    ERR_REGISTRY,           /* the registry is down, refuses or answers nonsense: may pass, retried */
    ERR_REGISTRY_DENIED,    /* the registry's final no: 400, 401, 403, 404, 405: not retried */
    ERR_VERIFY,             /* what was pushed is not what was asked for */
    ERR_TIMEOUT,            /* a time limit ran out */
    ERR_INTERRUPTED,        /* a signal ended the work */
    ERR_COUNT
} err_code;

enum { ERR_TEXT_MAX = 2048 };

typedef struct {
    err_code code;
    char text [ERR_TEXT_MAX];       /* one line, for a person; cut with "..." when it does not fit */
} err_t;

/* Fill err with a code and a text; errors in err are overwritten. Returns -1, so that a call site reads
 * `return err_set (err, ERR_USAGE, "…")`. A line feed or other control character in the text becomes a space. */
int err_set (err_t *err, err_code code, const char *format, ...) __attribute__ ((format (printf, 3, 4)));

/* The same for a failed system call: adds ": " and the words of errnum; what err_is_full becomes ERR_FULL, the rest ERR_FARM. Returns -1. */
int err_sys (err_t *err, int errnum, const char *format, ...) __attribute__ ((format (printf, 3, 4)));

/* True where no more can be written: the disk is full (ENOSPC), or a limit of the user's (EDQUOT) or of the process's (EFBIG) is reached. */
int err_is_full (int errnum);

/* Put what the caller was doing in front: "push registry.lan/app: " + text. Returns -1. */
int err_wrap (err_t *err, const char *format, ...) __attribute__ ((format (printf, 2, 3)));

/* The code's name on the wire ("no-worker"), and back; an unknown name is ERR_FARM, and so is "none": who names a code tells of an error. */
const char *err_name (err_code code);
err_code err_from_name (const char *name);

/* farmctl's exit code: 0 done; 1 farm or network; 2 usage; 3 the build failed; 4 no worker can; 5 registry;
 * 6 verification; 124 timeout; 130 interrupted. */
int err_exit_code (err_code code);

/* The HTTP status under which the worker's door and the coordinator's HTTP service answer with this error. */
int err_http_status (err_code code);

/* True where trying again, perhaps on another worker, may help: the farm's faults, not the user's. */
int err_is_farm_fault (err_code code);

#endif
