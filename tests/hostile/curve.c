/* curve.c - see curve.h. */
#include "hostile/curve.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { COMMAND = 0x04, LONG = 0x02, WELCOME = 2 + 168 };

bool curve_connect (curve_t *self, int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons ((uint16_t) port), .sin_addr = { htonl (INADDR_LOOPBACK) } };
    *self = (curve_t) { .fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .nonce = 1 };
    keypair_make (&self->brief);
    if (self->fd >= 0 && connect (self->fd, (struct sockaddr *) &to, sizeof to) == 0)
        return true;
    if (self->fd >= 0)
        close (self->fd);
    self->fd = -1;
    return false;
}

bool curve_send (const curve_t *self, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size > 0) {
        ssize_t sent = send (self->fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        size -= (size_t) sent;
    }
    return true;
}

static bool receive (const curve_t *self, void *data, size_t size)
{
    return recv (self->fd, data, size, MSG_WAITALL) == (ssize_t) size;
}

static void put_number (uint8_t out [8], uint64_t number)
{
    for (int i = 7; i >= 0; i--, number >>= 8)
        out [i] = (uint8_t) number;
}

/* The name and a number of its own make a nonce; the number goes to out. */
static void next_nonce (curve_t *self, const char *name, uint8_t nonce [24], uint8_t out [8])
{
    put_number (out, self->nonce++);
    memcpy (nonce, name, 16);
    memcpy (nonce + 16, out, 8);
}

static void long_nonce (const char *name, const uint8_t number [16], uint8_t nonce [24])
{
    memcpy (nonce, name, 8);
    memcpy (nonce + 8, number, 16);
}

void curve_greeting (uint8_t out [CURVE_GREETING])
{
    static const uint8_t signature [12] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0 };
    memset (out, 0, CURVE_GREETING);
    memcpy (out, signature, sizeof signature);
    memcpy (out + 12, "CURVE", 5);
}

void curve_hello (curve_t *self, const uint8_t server_key [KEY_SIZE], uint8_t out [CURVE_HELLO])
{
    static const uint8_t zeros [64];
    uint8_t nonce [24];
    memset (out, 0, CURVE_HELLO);
    out [0] = COMMAND;
    out [1] = 200;
    memcpy (out + 2, "\x05HELLO\1", 7);
    memcpy (out + 82, self->brief.public_key, 32);
    next_nonce (self, "CurveZMQHELLO---", nonce, out + 114);
    if (crypto_box_easy (out + 122, zeros, sizeof zeros, nonce, server_key, self->brief.secret_key) != 0)
        memset (out + 122, 0, 80);
}

/* Greeting, HELLO; WELCOME gives the server's short key and a cookie. */
static bool begin (curve_t *self, const uint8_t server_key [KEY_SIZE])
{
    uint8_t greeting [CURVE_GREETING], hello [CURVE_HELLO], welcome [WELCOME], nonce [24];
    curve_greeting (greeting);
    curve_hello (self, server_key, hello);
    if (!curve_send (self, greeting, sizeof greeting) || !receive (self, greeting, sizeof greeting)
        || !curve_send (self, hello, sizeof hello) || !receive (self, welcome, sizeof welcome))
        return false;
    long_nonce ("WELCOME-", welcome + 10, nonce);
    return crypto_box_open_easy (self->cookie_box, welcome + 26, 144, nonce, server_key, self->brief.secret_key) == 0
           && crypto_box_beforenm (self->shared, self->cookie_box, self->brief.secret_key) == 0;
}

/* own key, vouch, metadata: boxed behind the cookie */
static bool initiate (curve_t *self, const keypair_t *own, const uint8_t server_key [KEY_SIZE])
{
    static const uint8_t metadata [] = "\x0bSocket-Type\0\0\0\x06" "DEALER\x08Identity\0\0\0\0";
    enum { METADATA = sizeof metadata - 1, INSIDE = 32 + 16 + 80 + METADATA, BODY = 9 + 96 + 8 + INSIDE + 16 };
    uint8_t out [9 + BODY] = { COMMAND | LONG }, inside [INSIDE], nonce [24], vouched [64];
    memcpy (inside, own->public_key, 32);
    randombytes_buf (inside + 32, 16);
    long_nonce ("VOUCH---", inside + 32, nonce);
    memcpy (vouched, self->brief.public_key, 32);
    memcpy (vouched + 32, server_key, 32);
    if (crypto_box_easy (inside + 48, vouched, sizeof vouched, nonce, self->cookie_box, own->secret_key) != 0)
        return false;
    memcpy (inside + 128, metadata, METADATA);
    put_number (out + 1, BODY);
    memcpy (out + 9, "\x08INITIATE", 9);
    memcpy (out + 18, self->cookie_box + 32, 96);
    next_nonce (self, "CurveZMQINITIATE", nonce, out + 114);
    return crypto_box_easy_afternm (out + 122, inside, INSIDE, nonce, self->shared) == 0 && curve_send (self, out, sizeof out);
}

bool curve_rush (curve_t *self, const keypair_t *own, const uint8_t server_key [KEY_SIZE])
{
    return begin (self, server_key) && initiate (self, own, server_key);
}

bool curve_enter (curve_t *self, const keypair_t *own, const uint8_t server_key [KEY_SIZE])
{
    uint8_t head [2], ready [256];
    return curve_rush (self, own, server_key) && receive (self, head, 2) && head [0] == COMMAND && receive (self, ready, head [1])
           && head [1] > 6 && memcmp (ready, "\x05READY", 6) == 0;
}

size_t curve_frame (curve_t *self, const void *data, size_t size, bool more, uint8_t *out)
{
    size_t boxed = size + 33, at = 2;
    uint8_t nonce [24];
    if (boxed > 255) {
        out [0] = LONG;
        put_number (out + 1, boxed);
        at = 9;
    }
    else {
        out [0] = 0;
        out [1] = (uint8_t) boxed;
    }
    memcpy (out + at, "\x07MESSAGE", 8);
    next_nonce (self, "CurveZMQMESSAGEC", nonce, out + at + 8);
    uint8_t *inside = out + at + 32;                /* flags and data, boxed in place */
    *inside = more ? 1 : 0;
    if (size)
        memcpy (inside + 1, data, size);
    crypto_box_easy_afternm (out + at + 16, inside, size + 1, nonce, self->shared);
    return at + boxed;
}
