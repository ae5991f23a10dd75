/* setup.c - see setup.h. */
#include "coordinator/setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

static int load_key (keypair_t *key, const char *folder, const char *name, err_t *err)
{
    AUTO_FREE char *path = file_join (folder, name);
    int is_new = 0;
    if (keypair_load_or_make (key, path, &is_new, err) < 0)
        return -1;
    if (is_new)
        log_info ("setup", "made %s", path);
    return 0;
}

int setup_keys (setup_keys_t *keys, const settings_t *settings, err_t *err)
{
    const char *state_folder = settings_text (settings, "state");
    keys->has_invitation = settings_bool (settings, "join/standing");
    if (load_key (&keys->server, state_folder, "coordinator.key", err) < 0
        || load_key (&keys->admin, state_folder, "admin.key", err) < 0)
        return -1;
    if (load_key (&keys->secrets, state_folder, "secrets.key", err) < 0 || load_key (&keys->news, state_folder, "news.key", err) < 0)
        return -1;
    return keys->has_invitation ? load_key (&keys->invitation, state_folder, "invitation.key", err) : 0;
}

int setup_audit (engine_t *engine, const char *path, int64_t wall_ms, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    long long id = 0;
    char hash [65] = "";
    bool is_there = false;
    if (!file_exists (path))
        return 0;
    if (file_read (path, 256, &text, err) < 0)
        return err_wrap (err, "read the note of the audit log's last row, %s", path);
    buffer_append (&text, "", 1);
    if (sscanf ((const char *) text.data, "%lld %64[0-9a-f]", &id, hash) != 2)
        log_error ("setup", "%s is damaged", path);
    if (engine_check_audit_head (engine, id, hash, wall_ms, &is_there, err) < 0)
        return -1;
    if (!is_there)
        log_error ("setup", "the audit log is not what it was when %s was written: it was cut or changed (farmctl audit verify)", path);
    return 0;
}

int setup_principals (engine_t *engine, const setup_keys_t *keys, int64_t wall_ms, err_t *err)
{
    char admin [KEY_HEX_SIZE + 1], invitation [KEY_HEX_SIZE + 1];
    err_t why = { 0 };
    key_to_hex (keys->admin.public_key, admin);
    key_to_hex (keys->invitation.public_key, invitation);
    if (engine_make_admin (engine, admin, wall_ms, &why) < 0) {
        if (why.code != ERR_DENIED) {
            *err = why;
            return -1;
        }
        log_warn ("setup", "admin.key is no admin's any more: remove it and start again, if this machine is to have one");
    }
    return engine_stand_invitation (engine, keys->has_invitation ? invitation : NULL, wall_ms, err);
}

/* "tcp://0.0.0.0:5570" -> "tcp://<this host>:5570"; an address that is one stays. */
static void advertise (const char *setting, const char *bound, char out [256])
{
    static const char *const wildcards [] = { "tcp://0.0.0.0:", "tcp://[::]:" };
    if (setting) {
        snprintf (out, 256, "%s", setting);
        return;
    }
    snprintf (out, 256, "%s", bound);
    for (size_t i = 0; i < sizeof wildcards / sizeof *wildcards; i++)
        if (strncmp (bound, wildcards [i], strlen (wildcards [i])) == 0) {
            char host [128] = "localhost";
            gethostname (host, sizeof host - 1);
            snprintf (out, 256, "tcp://%s:%s", host, bound + strlen (wildcards [i]));
        }
}

static int write_text (const char *folder, const char *name, const char *text, err_t *err)
{
    AUTO_FREE char *path = file_join (folder, name);
    return file_write (path, text, strlen (text), 0600, err);
}

static int write_admin_conf (const invitation_t *to, const settings_t *settings, err_t *err)
{
    const char *folder = settings_text (settings, "state");
    char server [KEY_HEX_SIZE + 1];
    key_to_hex (to->server_key, server);
    AUTO_BUFFER buffer_t text = { 0 };
    buffer_printf (&text, "# Settings with which farmctl is the admin: FARM_CONFIG=%s/admin.conf farmctl ls\n"
                   "coordinator\n    control = \"%s\"\n    objects = \"%s\"\n    key = \"%s\"\n"
                   "identity\n    key = \"%s/admin.key\"\n", folder, to->control, to->objects, server, folder);
    const char *const *plain = settings_list (settings, "registry/plain-http");
    for (size_t i = 0; plain && plain [i]; i++)
        buffer_printf (&text, "%s%s", i ? "," : "registry\n    plain-http = \"", plain [i]);
    if (plain && plain [0])
        buffer_text (&text, "\"\n");
    return write_text (folder, "admin.conf", (const char *) text.data, err);
}

/* One of former days is worth nothing any more, and would only mislead. */
static int write_join (const setup_keys_t *keys, const settings_t *settings, const invitation_t *to, err_t *err)
{
    const char *state = settings_text (settings, "state");
    if (!keys->has_invitation) {
        AUTO_FREE char *path = file_join (state, "join");
        return unlink (path) == 0 || errno == ENOENT ? 0 : err_sys (err, errno, "remove %s", path);
    }
    AUTO_FREE char *string = invitation_encode (to);
    AUTO_FREE char *line = mem_printf ("%s\n", string);
    if (write_text (state, "join", line, err) < 0)
        return -1;
    log_warn ("setup", "whoever has the string in %s/join joins as a worker or a submitter, as often as they like (join/standing)", state);
    return 0;
}

int setup_invite (const setup_keys_t *keys, const settings_t *settings, const char *control_bound,
                  const char *objects_bound, err_t *err)
{
    invitation_t to;
    advertise (settings_text (settings, "advertise/control"), control_bound, to.control);
    advertise (settings_text (settings, "advertise/objects"), objects_bound, to.objects);
    memcpy (to.server_key, keys->server.public_key, KEY_SIZE);
    memcpy (to.invitation, keys->invitation.secret_key, KEY_SIZE);
    if (write_join (keys, settings, &to, err) < 0)
        return -1;
    return write_admin_conf (&to, settings, err);
}
