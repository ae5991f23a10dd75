/* docker_config.c - see docker_config.h. */
#include "common/docker_config.h"

#include <jansson.h>
#include <pwd.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/credential_helper.h"
#include "common/file.h"
#include "common/mem.h"

/* In base64 some 15 KiB: an assignment's header of 64 KiB takes that beside a spec of 48 KiB. */
enum { SECRET_MAX = 11 * 1024 };

/* What docker itself writes for Docker Hub. */
static const char hub [] = "https://index.docker.io/v1/";

void docker_config_wipe (char **secret)
{
    if (*secret)
        sodium_memzero (*secret, strlen (*secret));
    free (*secret);
    *secret = NULL;
}
#define AUTO_SECRET __attribute__ ((cleanup (docker_config_wipe)))

char *docker_config_default (void)
{
    const char *folder = getenv ("DOCKER_CONFIG"), *home = getenv ("HOME");
    if (folder && *folder)
        return file_join (folder, "config.json");
    if (!home || !*home) {
        const struct passwd *user = getpwuid (getuid ());
        home = user ? user->pw_dir : "/";
    }
    return mem_printf ("%s/.docker/config.json", home);
}

/* -- names of registries ------------------------------------------------------------------------------------------- */

/* "https://registry.lan/v1/" is registry.lan; "registry.lan/team" is a part of it only, and not for us. */
static bool is_for (const char *key, const char *host)
{
    bool has_scheme = strncasecmp (key, "https://", 8) == 0 || strncasecmp (key, "http://", 7) == 0;
    const char *name = has_scheme ? strstr (key, "://") + 3 : key;
    size_t size = strcspn (name, "/");
    const char *path = name + size;
    bool is_whole = has_scheme || !*path || strcmp (path, "/") == 0 || strncmp (path, "/v1", 3) == 0
                    || strncmp (path, "/v2", 3) == 0;
    if (!is_whole)
        return false;
    if (strlen (host) == size && strncasecmp (name, host, size) == 0)
        return true;
    static const char *const hub_names [] = { "index.docker.io", "registry-1.docker.io" };
    for (int i = 0; strcmp (host, "docker.io") == 0 && i < 2; i++)
        if (strlen (hub_names [i]) == size && strncasecmp (name, hub_names [i], size) == 0)
            return true;
    return false;
}

/* The member for a host: the one that is named exactly so, else the first that means it. */
static json_t *find_member (const json_t *object, const char *host)
{
    json_t *exact = json_object_get (object, host), *value;
    const char *key;
    if (exact)
        return exact;
    json_object_foreach ((json_t *) object, key, value)
        if (is_for (key, host))
            return value;
    return NULL;
}

/* -- credentials --------------------------------------------------------------------------------------------------- */

/* user:password as the header wants it; neither may have a control character, and a user no colon. */
static int make_basic (const char *user, const char *password, char **out, err_t *err)
{
    if (strlen (user) + strlen (password) > SECRET_MAX || strchr (user, ':'))
        return err_set (err, ERR_FARM, "a user without a colon, and a password of at most %d bytes, are needed", SECRET_MAX);
    AUTO_SECRET char *both = mem_printf ("%s:%s", user, password);
    for (const char *c = both; *c; c++)
        if ((unsigned char) *c < ' ')
            return err_set (err, ERR_FARM, "there is a control character in user or password");
    size_t size = sodium_base64_encoded_len (strlen (both), sodium_base64_VARIANT_ORIGINAL);
    AUTO_SECRET char *encoded = mem_alloc (size);
    sodium_bin2base64 (encoded, size, (const unsigned char *) both, strlen (both), sodium_base64_VARIANT_ORIGINAL);
    *out = mem_printf ("Basic %s", encoded);
    return 0;
}

static int decode_auth (const char *auth, char **out, err_t *err)
{
    size_t size = 0, capacity = strlen (auth) + 1;
    if (capacity > 2 * SECRET_MAX)
        return err_set (err, ERR_FARM, "`auth` is too long");
    AUTO_SECRET char *text = mem_alloc (capacity);
    if (sodium_base642bin ((unsigned char *) text, capacity - 1, auth, strlen (auth), "\r\n ", &size, NULL,
                           sodium_base64_VARIANT_ORIGINAL) != 0)
        return err_set (err, ERR_FARM, "`auth` is no base64");
    text [size] = 0;
    char *colon = strchr (text, ':');
    if (!colon)
        return err_set (err, ERR_FARM, "`auth` is no user:password");
    *colon = 0;
    int rc = make_basic (text, colon + 1, out, err);
    *colon = ':';
    return rc;
}

/* An entry may be empty: docker leaves {} behind for what lies in a store. */
static int from_entry (const json_t *entry, char **out, err_t *err)
{
    const char *auth = json_string_value (json_object_get (entry, "auth"));
    const char *user = json_string_value (json_object_get (entry, "username"));
    const char *password = json_string_value (json_object_get (entry, "password"));
    const char *identity = json_string_value (json_object_get (entry, "identitytoken"));
    if (identity && *identity)
        return err_set (err, ERR_FARM, "it has an identity token, which is not supported: log in with a user and an access "
                        "token or password");
    if (auth && *auth)
        return decode_auth (auth, out, err);
    return user && *user && password ? make_basic (user, password, out, err) : 0;
}

static int from_helper (const char *name, const char *host, char **out, err_t *err)
{
    AUTO_SECRET char *user = NULL;
    AUTO_SECRET char *password = NULL;
    if (credential_helper_get (name, strcmp (host, "docker.io") == 0 ? hub : host, &user, &password, err) < 0)
        return -1;
    if (!user)
        return 0;
    if (strcmp (user, "<token>") == 0)
        return err_set (err, ERR_FARM, "docker-credential-%s has an identity token, which is not supported: log in with a user "
                        "and an access token or password", name);
    return make_basic (user, password, out, err);
}

static int find (const json_t *config, const char *host, char **out, err_t *err)
{
    const char *helper = json_string_value (find_member (json_object_get (config, "credHelpers"), host));
    const char *store = json_string_value (json_object_get (config, "credsStore"));
    if (!helper && store && *store)
        helper = store;
    if (helper && from_helper (helper, host, out, err) < 0)
        return -1;
    return *out ? 0 : from_entry (find_member (json_object_get (config, "auths"), host), out, err);
}

static json_t *load (const char *file, err_t *err)
{
    buffer_t bytes = { 0 };
    json_error_t why;
    json_t *config = NULL;
    if (file_read (file, DOCKER_CONFIG_MAX, &bytes, err) == 0) {
        config = json_loadb ((const char *) bytes.data, bytes.size, 0, &why);
        if (!json_is_object (config)) {
            err_set (err, ERR_FARM, "%s is no JSON object: %s", file, config ? "it is something else" : why.text);
            json_decref (config);
            config = NULL;
        }
    }
    if (bytes.data)
        sodium_memzero (bytes.data, bytes.capacity);
    buffer_free (&bytes);
    return config;
}

int docker_config_find (const char *file, const char *host, char **authorization, err_t *err)
{
    err_t why = { 0 };
    *authorization = NULL;
    AUTO_JSON json_t *config = load (file, &why);
    if (!config && why.code == ERR_NOT_FOUND)
        return 0;
    if (!config)
        return err_set (err, why.code == ERR_USAGE ? ERR_FARM : why.code, "credentials for %s: %s", host, why.text);
    if (find (config, host, authorization, &why) < 0)
        return err_set (err, why.code, "credentials for %s in %s: %s", host, file, why.text);
    return 0;
}
