/* fuzz.c - see fuzz.h. */
#include "fuzz.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"

enum { BYTES_PER_BYTE = 256, BYTES_ALWAYS = 8 * 1024 * 1024 };

void fuzz_fail (const char *condition, const char *file, int line)
{
    fprintf (stderr, "%s:%d: this must hold: %s\n", file, line, condition);
    abort ();
}

bool fuzz_is_text (const char *field, size_t size)
{
    return memchr (field, 0, size) != NULL;
}

void fuzz_hear (void *argument, char stream, const char *line, size_t size)
{
    const size_t *came = argument;
    (void) line;
    MUST (stream == 'o' && size <= *came);
}

/* -- memory ----------------------------------------------------------------------------------------------------- */

/* Of the sanitizers' runtime; not there in a plain build. */
extern int __sanitizer_install_malloc_and_free_hooks (void (*on_malloc) (const volatile void *, size_t),
                                                      void (*on_free) (const volatile void *)) __attribute__ ((weak));
extern size_t __sanitizer_get_allocated_size (const volatile void *memory) __attribute__ ((weak));

static atomic_bool is_counting;
static atomic_llong used_bytes;
static long long allowed_bytes;

static void on_malloc (const volatile void *memory, size_t size)
{
    if (!memory || !is_counting)
        return;
    long long used = atomic_fetch_add (&used_bytes, (long long) size) + (long long) size;
    if (used > allowed_bytes) {
        is_counting = false;
        fuzz_fail ("memory in use is bounded by the input", __FILE__, __LINE__);
    }
}

static void on_free (const volatile void *memory)
{
    if (memory && is_counting)
        used_bytes -= (long long) __sanitizer_get_allocated_size (memory);
}

void fuzz_begin (size_t size)
{
    static bool is_installed;
    if (!is_installed && __sanitizer_install_malloc_and_free_hooks)
        __sanitizer_install_malloc_and_free_hooks (on_malloc, on_free);
    is_installed = true;
    used_bytes = 0;
    allowed_bytes = (long long) size * BYTES_PER_BYTE + BYTES_ALWAYS;
    is_counting = true;
}

void fuzz_end (void)
{
    is_counting = false;
}

/* -- inputs ----------------------------------------------------------------------------------------------------- */

static char *cut (fuzz_input_t *self, size_t size, size_t gone, size_t *out)
{
    char *text = malloc (size + 1);
    if (!text)
        abort ();
    if (size)
        memcpy (text, self->data, size);
    text [size] = 0;
    self->data += gone;
    self->size -= gone;
    if (out)
        *out = size;
    return text;
}

char *fuzz_line (fuzz_input_t *self, size_t *size)
{
    const uint8_t *end = self->size ? memchr (self->data, '\n', self->size) : NULL;
    size_t length = end ? (size_t) (end - self->data) : self->size;
    return cut (self, length, end ? length + 1 : length, size);
}

char *fuzz_rest (fuzz_input_t *self, size_t *size)
{
    return cut (self, self->size, self->size, size);
}

/* -- files ------------------------------------------------------------------------------------------------------ */

const char *fuzz_file (const void *data, size_t size)
{
    static char path [64];
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create ("fuzz", MFD_CLOEXEC);
        MUST (fd >= 0 && fchmod (fd, 0600) == 0);
        snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
    }
    MUST (ftruncate (fd, 0) == 0 && pwrite (fd, data, size, 0) == (ssize_t) size);
    return path;
}

static char folder [256];

static void remove_folder (void)
{
    file_remove_tree (folder, NULL);
}

const char *fuzz_folder (void)
{
    const char *above = getenv ("TMPDIR");
    if (!folder [0]) {
        snprintf (folder, sizeof folder, "%s/archfarm-fuzz.XXXXXX", above ? above : "/tmp");
        MUST (mkdtemp (folder));
        atexit (remove_folder);
    }
    return folder;
}
