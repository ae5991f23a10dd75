/* program.c - see program.h. Machines are numbered by https://www.sco.com/developers/gabi/latest/ch4.eheader.html */
#include "coordinator/program.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>

#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif

/* One row for each form that a platform's kernel runs: that of 386 belongs to amd64 as well. All architectures that common/platform.c knows
 * have one, but wasm, whose modules are no ELF. */
static const struct {
    const char *architecture, *also;
    int machine, class, order;          /* class 0: both */
} forms [] = {
    { "amd64", NULL, EM_X86_64, 0, ELFDATA2LSB },
    { "386", "amd64", EM_386, ELFCLASS32, ELFDATA2LSB },
    { "arm64", NULL, EM_AARCH64, ELFCLASS64, ELFDATA2LSB },
    { "arm", NULL, EM_ARM, ELFCLASS32, ELFDATA2LSB },
    { "riscv64", NULL, EM_RISCV, ELFCLASS64, ELFDATA2LSB },
    { "ppc64le", NULL, EM_PPC64, ELFCLASS64, ELFDATA2LSB },
    { "ppc64", NULL, EM_PPC64, ELFCLASS64, ELFDATA2MSB },
    { "s390x", NULL, EM_S390, ELFCLASS64, ELFDATA2MSB },
    { "loong64", NULL, EM_LOONGARCH, ELFCLASS64, ELFDATA2LSB },
    { "mips64le", NULL, EM_MIPS, ELFCLASS64, ELFDATA2LSB },
    { "mips64", NULL, EM_MIPS, ELFCLASS64, ELFDATA2MSB },
    { "mipsle", NULL, EM_MIPS, ELFCLASS32, ELFDATA2LSB },
    { "mips", NULL, EM_MIPS, ELFCLASS32, ELFDATA2MSB },
};

static int half (const uint8_t *at, int order)
{
    return order == ELFDATA2MSB ? at [0] << 8 | at [1] : at [1] << 8 | at [0];
}

bool program_is_foreign (const void *head, size_t size, const platform_t *platform, const char **architecture)
{
    const uint8_t *bytes = head;
    *architecture = NULL;
    if (size < PROGRAM_HEAD_BYTES || memcmp (bytes, ELFMAG, SELFMAG) != 0)
        return false;
    int class = bytes [EI_CLASS], order = bytes [EI_DATA], type = half (bytes + 16, order), machine = half (bytes + 18, order);
    if (type != ET_EXEC && type != ET_DYN)
        return false;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (forms [i].machine != machine || forms [i].order != order || (forms [i].class && forms [i].class != class))
            continue;
        *architecture = forms [i].architecture;
        return strcmp (platform->architecture, forms [i].architecture) != 0
               && !(forms [i].also && strcmp (platform->architecture, forms [i].also) == 0);
    }
    return false;
}
