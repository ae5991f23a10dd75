/* fuzz.h - what the fuzz targets share: docs/testing.md, "Fuzzing", tells how they are run.
 *
 *     FUZZ_TARGET (platform)       the body of a function that is given data and size, and returns nothing
 *     {
 *         …MUST (this holds)…
 *     }
 *
 * For libFuzzer (FUZZ_ALONE) it becomes LLVMFuzzerTestOneInput, for replay.c fuzz_platform. */
#ifndef FARM_FUZZ_H
#define FARM_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef FUZZ_ALONE
#define FUZZ_ENTRY(name) LLVMFuzzerTestOneInput
#else
#define FUZZ_ENTRY(name) fuzz_ ## name
#endif

#define FUZZ_TARGET(name) \
    int FUZZ_ENTRY (name) (const uint8_t *data, size_t size); \
    static void name ## _takes (const uint8_t *data, size_t size); \
    int FUZZ_ENTRY (name) (const uint8_t *data, size_t size) \
    { \
        fuzz_begin (size); \
        name ## _takes (data, size); \
        fuzz_end (); \
        return 0; \
    } \
    static void name ## _takes (const uint8_t *data, size_t size)

/* A property of the program: if it does not hold, that is a finding. */
#define MUST(condition) ((condition) ? (void) 0 : fuzz_fail (#condition, __FILE__, __LINE__))
void fuzz_fail (const char *condition, const char *file, int line) __attribute__ ((noreturn));

/* Between them no more memory may be in use than 256 bytes for each of the input (an empty object of jansson, 3 bytes of text, has
 * that) and 8 MiB. It is counted where a sanitizer is linked in. */
void fuzz_begin (size_t size);
void fuzz_end (void);

/* An input is cut into lines and a rest. */
typedef struct {
    const uint8_t *data;
    size_t size;
} fuzz_input_t;

/* The next line without its line feed, "" at the end; size may be NULL. A copy with a NUL behind it, and nothing more, so that a step
 * too far is seen; the caller frees. */
char *fuzz_line (fuzz_input_t *self, size_t *size);
/* The same with all that is left. */
char *fuzz_rest (fuzz_input_t *self, size_t *size);

/* Does a field of so many bytes hold a text that ends in it? */
bool fuzz_is_text (const char *field, size_t size);

/* A builder_line_fn: what is handed on is what came, or less. argument is how much came, a size_t. */
void fuzz_hear (void *argument, char stream, const char *line, size_t size);

/* A file (mode 0600) with these bytes: its path, borrowed. There is only one, in memory. */
const char *fuzz_file (const void *data, size_t size);

/* A folder for the files of a target, removed at exit; borrowed. */
const char *fuzz_folder (void);

#endif
