/* platform.h - names of platforms, normalised as containerd does (containerd platforms/database.go). */
#ifndef FARM_PLATFORM_H
#define FARM_PLATFORM_H

#include "common/err.h"

enum { PLATFORM_PART_MAX = 32, PLATFORM_MAX = 3 * PLATFORM_PART_MAX + 3 };

typedef struct {
    char os [PLATFORM_PART_MAX];
    char architecture [PLATFORM_PART_MAX];
    char variant [PLATFORM_PART_MAX];       /* "" for none */
} platform_t;

/* "linux/arm64/v8" -> linux, arm64, "". An architecture alone ("arm64") means linux. ERR_USAGE for anything else. */
int platform_parse (platform_t *self, const char *text, err_t *err);

/* Normalise parts as an image's config writes them; NULL is "". */
int platform_from_parts (platform_t *self, const char *os, const char *architecture, const char *variant, err_t *err);

/* "linux/arm64" or "linux/arm/v7" */
void platform_format (const platform_t *self, char text [PLATFORM_MAX]);

int platform_equal (const platform_t *a, const platform_t *b);

/* The platform of the CPU and kernel we run on, from uname. */
int platform_host (platform_t *self, err_t *err);

#endif
