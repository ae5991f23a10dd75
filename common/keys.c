/* keys.c - key pairs in files, and join strings. Key bytes are wiped when they are done with. */
#include "common/keys.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/mem.h"

#define JOIN_PREFIX "farm1."

enum { KEY_FILE_MAX = 1024, JOIN_MAX = 4096 };

void keypair_make (keypair_t *self)
{
    uint8_t secret [KEY_SIZE];
    randombytes_buf (secret, sizeof secret);
    keypair_from_secret (self, secret);
    sodium_memzero (secret, sizeof secret);
}

void keypair_from_secret (keypair_t *self, const uint8_t secret [KEY_SIZE])
{
    memcpy (self->secret_key, secret, KEY_SIZE);
    crypto_scalarmult_base (self->public_key, self->secret_key);
}

void key_to_hex (const uint8_t key [KEY_SIZE], char hex [KEY_HEX_SIZE + 1])
{
    sodium_bin2hex (hex, KEY_HEX_SIZE + 1, key, KEY_SIZE);
}

int key_from_hex (uint8_t key [KEY_SIZE], const char *hex, err_t *err)
{
    size_t size = 0;
    if (!hex || strlen (hex) != KEY_HEX_SIZE
        || sodium_hex2bin (key, KEY_SIZE, hex, KEY_HEX_SIZE, NULL, &size, NULL) != 0 || size != KEY_SIZE)
        return err_set (err, ERR_USAGE, "a key is 64 hex digits");
    return 0;
}

static int check_private (const char *path, err_t *err)
{
    struct stat info;
    if (stat (path, &info) != 0)
        return errno == ENOENT ? err_set (err, ERR_NOT_FOUND, "key file %s is not there", path)
                               : err_sys (err, errno, "look at key file %s", path);
    if (info.st_mode & (S_IRWXG | S_IRWXO))
        return err_set (err, ERR_DENIED, "key file %s can be read by others (mode %04o): chmod 600 it, and make a new "
                        "key if others may have read it", path, (unsigned) info.st_mode & 07777);
    return 0;
}

/* One "name <64 hex>\n" at *text; moves on behind it. */
static int read_line (const char **text, const char *name, uint8_t key [KEY_SIZE])
{
    size_t name_size = strlen (name);
    if (strncmp (*text, name, name_size) != 0 || (*text) [name_size] != ' ')
        return -1;
    const char *hex = *text + name_size + 1;
    if (strlen (hex) < KEY_HEX_SIZE + 1 || hex [KEY_HEX_SIZE] != '\n')
        return -1;
    char digits [KEY_HEX_SIZE + 1] = "";
    memcpy (digits, hex, KEY_HEX_SIZE);
    *text = hex + KEY_HEX_SIZE + 1;
    int rc = key_from_hex (key, digits, NULL);
    sodium_memzero (digits, sizeof digits);
    return rc;
}

int keypair_load (keypair_t *self, const char *path, err_t *err)
{
    if (check_private (path, err) < 0)
        return -1;
    AUTO_BUFFER buffer_t file = { 0 };
    if (file_read (path, KEY_FILE_MAX, &file, err) < 0)
        return err_wrap (err, "key file %s", path);
    uint8_t public_key [KEY_SIZE], secret [KEY_SIZE];
    const char *text = file.data ? (const char *) file.data : "";
    int is_whole = strlen (text) == file.size && read_line (&text, "public", public_key) == 0
                   && read_line (&text, "secret", secret) == 0 && *text == 0;
    if (is_whole)
        keypair_from_secret (self, secret);
    sodium_memzero (secret, sizeof secret);
    if (file.data)
        sodium_memzero (file.data, file.size);
    if (!is_whole || memcmp (self->public_key, public_key, KEY_SIZE) != 0)
        return err_set (err, ERR_USAGE, "%s is not a key file, or is damaged: restore it, or remove it and join again",
                        path);
    return 0;
}

int keypair_save (const keypair_t *self, const char *path, err_t *err)
{
    char public_hex [KEY_HEX_SIZE + 1], secret_hex [KEY_HEX_SIZE + 1];
    key_to_hex (self->public_key, public_hex);
    key_to_hex (self->secret_key, secret_hex);
    AUTO_FREE char *text = mem_printf ("public %s\nsecret %s\n", public_hex, secret_hex);
    int rc = file_write (path, text, strlen (text), 0600, err);
    sodium_memzero (secret_hex, sizeof secret_hex);
    sodium_memzero (text, strlen (text));
    return rc < 0 ? err_wrap (err, "write key file %s", path) : 0;
}

int keypair_load_or_make (keypair_t *self, const char *path, int *is_new, err_t *err)
{
    err_t why;
    if (is_new)
        *is_new = 0;
    if (keypair_load (self, path, &why) == 0)
        return 0;
    if (why.code != ERR_NOT_FOUND) {
        if (err)
            *err = why;
        return -1;
    }
    if (is_new)
        *is_new = 1;
    keypair_make (self);
    return keypair_save (self, path, err);
}

char *invitation_encode (const invitation_t *self)
{
    char server [KEY_HEX_SIZE + 1], secret [KEY_HEX_SIZE + 1];
    key_to_hex (self->server_key, server);
    key_to_hex (self->invitation, secret);
    AUTO_JSON json_t *object = json_pack ("{s:s, s:s, s:s, s:s}", "control", self->control, "objects", self->objects,
                                          "key", server, "invitation", secret);
    AUTO_FREE char *text = json_dumps (object, JSON_COMPACT);
    const int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    size_t size = sodium_base64_encoded_len (strlen (text), variant);
    AUTO_FREE char *encoded = mem_alloc (size);
    sodium_bin2base64 (encoded, size, (const uint8_t *) text, strlen (text), variant);
    return mem_printf (JOIN_PREFIX "%s", encoded);
}

/* It goes into a settings file: with a quote or a line feed it would be more settings than one. */
static int copy_endpoint (char out [256], const char *text)
{
    static const char letters [] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-[]%;";
    if (strncmp (text, "tcp://", 6) != 0 || strlen (text) >= 256 || text [6 + strspn (text + 6, letters)])
        return -1;
    strcpy (out, text);
    return 0;
}

static int read_invitation (invitation_t *self, const json_t *object)
{
    const char *control, *objects, *key, *secret;
    if (json_unpack ((json_t *) object, "{s:s, s:s, s:s, s:s !}", "control", &control, "objects", &objects,
                     "key", &key, "invitation", &secret) != 0)
        return -1;
    if (copy_endpoint (self->control, control) < 0 || copy_endpoint (self->objects, objects) < 0)
        return -1;
    if (key_from_hex (self->server_key, key, NULL) < 0)
        return -1;
    return key_from_hex (self->invitation, secret, NULL);
}

int invitation_decode (invitation_t *self, const char *text, err_t *err)
{
    static const char advice [] = "this is not a whole join string (it starts with " JOIN_PREFIX
                                  "): copy all of it from the coordinator";
    size_t size = strlen (text);
    const size_t prefix = strlen (JOIN_PREFIX);
    if (size > JOIN_MAX || strncmp (text, JOIN_PREFIX, prefix) != 0)
        return err_set (err, ERR_USAGE, "%s", advice);
    uint8_t bytes [JOIN_MAX];
    size_t used = 0;
    if (sodium_base642bin (bytes, sizeof bytes, text + prefix, size - prefix, " \n\t", &used, NULL,
                           sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return err_set (err, ERR_USAGE, "%s", advice);
    AUTO_JSON json_t *object = json_loadb ((const char *) bytes, used, JSON_REJECT_DUPLICATES, NULL);
    if (!object || read_invitation (self, object) < 0)
        return err_set (err, ERR_USAGE, "%s", advice);
    return 0;
}
