/* spawner_private.h - what passes between the worker, the spawner process and its keepers.
 *
 *     worker --- SOCK_SEQPACKET ---> spawner --- pipe ---> keeper (one per child) --- fork ---> builder, in its own session
 *
 * A keeper is the subreaper of its child: whatever the builder double-forks comes to the keeper, so that a child's
 * descendants are exactly the keeper's. It ends when none is left, with the child's status as its own. */
#ifndef FARM_SPAWNER_PRIVATE_H
#define FARM_SPAWNER_PRIVATE_H

#include <stdint.h>
#include <sys/types.h>

#include "worker/spawner.h"

enum { SPAWNER_MESSAGE_MAX = 192 * 1024, SPAWNER_STRINGS_MAX = 8192 };

typedef enum { SPAWNER_RUN = 1, SPAWNER_KILL, SPAWNER_STARTED, SPAWNER_ENDED } spawner_verb;

/* What could not be done for a child. */
typedef enum { SPAWNER_FAULT_PROGRAM = 0, SPAWNER_FAULT_FOLDER, SPAWNER_FAULT_RULES, SPAWNER_FAULT_USERS,
               SPAWNER_FAULT_PROCESSES, SPAWNER_FAULT_FILES } spawner_step;

/* First in each message. RUN: the strings of argv, of the environment, the folder, the cgroup, the room's places and its secret follow, each with its
 * NUL, and the write end of the output comes along as SCM_RIGHTS. value: STARTED: errno, 0 when it runs; ENDED: status. */
typedef struct {
    int32_t verb;
    int32_t value;
    int64_t child;
    int32_t argc, envc;
    int32_t step;                   /* STARTED: spawner_step */
    int32_t placec;                 /* strings of the room's places */
    spawner_rules_t rules;          /* RUN: all but its pointers */
} spawner_head_t;

/* The program to start. Pointers into a message. */
typedef struct {
    char **argv, **environment;
    char *folder;
    int output;
    int turn;                       /* among those that are held to some of the cpus */
    spawner_rules_t rules;
} spawner_program_t;

/* What a child that could not be started says. */
typedef struct {
    int32_t error;
    int32_t step;
} spawner_fault_t;

/* The spawner process: serves the socket until it closes, kills all, returns. */
void spawner_serve (int socket);

/* A keeper: starts the program, waits for it and for its descendants, exits with its status. A byte from `control`, or its
 * end of file, has all of them killed. `fault` gets a spawner_fault_t when the start failed. */
_Noreturn void spawner_keep (const spawner_program_t *program, int control, int fault);

/* In the child: take on what it may take. -1 with errno. */
int spawner_obey (const spawner_program_t *program);

/* The processes that its user may have. Within a room this counts for its root too, and is set when it is entered. */
int spawner_limit_processes (const spawner_rules_t *rules);

/* In the child: make the room of its rules and enter it. It returns in another process, the builder-to-be; the others wait for it and end with
 * its status. fault is the descriptor for a fault, which they close. -1 with errno, and what could not be done in *step. */
int spawner_enter_room (const spawner_program_t *program, int fault, spawner_step *step);

/* All that is in its cgroup at once, however fast it forks; nothing where it has none. */
void spawner_kill_group (const spawner_rules_t *rules);

/* Kill every descendant of this process, after all of them stand still; returns how many there were. */
int spawner_kill_descendants (const spawner_rules_t *rules);

#endif
