/* hostile.c - runs the tables of this folder against a coordinator (flow/refused.sh):
 *
 *     hostile CONTROL OBJECTS SERVER-KEY REGISTRY CANARY USER-KEY VIEWER-KEY WORKER-KEY MESSAGES IMAGES [NAME=VALUE …]
 *
 * Prints what was not as it should be, and how many rows there were. */
#include "hostile.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 11 };

static void read_names (scene_t *self, int count, char **words)
{
    self->names = mem_alloc ((size_t) (count + 1) * sizeof *self->names);
    self->values = mem_alloc ((size_t) (count + 1) * sizeof *self->values);
    for (int i = 0; i < count; i++) {
        char *value = words [i];
        self->names [i] = strsep (&value, "=");
        self->values [i] = value ? value : "";
        self->name_count++;
    }
}

int main (int argc, char **argv)
{
    scene_t scene = { .name_count = 0 };
    peer_t user, viewer, worker;
    table_t messages, images;
    err_t err;
    if (argc < WORDS || sodium_init () < 0)
        give_up ("see the head of hostile.c");
    scene.control = argv [1];
    scene.objects = argv [2];
    scene.registry = argv [4];
    scene.canary = argv [5];
    if (key_from_hex (scene.server_key, argv [3], &err) < 0)
        give_up ("%s", err.text);
    read_names (&scene, argc - WORDS, argv + WORDS);
    peer_init (&user, &scene, "user", argv [6]);
    peer_init (&viewer, &scene, "viewer", argv [7]);
    peer_init (&worker, &scene, "worker", argv [8]);
    table_read (&messages, argv [9], 6);
    table_read (&images, argv [10], 7);
    int wrong = messages_run (&messages, &user, &viewer, &worker) + images_run (&images, &user, &worker);
    printf ("%zu messages, %zu images, %d were not answered as they should be\n", messages.count, images.count, wrong);
    peer_free (&user);
    peer_free (&viewer);
    peer_free (&worker);
    table_free (&messages);
    table_free (&images);
    free (scene.names);
    free (scene.values);
    return wrong ? 1 : 0;
}
