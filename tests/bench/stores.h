/* stores.h - what the stores of the bench have in common. */
#ifndef FARM_BENCH_STORES_H
#define FARM_BENCH_STORES_H

#include <err.h>
#include <stddef.h>
#include <stdint.h>

enum { KEY_SIZE = 32, OBJECT_MAX = 256 * 1024 };

typedef struct { uint8_t bytes [KEY_SIZE]; } key_;

#define MUST(condition) do { if (!(condition)) err (1, "%s:%d: %s", __FILE__, __LINE__, #condition); } while (0)

/* A store: begin, put or del some, commit; get copies the object to out, returns its size. tidy gives space back. */
typedef struct {
    const char *name;
    void (*open) (const char *folder);
    void (*begin) (void);
    void (*put) (const key_ *key, const void *data, size_t size);
    size_t (*get) (const key_ *key, void *out);
    void (*del) (const key_ *key);
    void (*commit) (void);
    void (*tidy) (void);
    void (*close) (void);
} store_t;

extern const store_t blobs_store, segments_store, files_store;
#ifdef HAVE_LMDB
extern const store_t lmdb_store;
#endif

/* folder/name; valid until the next call. */
const char *path_in (const char *folder, const char *name);

#endif
