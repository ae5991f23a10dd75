/* invite.c - see invite.h. */
#include "farmctl/invite.h"

#include <czmq.h>
#include <sodium.h>

#include "common/quantity.h"
#include "farmctl/client.h"
#include "farmctl/options.h"
#include "farmctl/output.h"

/* Where the newcomer is to go is where this user goes. */
static char *join_string (const client_t *client, const keypair_t *key)
{
    invitation_t to;
    snprintf (to.control, sizeof to.control, "%s", settings_text (options_settings (), "coordinator/control"));
    snprintf (to.objects, sizeof to.objects, "%s", settings_text (options_settings (), "coordinator/objects"));
    memcpy (to.server_key, client_server_key (client), KEY_SIZE);
    memcpy (to.invitation, key->secret_key, KEY_SIZE);
    char *text = invitation_encode (&to);
    sodium_memzero (&to, sizeof to);
    return text;
}

static int print (const char *string, const char *role, const char *name, int64_t expire_ms, int64_t expires_ms, err_t *err)
{
    char time [QUANTITY_SIZE];
    bool is_worker = streq (role, "worker");
    if (output_is_json ())
        return output_json (json_pack ("{s:s, s:s, s:s, s:I}", "join", string, "name", name, "role", role, "expires_ms", (json_int_t) expires_ms), err);
    output_line ("%s", string);
    output_note ("for %s %s: %s '%s'. It works once, within %s: treat it as a password", is_worker ? "the worker" : "the user", name,
                 is_worker ? "sudo farm-worker join" : "farmctl join", "STRING", quantity_duration (expire_ms, time));
    return 0;
}

int invite (const char *role, const char *name, int64_t expire_ms, json_t *limits, err_t *err)
{
    keypair_t key;
    char hex [KEY_HEX_SIZE + 1];
    keypair_make (&key);
    key_to_hex (key.public_key, hex);
    json_t *question = json_pack ("{s:s, s:s, s:s, s:I}", "public_key", hex, "role", role, "name", name, "expire_ms", (json_int_t) expire_ms);
    if (limits)
        json_object_set_new (question, "limits", limits);
    AUTO (client) client_t *client = client_new (err);
    AUTO (msg) msg_t *answer = client ? client_ask (client, "invite", json_incref (question), "invited", 0, err) : NULL;
    json_decref (question);
    AUTO_FREE char *string = answer ? join_string (client, &key) : NULL;
    sodium_memzero (&key, sizeof key);
    if (!string)
        return err_wrap (err, "invite %s", name);
    int rc = print (string, role, name, expire_ms, msg_int (answer, "expires_ms"), err);
    sodium_memzero (string, strlen (string));
    return rc;
}

int invite_revoke (const char *kind, const char *name, err_t *err)
{
    AUTO (client) client_t *client = client_new (err);
    AUTO (msg) msg_t *answer = client ? client_ask (client, "revoke", json_pack ("{s:s, s:s}", "kind", kind, "name", name), "revoked", 60000, err) : NULL;
    if (!answer)
        return err_wrap (err, "%s %s", kind, name);
    bool is_worker = streq (kind, "worker");
    int64_t count = msg_int (answer, is_worker ? "attempts" : "builds");
    if (output_is_json ())
        return output_json (json_pack ("{s:s, s:s, s:I}", "revoked", name, "kind", kind, is_worker ? "attempts" : "builds", (json_int_t) count), err);
    output_note (is_worker ? "the right of worker %s was taken back; %lld jobs of it go to others" : "the right of user %s was taken back; %lld builds of theirs are cancelled",
                 name, (long long) count);
    return 0;
}
