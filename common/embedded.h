/* embedded.h - the files of schema/ that are built into the programs (schema/embed.sh writes the data). */
#ifndef FARM_EMBEDDED_H
#define FARM_EMBEDDED_H

extern const char embedded_messages [];         /* schema/messages.json, NUL-terminated */

typedef struct {
    int version;                                /* 1, 2, 3 …; 0 behind the last */
    const char *name;                           /* "001-queue.sql" */
    const char *sql;
} migration_t;
extern const migration_t embedded_migrations [];

#endif
