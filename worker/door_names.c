/* door_names.c - see door_names.h. */
#include "worker/door_names.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

bool door_can_mask (const char *host)
{
    return strspn (host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:") == strlen (host);
}

void door_mask (const char *host, char out [REFERENCE_HOST_MAX + 2])
{
    size_t used = 0;
    for (; *host && used < REFERENCE_HOST_MAX; host++)
        if (*host == ':') {
            out [used++] = '_';
            out [used++] = '_';
        }
        else
            out [used++] = (char) tolower ((unsigned char) *host);
    out [used] = 0;
}

char *door_name (int port, const reference_t *repository)
{
    char masked [REFERENCE_HOST_MAX + 2];
    door_mask (repository->host, masked);
    return mem_printf ("127.0.0.1:%d/%s/%s", port, masked, repository->path);
}

void door_unmask (char *text, int port)
{
    char door [32];
    int size = snprintf (door, sizeof door, "127.0.0.1:%d/", port);
    for (char *at = text; (at = strstr (at, door));) {
        memmove (at, at + size, strlen (at + size) + 1);
        size_t host = strcspn (at, "/ \"");
        char *mark = strstr (at, "__");
        if (mark && mark < at + host) {
            *mark = ':';
            memmove (mark + 1, mark + 2, strlen (mark + 2) + 1);
        }
    }
}

char *door_auth_text (int port, const char *password)
{
    char plain [64], encoded [sodium_base64_ENCODED_LEN (64, sodium_base64_VARIANT_ORIGINAL)];
    int size = snprintf (plain, sizeof plain, "attempt:%s", password);
    sodium_bin2base64 (encoded, sizeof encoded, (const unsigned char *) plain, (size_t) size, sodium_base64_VARIANT_ORIGINAL);
    return mem_printf ("{\"auths\": {\"127.0.0.1:%d\": {\"auth\": \"%s\"}}}\n", port, encoded);
}
