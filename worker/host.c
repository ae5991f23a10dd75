/* host.c - finds out what this machine is, and tries which platforms it executes.
 *
 * A probe is the smallest static ELF program that exits with 0: header, one segment, a few instructions. Its header is
 * also what tells which binfmt_misc entry would claim such a program: the kernel's own comparison of magic and mask. */
#include "worker/host.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

#define BINFMT_FOLDER "/proc/sys/fs/binfmt_misc"
enum { MAGIC_MAX = 128, CODE_MAX = 16, PROBE_MAX = 160, PROBE_SECONDS = 5, LOAD_ADDRESS = 0x400000 };

/* What is known of a platform's programs. code_size 0: no probe, the binfmt_misc entry is believed. */
typedef struct {
    const char *platform;
    const char *native_on;          /* the 64-bit platform whose CPU may run it too; NULL none */
    uint8_t elf_class, is_big_endian;
    uint8_t machine;                /* e_machine; all of ours are below 256 */
    uint32_t flags;
    uint8_t code [CODE_MAX];
    size_t code_size;
} kind_t;

static const kind_t kinds [] = {
    /* xor edi, edi; mov eax, 60; syscall */
    { "linux/amd64", NULL, 2, 0, 62, 0, { 0x31, 0xff, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05 }, 9 },
    /* mov x0, #0; mov x8, #93; svc #0 */
    { "linux/arm64", NULL, 2, 0, 183, 0, { 0, 0, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0, 0, 0xd4 }, 12 },
    /* xor ebx, ebx; xor eax, eax; inc eax; int 0x80 */
    { "linux/386", "linux/amd64", 1, 0, 3, 0, { 0x31, 0xdb, 0x31, 0xc0, 0x40, 0xcd, 0x80 }, 7 },
    /* movw r0, #0; movw r7, #1; svc #0: movw came with v7 */
    { "linux/arm/v7", "linux/arm64", 1, 0, 40, 0x05000000, { 0, 0, 0, 0xe3, 0x01, 0x70, 0, 0xe3, 0, 0, 0, 0xef }, 12 },
    { "linux/riscv64", NULL, 2, 0, 243, 0, { 0 }, 0 },
    { "linux/ppc64le", NULL, 2, 0, 21, 2, { 0 }, 0 },
    { "linux/s390x", NULL, 2, 1, 22, 0, { 0 }, 0 },
};

typedef struct {
    char name [256];
    bool is_enabled, is_fixed;      /* fixed: flag F */
    size_t offset, size, mask_size;
    uint8_t magic [MAGIC_MAX], mask [MAGIC_MAX];
} entry_t;

/* Put a little- or big-endian number of `size` bytes at *at and move on. */
static void put (uint8_t **at, uint64_t value, size_t size, bool is_big_endian)
{
    for (size_t i = 0; i < size; i++)
        (*at) [is_big_endian ? size - 1 - i : i] = (uint8_t) (value >> (8 * i));
    *at += size;
}

/* Write the program for a kind into out; returns its size. Words are 8 bytes in ELF64, 4 in ELF32. */
static size_t make_probe (const kind_t *kind, uint8_t out [PROBE_MAX])
{
    bool big = kind->is_big_endian, is_64 = kind->elf_class == 2;
    size_t word = is_64 ? 8 : 4, header = is_64 ? 64 : 52, segment = is_64 ? 56 : 32;
    size_t size = header + segment + kind->code_size;
    uint8_t *at = out;
    memset (out, 0, PROBE_MAX);
    const uint8_t ident [16] = { 0x7f, 'E', 'L', 'F', kind->elf_class, big ? 2 : 1, 1 };
    memcpy (at, ident, sizeof ident);
    at += sizeof ident;
    put (&at, 2, 2, big);                                   /* executable */
    put (&at, kind->machine, 2, big);
    put (&at, 1, 4, big);
    put (&at, LOAD_ADDRESS + header + segment, word, big);  /* entry */
    put (&at, header, word, big);                           /* program headers */
    put (&at, 0, word, big);
    put (&at, kind->flags, 4, big);
    put (&at, header, 2, big);
    put (&at, segment, 2, big);
    put (&at, 1, 2, big);
    at = out + header;
    put (&at, 1, 4, big);                                   /* PT_LOAD */
    if (is_64)
        put (&at, 5, 4, big);                               /* read, execute */
    put (&at, 0, word, big);
    put (&at, LOAD_ADDRESS, word, big);
    put (&at, LOAD_ADDRESS, word, big);
    put (&at, size, word, big);
    put (&at, size, word, big);
    if (!is_64)
        put (&at, 5, 4, big);
    put (&at, 0x10000, word, big);
    memcpy (out + header + segment, kind->code, kind->code_size);
    return size;
}

static size_t read_hex (const char *text, uint8_t out [MAGIC_MAX])
{
    size_t size = 0;
    unsigned byte;
    while (size < MAGIC_MAX && sscanf (text + 2 * size, "%2x", &byte) == 1)
        out [size++] = (uint8_t) byte;
    return size;
}

/* One entry as the kernel shows it; -1 for one that goes by the file's extension, or cannot be read. */
static int read_entry (const char *name, entry_t *entry)
{
    AUTO_FREE char *path = file_join (BINFMT_FOLDER, name);
    AUTO_FCLOSE FILE *file = fopen (path, "re");
    if (!file)
        return -1;
    memset (entry, 0, sizeof *entry);
    snprintf (entry->name, sizeof entry->name, "%s", name);
    char line [2 * MAGIC_MAX + 64];
    while (fgets (line, sizeof line, file)) {
        if (strncmp (line, "enabled", 7) == 0)
            entry->is_enabled = true;
        else if (strncmp (line, "flags:", 6) == 0)
            entry->is_fixed = strchr (line + 6, 'F') != NULL;
        else if (strncmp (line, "offset ", 7) == 0)
            entry->offset = strtoul (line + 7, NULL, 10);
        else if (strncmp (line, "magic ", 6) == 0)
            entry->size = read_hex (line + 6, entry->magic);
        else if (strncmp (line, "mask ", 5) == 0)
            entry->mask_size = read_hex (line + 5, entry->mask);
    }
    return entry->size > 0 ? 0 : -1;
}

static bool claims (const entry_t *entry, const uint8_t program [PROBE_MAX])
{
    if (!entry->is_enabled || entry->offset > PROBE_MAX || entry->size > PROBE_MAX - entry->offset)
        return false;
    for (size_t i = 0; i < entry->size; i++) {
        uint8_t mask = i < entry->mask_size ? entry->mask [i] : 0xff;
        if ((program [entry->offset + i] ^ entry->magic [i]) & mask)
            return false;
    }
    return true;
}

/* The entry of binfmt_misc that takes the program; false when none does, and the CPU gets it. */
static bool find_claim (const uint8_t program [PROBE_MAX], entry_t *out)
{
    DIR *folder = opendir (BINFMT_FOLDER);
    if (!folder)
        return false;
    bool is_found = false;
    for (struct dirent *item; !is_found && (item = readdir (folder));) {
        if (item->d_name [0] == '.' || strcmp (item->d_name, "register") == 0 || strcmp (item->d_name, "status") == 0)
            continue;
        is_found = read_entry (item->d_name, out) == 0 && claims (out, program);
    }
    closedir (folder);
    return is_found;
}

/* Does the program run and exit with 0? One that hangs is ended by its alarm, which execve keeps. */
static bool runs (const char *path)
{
    pid_t child = fork ();
    if (child == 0) {
        char *argv [] = { (char *) path, NULL }, *environment [] = { NULL };
        alarm (PROBE_SECONDS);
        execve (path, argv, environment);
        _exit (127);
    }
    int status = -1;
    while (child > 0 && waitpid (child, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return child > 0 && WIFEXITED (status) && WEXITSTATUS (status) == 0;
}

static int try_probe (const char *folder, const uint8_t *program, size_t size, bool *does_run, err_t *err)
{
    AUTO_FREE char *probe = file_join (folder, "probe"), *path = file_temporary (probe);
    AUTO_CLOSE int fd = mkostemp (path, O_CLOEXEC);
    if (fd < 0)
        return err_sys (err, errno, "write a probe program into %s", folder);
    int rc = file_write_all (fd, program, size, err);
    if (rc == 0 && fchmod (fd, 0700) != 0)
        rc = err_sys (err, errno, "make %s executable", path);
    close (take_fd (&fd));          /* a file open for writing cannot be executed */
    if (rc == 0)
        *does_run = runs (path);
    unlink (path);
    return rc;
}

static void add (host_t *self, const platform_t *platform, bool is_emulated)
{
    if (self->platform_count < HOST_PLATFORMS_MAX)
        self->platforms [self->platform_count++] = (host_platform_t) { *platform, is_emulated };
}

/* Add the kind when this machine runs it in the way asked for: by its CPU or by an interpreter. */
static int consider (host_t *self, const kind_t *kind, bool is_emulated, const char *folder, err_t *err)
{
    platform_t platform;
    uint8_t program [PROBE_MAX];
    entry_t entry;
    if (platform_parse (&platform, kind->platform, err) < 0)
        return -1;
    if (host_find (self, &platform))
        return 0;
    size_t size = make_probe (kind, program);
    bool is_claimed = find_claim (program, &entry);
    if (is_claimed != is_emulated)
        return 0;
    if (is_emulated && (strncmp (entry.name, "qemu-", 5) != 0 || !entry.is_fixed))
        return 0;
    bool does_run = kind->code_size == 0;
    if (!does_run && try_probe (folder, program, size, &does_run, err) < 0)
        return -1;
    if (does_run)
        add (self, &platform, is_emulated);
    return 0;
}

static int read_platforms (host_t *self, const char *folder, err_t *err)
{
    platform_t own;
    char own_name [PLATFORM_MAX];
    if (platform_host (&own, err) < 0)
        return -1;
    add (self, &own, false);
    platform_format (&own, own_name);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds [i].native_on && strcmp (kinds [i].native_on, own_name) == 0
            && consider (self, &kinds [i], false, folder, err) < 0)
            return -1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (consider (self, &kinds [i], true, folder, err) < 0)
            return -1;
    return 0;
}

void host_read_name (char name [HOST_NAME_MAX_SIZE])
{
    char host [256] = "";
    size_t size = 0;
    memset (name, 0, HOST_NAME_MAX_SIZE);
    if (gethostname (host, sizeof host - 1) != 0)
        host [0] = 0;
    for (const char *at = host; *at && *at != '.' && size < HOST_NAME_MAX_SIZE - 1; at++) {
        unsigned char c = (unsigned char) tolower ((unsigned char) *at);
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (is_plain || (size > 0 && (c == '-' || c == '_')))
            name [size++] = (char) c;
    }
    if (size == 0)
        strcpy (name, "worker");
}

int host_read (host_t *self, const char *state_folder, err_t *err)
{
    memset (self, 0, sizeof *self);
    cpu_set_t cpus;
    long online = sysconf (_SC_NPROCESSORS_ONLN);
    self->cpus = sched_getaffinity (0, sizeof cpus, &cpus) == 0 ? CPU_COUNT (&cpus) : online > 0 ? (int) online : 1;
    int64_t pages = sysconf (_SC_PHYS_PAGES), page_bytes = sysconf (_SC_PAGESIZE);
    self->memory_bytes = pages > 0 && page_bytes > 0 ? pages * page_bytes : 0;
    host_read_name (self->name);
    if (read_platforms (self, state_folder, err) < 0)
        return err_wrap (err, "look for platforms that this machine runs");
    return 0;
}

const host_platform_t *host_find (const host_t *self, const platform_t *platform)
{
    for (int i = 0; i < self->platform_count; i++)
        if (platform_equal (&self->platforms [i].platform, platform))
            return &self->platforms [i];
    return NULL;
}
