/* attempt_agents.c - the ssh agents that the build's RUN steps may ask: a socket for each, whose requests go to the coordinator, and from
 * there to the laptop. */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "worker/attempt.h"

static int ask (void *argument, const char *agent, const uint8_t *request, size_t size, buffer_t *answer, err_t *err)
{
    attempt_t *self = argument;
    json_t *question = json_pack ("{s:I, s:i, s:s}", "job", (json_int_t) self->job, "attempt", self->number, "agent", agent);
    pthread_mutex_lock (&self->agents_lock);            /* of two agents one is asked at a time */
    AUTO (msg) msg_t *found = aside_ask_with (self->agents_aside, "ask-agent", question, request, size, "agent-answer", err);
    pthread_mutex_unlock (&self->agents_lock);
    if (!found)
        return -1;
    size_t length;
    const uint8_t *data = msg_body (found, &length);
    buffer_append (answer, data, length);
    return 0;
}

static int open_one (attempt_t *self, const char *agent, err_t *err)
{
    size_t at = self->agent_count;
    self->agent_paths [at] = mem_printf ("%s/agent-%zu", self->vault, at);
    self->agents [at] = agent_line_new (self->agent_paths [at], agent, ask, self, err);
    if (!self->agents [at])
        auto_free (&self->agent_paths [at]);
    else
        self->task.agents [self->agent_count++] = (builder_agent_t) { agent, self->agent_paths [at] };
    return self->agents [at] ? 0 : -1;
}

int attempt_open_agents (attempt_t *self, err_t *err)
{
    const json_t *ids = json_object_get (self->task.spec, "ssh");
    size_t i;
    json_t *id;
    if (json_array_size (ids) == 0)
        return 0;
    pthread_mutex_init (&self->agents_lock, NULL);
    self->agents_aside = attempt_aside (self, &self->asks_no_agent);
    if (attempt_make_vault (self, err) < 0)
        return err_wrap (err, "the build's ssh agents");
    json_array_foreach ((json_t *) ids, i, id)
        if (i < AGENTS_MAX && open_one (self, json_string_value (id), err) < 0)
            return err_wrap (err, "the build's ssh agents");
    self->task.agent_count = self->agent_count;
    return 0;
}

/* Once no builder asks any more. */
void attempt_close_agents (attempt_t *self)
{
    atomic_store (&self->asks_no_agent, 1);
    for (size_t i = 0; i < self->agent_count; i++) {
        err_t err;
        agent_line_take_error (self->agents [i], &err);
        if (err.code != ERR_NONE)
            joblog_say (self->log, "the ssh agent %s was asked, and failed: %s", self->task.agents [i].id, err.text);
        agent_line_destroy (&self->agents [i]);
        auto_free (&self->agent_paths [i]);
    }
    self->task.agent_count = self->agent_count = 0;
    if (self->agents_aside)
        pthread_mutex_destroy (&self->agents_lock);
    aside_destroy (&self->agents_aside);
}
