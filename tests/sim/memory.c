/* memory.c - malloc and its kin for the simulator, in place of the C library's. SQLite and JSON ask for a hundred pieces of memory in each step, and give
 * nearly all of them back in the same step. There is one thread; so what was freed is put on a list of its size, and taken from there.
 * Nothing goes back to the system. Sanitizers have their own.
 *
 *     | class, size | what the caller has, or the next of the list … | */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { UNIT = 16, EVEN = 64, CLASSES = 256, CHUNK = 4 << 20 };      /* EVEN: classes in steps of UNIT; then four to each power of two */

typedef struct { size_t class, size; } head_t;          /* class 0: aligned as asked, and never taken again */
typedef struct piece { struct piece *next; } piece_t;

static piece_t *lists [CLASSES];
static char *room;
static size_t room_left;

static size_t class_of (size_t size, size_t *rounded)
{
    if (size <= EVEN * UNIT) {
        size_t class = size ? (size + UNIT - 1) / UNIT : 1;
        *rounded = class * UNIT;
        return class;
    }
    int shift = 61 - __builtin_clzll (size - 1);        /* size - 1 has three bits above it */
    size_t quarter = (size - 1) >> shift;
    *rounded = (quarter + 1) << shift;
    return EVEN + 4 * (size_t) (shift - 8) + quarter - 3;
}

static void *out_of_memory (void)
{
    errno = ENOMEM;
    return NULL;
}

/* From the system. */
static void *carve (size_t class, size_t size)
{
    size_t needed = size + sizeof (head_t);
    if (room_left < needed) {
        size_t chunk = needed > CHUNK ? needed : CHUNK;
        void *more = mmap (NULL, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (more == MAP_FAILED)
            return out_of_memory ();
        room = more;
        room_left = chunk;
    }
    head_t *head = (head_t *) room;
    *head = (head_t) { class, size };
    room += needed;
    room_left -= needed;
    return head + 1;
}

static void *take (size_t size)
{
    size_t rounded;
    if (size > PTRDIFF_MAX / 2)
        return out_of_memory ();
    size_t class = class_of (size, &rounded);
    piece_t *piece = lists [class];
    if (!piece)
        return carve (class, rounded);
    lists [class] = piece->next;
    return piece;
}

static head_t *head_of (void *memory)
{
    return (head_t *) memory - 1;
}

static void *take_aligned (size_t alignment, size_t size)
{
    if (alignment <= UNIT)
        return take (size);
    char *whole = alignment < PTRDIFF_MAX / 4 ? take (size + alignment) : NULL;
    if (!whole)
        return out_of_memory ();
    char *memory = whole + alignment - (uintptr_t) whole % alignment;
    *head_of (memory) = (head_t) { 0, size };
    return memory;
}

/* -- what the C library has -------------------------------------------------------------------------------------- */

void *malloc (size_t size)
{
    return take (size);
}

void free (void *memory)
{
    if (!memory || head_of (memory)->class == 0)
        return;
    piece_t *piece = memory, **list = &lists [head_of (memory)->class];
    piece->next = *list;
    *list = piece;
}

void *calloc (size_t count, size_t each)
{
    size_t size;
    void *memory = __builtin_mul_overflow (count, each, &size) ? out_of_memory () : take (size);
    return memory ? memset (memory, 0, size) : NULL;
}

void *realloc (void *former, size_t size)
{
    if (former && size <= head_of (former)->size)
        return former;
    void *memory = take (size);
    if (memory && former)
        memcpy (memory, former, head_of (former)->size);
    if (memory)
        free (former);
    return memory;
}

void *aligned_alloc (size_t alignment, size_t size)
{
    return take_aligned (alignment, size);
}

void *memalign (size_t alignment, size_t size)
{
    return take_aligned (alignment, size);
}

int posix_memalign (void **out, size_t alignment, size_t size)
{
    void *memory = take_aligned (alignment, size);
    if (!memory)
        return ENOMEM;
    *out = memory;
    return 0;
}

size_t malloc_usable_size (void *memory)
{
    return memory ? head_of (memory)->size : 0;
}
