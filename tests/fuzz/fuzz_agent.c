/* fuzz_agent.c - what passes between a RUN step and an ssh agent: two bytes for the size of the request, the request, the answer.
 *
 * covers: common/agent.c */
#include <stdlib.h>
#include <string.h>

#include "common/agent.h"
#include "common/mem.h"
#include "fuzz.h"

/* A copy of its size, so that a step too far is seen. */
static uint8_t *copy_of (const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc (size ? size : 1);
    MUST (copy);
    if (size)
        memcpy (copy, data, size);
    return copy;
}

/* One that is taken is whole, and has nothing behind it. */
static void check_request (const uint8_t *request, size_t size)
{
    AUTO_FREE uint8_t *longer = mem_alloc (size + 1), *shorter = copy_of (request, size - 1);
    memcpy (longer, request, size);
    MUST (request [0] == AGENT_LIST || request [0] == AGENT_SIGN);
    MUST (agent_check_request (longer, size + 1, NULL) < 0 && agent_check_request (shorter, size - 1, NULL) < 0);
}

static void check_answer (const uint8_t *request, const uint8_t *answer, size_t size)
{
    AUTO_FREE uint8_t *longer = mem_alloc (size + 1), *shorter = copy_of (answer, size - 1);
    memcpy (longer, answer, size);
    MUST (answer [0] == AGENT_FAILURE || answer [0] == (request [0] == AGENT_LIST ? AGENT_LIST_ANSWER : AGENT_SIGN_ANSWER));
    MUST (agent_check_answer (request, longer, size + 1, NULL) < 0 && agent_check_answer (request, shorter, size - 1, NULL) < 0);
}

FUZZ_TARGET (agent)
{
    if (size < 2)
        return;
    err_t err = { 0 };
    size_t wanted = (size_t) (data [0] << 8 | data [1]), left = size - 2, request_size = wanted < left ? wanted : left, answer_size = left - request_size;
    AUTO_FREE uint8_t *request = copy_of (data + 2, request_size), *answer = copy_of (data + 2 + request_size, answer_size);
    if (agent_check_request (request, request_size, &err) < 0) {
        MUST (err.code == ERR_DENIED);
        return;
    }
    check_request (request, request_size);
    if (agent_check_answer (request, answer, answer_size, &err) == 0)
        check_answer (request, answer, answer_size);
    else
        MUST (err.code == ERR_PROTOCOL);
}
