/* agent.c - see agent.h. */
#include "common/agent.h"

#include <errno.h>
#include <sys/socket.h>

uint32_t agent_read_size (const uint8_t head [AGENT_HEAD])
{
    return (uint32_t) head [0] << 24 | (uint32_t) head [1] << 16 | (uint32_t) head [2] << 8 | head [3];
}

static void write_size (uint8_t head [AGENT_HEAD], uint32_t size)
{
    for (int i = 0; i < AGENT_HEAD; i++)
        head [i] = (uint8_t) (size >> (24 - 8 * i));
}

static int send_all (int socket, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send (socket, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        data += sent;
        size -= (size_t) sent;
    }
    return 0;
}

int agent_send (int socket, const uint8_t *message, size_t size)
{
    uint8_t head [AGENT_HEAD];
    write_size (head, (uint32_t) size);
    return send_all (socket, head, sizeof head) < 0 ? -1 : send_all (socket, message, size);
}

/* Skip a string at *at; -1 where it is not all there. */
static int skip_string (const uint8_t *message, size_t size, size_t *at)
{
    if (size - *at < AGENT_HEAD)
        return -1;
    size_t length = agent_read_size (message + *at);
    if (size - *at - AGENT_HEAD < length)
        return -1;
    *at += AGENT_HEAD + length;
    return 0;
}

/* Key, data, flags. */
static int is_sign_request (const uint8_t *message, size_t size)
{
    size_t at = 1;
    return skip_string (message, size, &at) == 0 && skip_string (message, size, &at) == 0 && size - at == 4;
}

int agent_check_request (const uint8_t *message, size_t size, err_t *err)
{
    if (size == 0 || size > AGENT_MESSAGE_MAX)
        return err_set (err, ERR_DENIED, "a request to an ssh agent has 1 to %d bytes, not %zu", AGENT_MESSAGE_MAX, size);
    if (message [0] != AGENT_LIST && message [0] != AGENT_SIGN)
        return err_set (err, ERR_DENIED, "request %d to an ssh agent: only its keys may be listed (%d) and something be signed (%d)", message [0], AGENT_LIST, AGENT_SIGN);
    if (message [0] == AGENT_LIST ? size != 1 : !is_sign_request (message, size))
        return err_set (err, ERR_DENIED, "request %d to an ssh agent does not have the form of one", message [0]);
    return 0;
}

static int is_list (const uint8_t *message, size_t size)
{
    size_t at = 1 + AGENT_HEAD;
    if (size < at)
        return 0;
    for (uint32_t left = agent_read_size (message + 1); left > 0; left--)      /* each takes 8 bytes at least: bounded by size */
        if (skip_string (message, size, &at) < 0 || skip_string (message, size, &at) < 0)
            return 0;
    return at == size;
}

static int is_signature (const uint8_t *message, size_t size)
{
    size_t at = 1;
    return skip_string (message, size, &at) == 0 && at == size;
}

int agent_check_answer (const uint8_t *request, const uint8_t *answer, size_t size, err_t *err)
{
    if (size == 0 || size > AGENT_MESSAGE_MAX)
        return err_set (err, ERR_PROTOCOL, "an ssh agent answers with 1 to %d bytes, not %zu", AGENT_MESSAGE_MAX, size);
    if (answer [0] == AGENT_FAILURE && size == 1)
        return 0;
    int is_good = request [0] == AGENT_LIST ? answer [0] == AGENT_LIST_ANSWER && is_list (answer, size)
                                            : answer [0] == AGENT_SIGN_ANSWER && is_signature (answer, size);
    return is_good ? 0 : err_set (err, ERR_PROTOCOL, "an ssh agent answers request %d with something else (%d)", request [0], answer [0]);
}
