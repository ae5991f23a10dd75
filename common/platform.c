/* platform.c - names of platforms. The rules are containerd's (platforms/database.go: normalizeOS, normalizeArch). */
#include "common/platform.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* What others call an architecture, and what it is. variant NULL: the one given stays. */
static const struct {
    const char *alias, *architecture, *variant;
} aliases [] = {
    { "x86_64", "amd64", NULL },  { "x86-64", "amd64", NULL }, { "aarch64", "arm64", NULL },
    { "i386", "386", "" },        { "armhf", "arm", "v7" },    { "armel", "arm", "v6" },
};

/* uname's machine names: the kernel's words, not containerd's. */
static const struct {
    const char *machine, *architecture, *variant;
} machines [] = {
    { "x86_64", "amd64", "" }, { "aarch64", "arm64", "" },  { "armv8l", "arm", "v7" },    { "armv7l", "arm", "v7" },
    { "armv6l", "arm", "v6" }, { "i686", "386", "" },       { "i586", "386", "" },        { "riscv64", "riscv64", "" },
    { "ppc64le", "ppc64le", "" }, { "s390x", "s390x", "" }, { "loongarch64", "loong64", "" },
};

static const char *const known_oses [] = { "linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "wasip1" };

/* Looked at only where a word stands alone; beside a system any architecture may stand, as new ones come. */
static const char *const known_architectures [] = {
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mipsle", "mips64", "mips64le", "ppc64", "ppc64le", "riscv64", "s390x",
    "wasm",
};

/* Lower-case copy; -1 when it does not fit, does not begin with a letter or a digit, or has other characters than
 * [a-z0-9._-]. */
static int copy_part (char out [PLATFORM_PART_MAX], const char *text, size_t size)
{
    if (size >= PLATFORM_PART_MAX || (size > 0 && !isalnum ((unsigned char) text [0])))
        return -1;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char) text [i];
        if (!isalnum (c) && c != '.' && c != '_' && c != '-')
            return -1;
        out [i] = (char) tolower (c);
    }
    out [size] = 0;
    return 0;
}

static void normalise (platform_t *self)
{
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcmp (self->architecture, aliases [i].alias) == 0) {
            strcpy (self->architecture, aliases [i].architecture);
            if (aliases [i].variant)
                strcpy (self->variant, aliases [i].variant);
            break;
        }
    if (strcmp (self->os, "macos") == 0)
        strcpy (self->os, "darwin");
    if (isdigit ((unsigned char) self->variant [0]) && strlen (self->variant) + 1 < PLATFORM_PART_MAX) {
        memmove (self->variant + 1, self->variant, strlen (self->variant) + 1);
        self->variant [0] = 'v';
    }
    if (strcmp (self->architecture, "arm64") == 0 && strcmp (self->variant, "v8") == 0)
        self->variant [0] = 0;
    if (strcmp (self->architecture, "amd64") == 0 && strcmp (self->variant, "v1") == 0)
        self->variant [0] = 0;
    if (strcmp (self->architecture, "arm") == 0 && self->variant [0] == 0)
        strcpy (self->variant, "v7");
}

static int is_os (const char *text)
{
    for (size_t i = 0; i < sizeof known_oses / sizeof *known_oses; i++)
        if (strcmp (text, known_oses [i]) == 0)
            return 1;
    return strcmp (text, "macos") == 0;
}

static int is_architecture (const char *text)
{
    for (size_t i = 0; i < sizeof known_architectures / sizeof *known_architectures; i++)
        if (strcmp (text, known_architectures [i]) == 0)
            return 1;
    return 0;
}

static int refuse (const char *text, err_t *err)
{
    return err_set (err, ERR_USAGE, "\"%.100s\" is no platform: write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, as in "
                    "linux/arm64 or linux/arm/v7", text);
}

int platform_parse (platform_t *self, const char *text, err_t *err)
{
    char parts [3] [PLATFORM_PART_MAX] = { "", "", "" };
    int count = 0;
    const char *at = text;
    for (;;) {
        size_t size = strcspn (at, "/");
        if (count == 3 || size == 0 || copy_part (parts [count++], at, size) < 0)
            return refuse (text, err);
        if (at [size] == 0)
            break;
        at += size + 1;
    }
    memset (self, 0, sizeof *self);
    strcpy (self->os, count == 1 ? "linux" : parts [0]);
    strcpy (self->architecture, count == 1 ? parts [0] : parts [1]);
    strcpy (self->variant, parts [2]);
    if (!is_os (self->os))
        return refuse (text, err);
    normalise (self);
    return count == 1 && !is_architecture (self->architecture) ? refuse (text, err) : 0;
}

int platform_from_parts (platform_t *self, const char *os, const char *architecture, const char *variant, err_t *err)
{
    memset (self, 0, sizeof *self);
    if (!os || !*os || !architecture || !*architecture)
        return err_set (err, ERR_VERIFY, "an image without os or architecture");
    if (copy_part (self->os, os, strlen (os)) < 0 || copy_part (self->architecture, architecture, strlen (architecture)) < 0
        || (variant && copy_part (self->variant, variant, strlen (variant)) < 0))
        return err_set (err, ERR_VERIFY, "an image for \"%.32s/%.32s/%.32s\", which is no platform", os, architecture,
                        variant ? variant : "");
    normalise (self);
    return 0;
}

void platform_format (const platform_t *self, char text [PLATFORM_MAX])
{
    snprintf (text, PLATFORM_MAX, "%s/%s%s%s", self->os, self->architecture, self->variant [0] ? "/" : "", self->variant);
}

int platform_equal (const platform_t *a, const platform_t *b)
{
    return strcmp (a->os, b->os) == 0 && strcmp (a->architecture, b->architecture) == 0
           && strcmp (a->variant, b->variant) == 0;
}

int platform_host (platform_t *self, err_t *err)
{
    struct utsname host;
    if (uname (&host) != 0)
        return err_sys (err, errno, "ask the kernel for its machine name");
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
        if (strcmp (host.machine, machines [i].machine) == 0)
            return platform_from_parts (self, "linux", machines [i].architecture, machines [i].variant, err);
    return platform_from_parts (self, "linux", host.machine, "", err);
}
