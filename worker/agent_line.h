/* agent_line.h - a socket on the worker that speaks as an ssh agent to one build's RUN steps, and has somebody else answer. Only what agent.h lets
 * through gets there; all else, and what fails, is answered by the agent's own word for failure. */
#ifndef FARM_AGENT_LINE_H
#define FARM_AGENT_LINE_H

#include "common/err.h"
#include "common/mem.h"

typedef struct agent_line agent_line_t;

/* Called by its one thread, for a checked request; *answer (empty) is to be filled. -1: failure. */
typedef int (agent_ask_fn) (void *argument, const char *agent, const uint8_t *request, size_t size, buffer_t *answer, err_t *err);

/* Listens at path, which has to be short (sun_path). agent is borrowed. At most 16 connections at a time: then the one that was not used for longest goes. */
agent_line_t *agent_line_new (const char *path, const char *agent, agent_ask_fn *ask, void *argument, err_t *err);
/* Waits for a question under way. */
void agent_line_destroy (agent_line_t **self);

/* What went wrong last, once; code ERR_NONE: nothing. */
void agent_line_take_error (agent_line_t *self, err_t *out);

#endif
