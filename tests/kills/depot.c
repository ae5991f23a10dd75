/* depot.c - reads every object of a depot that nobody uses, and says which cannot be read, or name one that is not there.
 *
 *     depot FOLDER
 *
 * It is changed by that (opened as a program that starts would): give it a copy. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/depot.h"
#include "common/mem.h"

typedef struct {
    digest_t *digests;
    size_t count;
} list_t;

/* The digests of a database that no depot has open. */
static int list_objects (list_t *list, const char *folder)
{
    AUTO_FREE char *path = mem_printf ("%s/objects.db", folder);
    sqlite3 *db = NULL;
    sqlite3_stmt *rows = NULL;
    int rc = sqlite3_open_v2 (path, &db, SQLITE_OPEN_READWRITE, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2 (db, "SELECT digest FROM object", -1, &rows, NULL);
    while (rc == SQLITE_OK && sqlite3_step (rows) == SQLITE_ROW) {
        list->digests = mem_resize (list->digests, (list->count + 1) * sizeof *list->digests);
        memcpy (list->digests [list->count++].bytes, sqlite3_column_blob (rows, 0), DIGEST_SIZE);
    }
    sqlite3_finalize (rows);
    if (rc != SQLITE_OK)
        fprintf (stderr, "%s: %s\n", path, sqlite3_errmsg (db));
    sqlite3_close (db);
    return rc == SQLITE_OK ? 0 : -1;
}

static int read_objects (depot_t *depot, const list_t *list)
{
    AUTO_BUFFER buffer_t bytes = { 0 };
    int bad = 0;
    for (size_t i = 0; i < list->count; i++) {
        err_t err = { 0 };
        char hex [DIGEST_HEX_SIZE + 1];
        digest_to_hex (&list->digests [i], hex);
        if (depot_get (depot, &list->digests [i], &bytes, NULL, &err) < 0) {
            fprintf (stderr, "%s: %s\n", hex, err.text);
            bad = 1;
        }
    }
    return bad;
}

int main (int argc, char **argv)
{
    err_t err = { 0 };
    list_t list = { 0 };
    depot_t *depot = NULL;
    if (argc != 2) {
        fputs ("usage: depot FOLDER\n", stderr);
        return 2;
    }
    int bad = list_objects (&list, argv [1]) < 0;
    if (!bad && depot_open (&depot, argv [1], &err) < 0) {
        fprintf (stderr, "%s\n", err.text);
        bad = 1;
    }
    if (!bad)
        bad = read_objects (depot, &list);
    depot_destroy (&depot);
    free (list.digests);
    return bad;
}
