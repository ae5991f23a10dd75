/* agent.h - what passes between a RUN step and the ssh agent of whoever submitted its build (draft-miller-ssh-agent): the list of its keys and
 * signatures, nothing else. A message is a type's byte and its fields; on a socket its length of four bytes stands before it. */
#ifndef FARM_AGENT_H
#define FARM_AGENT_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum {
    AGENT_MESSAGE_MAX = 256 * 1024, AGENT_HEAD = 4, AGENTS_MAX = 4,
    AGENT_FAILURE = 5, AGENT_LIST = 11, AGENT_LIST_ANSWER = 12, AGENT_SIGN = 13, AGENT_SIGN_ANSWER = 14
};

/* "list the keys" or "sign this", whole and with nothing behind it. ERR_DENIED names what it is instead. */
int agent_check_request (const uint8_t *message, size_t size, err_t *err);

/* What may come back for it: the list, a signature, or a failure. ERR_PROTOCOL. */
int agent_check_answer (const uint8_t *request, const uint8_t *answer, size_t size, err_t *err);

/* A message with its length, to a socket, whole. -1 with errno. */
int agent_send (int socket, const uint8_t *message, size_t size);

uint32_t agent_read_size (const uint8_t head [AGENT_HEAD]);

#endif
