/* replay.c - gives the fuzz targets what is in their corpora, without a fuzzer: for `make check`, and for a debugger.
 *
 *     replay                       every target, each in a process of its own; TAP
 *     replay NAME FILE…            one target, these inputs */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "fuzz.h"

enum { INPUT_MAX = 16 * 1024 * 1024, TARGET_SECONDS = 120 };

#define TARGET(name) int fuzz_ ## name (const uint8_t *data, size_t size);
#include "targets.h"
#undef TARGET

typedef struct {
    const char *name;
    int (*run) (const uint8_t *data, size_t size);
} target_t;

#define TARGET(name) { #name, fuzz_ ## name },
static const target_t targets [] = {
#include "targets.h"
};
#undef TARGET
enum { TARGETS = sizeof targets / sizeof *targets };

/* What the process of a target leaves behind when it dies. */
typedef struct {
    int inputs;
    char file [NAME_MAX + 1];
} progress_t;

static const target_t *find (const char *name)
{
    for (int i = 0; i < TARGETS; i++)
        if (strcmp (targets [i].name, name) == 0)
            return &targets [i];
    return NULL;
}

/* From memory of exactly its size, so that a step too far is seen. */
static void run_file (const target_t *target, const char *path)
{
    err_t err;
    AUTO_BUFFER buffer_t bytes = { 0 };
    if (file_read (path, INPUT_MAX, &bytes, &err) < 0) {
        fprintf (stderr, "%s\n", err.text);
        exit (1);
    }
    AUTO_FREE uint8_t *input = malloc (bytes.size ? bytes.size : 1);
    if (bytes.size)
        memcpy (input, bytes.data, bytes.size);
    target->run (input, bytes.size);
}

static int is_visible (const struct dirent *entry)
{
    return entry->d_name [0] != '.';
}

static void run_corpus (const target_t *target, const char *folder, progress_t *progress)
{
    struct dirent **files;
    int count = scandir (folder, &files, is_visible, alphasort);
    target->run ((const uint8_t *) "", 0);
    for (int i = 0; i < count; i++) {
        AUTO_FREE char *path = file_join (folder, files [i]->d_name);
        snprintf (progress->file, sizeof progress->file, "%s", files [i]->d_name);
        run_file (target, path);
        progress->inputs++;
        free (files [i]);
    }
    if (count >= 0)
        free (files);
    progress->file [0] = 0;
}

static bool is_good (const target_t *target, int number, int status, const progress_t *progress)
{
    bool is_good = WIFEXITED (status) && WEXITSTATUS (status) == 0 && progress->inputs > 0;
    printf ("%sok %d - %s: %d inputs\n", is_good ? "" : "not ", number, target->name, progress->inputs);
    if (!is_good && WIFSIGNALED (status))
        printf ("# ended by signal %d at the input \"%s\"\n", WTERMSIG (status), progress->file);
    else if (!is_good)
        printf ("# %s; exit status %d\n", progress->inputs ? "see what it says above" : "it has no corpus", WEXITSTATUS (status));
    return is_good;
}

static bool run_target (const target_t *target, int number, const char *corpus)
{
    AUTO_FREE char *folder = file_join (corpus, target->name);
    progress_t *progress = mmap (NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status = 0;
    fflush (stdout);
    pid_t child = fork ();
    if (progress == MAP_FAILED || child < 0)
        abort ();
    if (child == 0) {
        alarm (TARGET_SECONDS);
        run_corpus (target, folder, progress);
        exit (0);
    }
    while (waitpid (child, &status, 0) < 0 && errno == EINTR)
        ;
    bool was_good = is_good (target, number, status, progress);
    munmap (progress, sizeof *progress);
    return was_good;
}

static int run_all (void)
{
    const char *top = getenv ("top_srcdir");
    AUTO_FREE char *corpus = file_join (top ? top : SOURCE_DIR, "tests/fuzz/corpus");
    int failed = 0;
    printf ("1..%d\n", TARGETS);
    for (int i = 0; i < TARGETS; i++)
        failed += !run_target (&targets [i], i + 1, corpus);
    return failed > 0;
}

int main (int argc, char **argv)
{
    const target_t *target = argc > 1 ? find (argv [1]) : NULL;
    if (argc == 1)
        return run_all ();
    if (!target) {
        fprintf (stderr, "replay: there is no target \"%s\"; tests/fuzz/targets.h lists them\n", argv [1]);
        return 2;
    }
    for (int i = 2; i < argc; i++)
        run_file (target, argv [i]);
    return 0;
}
