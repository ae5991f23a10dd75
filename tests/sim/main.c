/* main.c - the simulator's command: seeds one after the other, on all cores, until the time is over, so many have been run, or for one
 * seed alone. docs/simulator.md tells what it does. */
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "sim.h"

enum { JOBS_MAX = 256 };

typedef struct {
    int64_t seconds, seeds;     /* 0: no such limit */
    uint64_t first;
    int jobs;
    bool is_one, is_traced, stops;
} options_t;

/* What a process has done; in memory that all share. */
typedef struct {
    uint64_t seed;              /* that it is at */
    int64_t seeds, steps, violations, kills, deaths;
    int64_t ends [BUILD_STATES];
} score_t;

static int64_t now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* -- a seed ----------------------------------------------------------------------------------------------------------- */

static void tell (const world_t *self)
{
    printf ("# seed %llu, step %lld, %lld.%03lld s: %s: %s\n# replay: tests/sim/run --seed %llu --trace\n", (unsigned long long) self->seed,
            (long long) self->steps, (long long) self->now / 1000, (long long) self->now % 1000, self->broken_rule, self->broken,
            (unsigned long long) self->seed);
    fflush (stdout);
}

static void run_seed (score_t *score, uint64_t seed, bool is_traced)
{
    AUTO_FREE world_t *world = mem_alloc (sizeof *world);
    score->seed = seed;
    world_run (world, seed, is_traced);
    score->seeds++;
    score->steps += world->steps;
    score->kills += world->kills;
    score->deaths += world->deaths;
    score->violations += world->broken [0] != 0;
    for (int i = 0; i < BUILD_STATES; i++)
        score->ends [i] += world->ledger.tallies [i];
    if (world->broken [0])
        tell (world);
    world_free (world);
}

/* -- processes --------------------------------------------------------------------------------------------------------- */

static bool has_violation (const options_t *options, const score_t *scores)
{
    for (int i = 0; i < options->jobs; i++)
        if (scores [i].violations)
            return true;
    return false;
}

/* Each takes every so-manieth seed. */
static void work (const options_t *options, score_t *score, int index, int64_t until_ms)
{
    coordinator_prepare ();
    for (int64_t i = index; options->seeds == 0 || i < options->seeds; i += options->jobs) {
        if ((until_ms && now_ms () >= until_ms) || (options->stops && has_violation (options, score - index)))
            break;
        run_seed (score, options->first + (uint64_t) i, options->is_traced);
    }
}

static void start (const options_t *options, score_t *scores, pid_t *pids)
{
    int64_t until_ms = options->seconds ? now_ms () + options->seconds * 1000 : 0;
    fflush (stdout);
    for (int i = 0; i < options->jobs; i++) {
        pids [i] = fork ();
        if (pids [i] == 0) {
            work (options, &scores [i], i, until_ms);
            fflush (stdout);
            _exit (0);
        }
    }
}

/* One that ended otherwise was at a seed that ends it. */
static void finish (const options_t *options, score_t *scores, const pid_t *pids)
{
    for (int i = 0; i < options->jobs; i++) {
        int status;
        if (pids [i] < 0 || waitpid (pids [i], &status, 0) < 0 || (WIFEXITED (status) && WEXITSTATUS (status) == 0))
            continue;
        scores [i].violations++;
        printf ("# seed %llu: the program ends, by signal %d\n# replay: tests/sim/run --seed %llu --trace\n",
                (unsigned long long) scores [i].seed, WIFSIGNALED (status) ? WTERMSIG (status) : 0, (unsigned long long) scores [i].seed);
    }
}

static score_t sum_of (const score_t *scores, int count)
{
    score_t sum = { .seed = 0 };
    for (int i = 0; i < count; i++) {
        sum.seeds += scores [i].seeds;
        sum.steps += scores [i].steps;
        sum.violations += scores [i].violations;
        sum.kills += scores [i].kills;
        sum.deaths += scores [i].deaths;
        for (int j = 0; j < BUILD_STATES; j++)
            sum.ends [j] += scores [i].ends [j];
    }
    return sum;
}

static int run (const options_t *options)
{
    pid_t pids [JOBS_MAX];
    int64_t begun_ms = now_ms ();
    score_t *scores = mmap (NULL, sizeof *scores * JOBS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (scores == MAP_FAILED) {
        perror ("mmap");
        return 2;
    }
    start (options, scores, pids);
    finish (options, scores, pids);
    score_t sum = sum_of (scores, options->jobs);
    int64_t ms = now_ms () - begun_ms;
    printf ("# builds: %lld published, %lld failed, %lld cancelled; deaths: %lld of workers, %lld of the coordinator\n",
            (long long) sum.ends [BUILD_PUBLISHED], (long long) sum.ends [BUILD_FAILED], (long long) sum.ends [BUILD_CANCELLED],
            (long long) sum.deaths, (long long) sum.kills);
    printf ("seeds %lld, steps %lld, violations %lld, %lld steps/s\n", (long long) sum.seeds, (long long) sum.steps,
            (long long) sum.violations, (long long) (sum.steps * 1000 / (ms > 0 ? ms : 1)));
    return sum.violations > 0;
}

/* -- options ------------------------------------------------------------------------------------------------------------ */

static int usage (FILE *to)
{
    fputs ("usage: tests/sim/run [--seconds N | --seeds N | --seed S [--trace]] [--from S] [--jobs N] [--stop]\n"
           "  --seconds N   as many seeds as there is time for; 30 when nothing is said\n"
           "  --seeds N     so many seeds\n"
           "  --seed S      this one alone\n"
           "  --trace       print what the coordinator hears and does\n"
           "  --stop        end with the first violation\n"
           "  --from S      the first seed; 1 when nothing is said\n"
           "  --jobs N      so many processes; as many as there are CPUs when nothing is said\n", to);
    return to == stdout ? 0 : 2;
}

static int64_t number (const char *text)
{
    char *end;
    long long value = strtoll (text, &end, 10);
    return *text && !*end && value > 0 ? value : -1;
}

/* 0 to go on, else the exit status + 1. */
static int parse (int argc, char **argv, options_t *out)
{
    static const struct option options [] = {
        { "seconds", 1, NULL, 's' }, { "seeds", 1, NULL, 'n' }, { "seed", 1, NULL, '1' }, { "trace", 0, NULL, 't' },
        { "from", 1, NULL, 'f' }, { "jobs", 1, NULL, 'j' }, { "stop", 0, NULL, 'e' }, { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 },
    };
    int option;
    while ((option = getopt_long (argc, argv, "", options, NULL)) != -1) {
        int64_t value = optarg ? number (optarg) : 1;
        if (option == 'h')
            return usage (stdout) + 1;
        if (option == '?' || value < 0 || (option == 'j' && value > JOBS_MAX))
            return usage (stderr) + 1;
        if (option == 's')
            out->seconds = value;
        else if (option == 'n')
            out->seeds = value;
        else if (option == 'j')
            out->jobs = (int) value;
        else if (option == 't')
            out->is_traced = true;
        else if (option == 'e')
            out->stops = true;
        else {
            out->first = (uint64_t) value;
            out->is_one |= option == '1';
        }
    }
    return optind < argc ? usage (stderr) + 1 : 0;
}

int main (int argc, char **argv)
{
    options_t options = { .first = 1, .jobs = (int) sysconf (_SC_NPROCESSORS_ONLN) };
    int rc = parse (argc, argv, &options);
    if (rc)
        return rc - 1;
    if (sodium_init () < 0)
        return 2;
    if (options.is_one)
        options.jobs = 1, options.seeds = 1, options.seconds = 0;
    if (options.jobs < 1 || options.jobs > JOBS_MAX)
        options.jobs = 1;
    if (options.seconds == 0 && options.seeds == 0)
        options.seconds = 30;
    return run (&options);
}
