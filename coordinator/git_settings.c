/* git_settings.c - what git has for one host: a settings file that is written anew and is the only one it reads, an environment with nothing of ours
 * in it, and the one address that the host's name stood for when it was looked at: git is not asked to look it up again. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/inside.h"
#include "coordinator/git.h"
#include "coordinator/source_rules.h"

static const char settings [] =
    "[core]\n\thooksPath = /dev/null\n\tfsmonitor = false\n\tattributesFile = /dev/null\n\texcludesFile = /dev/null\n\tautocrlf = false\n"
    "\tprotectNTFS = true\n\tprotectHFS = true\n\tsymlinks = true\n\talternateRefsCommand = true\n"
    "[protocol]\n\tallow = never\n\tversion = 2\n"
    "[transfer]\n\tfsckObjects = true\n"
    "[fetch]\n\tfsckObjects = true\n\tunpackLimit = 1\n\trecurseSubmodules = false\n\tshowForcedUpdates = false\n"
    "[submodule]\n\trecurse = false\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[safe]\n\tdirectory = *\n"
    "[checkout]\n\tworkers = 1\n[pack]\n\tthreads = 1\n\twindowMemory = 64m\n[core]\n\tpackedGitLimit = 256m\n\tbigFileThreshold = 16m\n"
    "[http]\n\tfollowRedirects = false\n\tsslVerify = true\n\tlowSpeedLimit = 1000\n\tlowSpeedTime = 60\n\tuserAgent = git/archfarm\n"
    "[credential]\n\thelper =\n";

static const char lfs_settings [] =
    "[filter \"lfs\"]\n\tprocess = git-lfs filter-process\n\tsmudge = git-lfs smudge -- %f\n\tclean = git-lfs clean -- %f\n\trequired = true\n";

static const char *rule_text (const json_t *rules, const char *name)
{
    const char *text = json_string_value (json_object_get (rules, name));
    return text && *text ? text : NULL;
}

/* -- the address ------------------------------------------------------------------------------------------------ */

/* All of them have to be outside: whoever mixes them wants to be asked twice. */
static int choose (const struct addrinfo *found, const source_t *source, bool may_be_inside, char address [INET6_ADDRSTRLEN], err_t *err)
{
    *address = 0;
    for (const struct addrinfo *item = found; item; item = item->ai_next) {
        char text [INET6_ADDRSTRLEN] = "";
        if (getnameinfo (item->ai_addr, item->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0)
            continue;
        if (!may_be_inside && place_of (item->ai_addr) != PLACE_OUTSIDE)
            return source_rules_refuse_inside (source, text, err);
        if (!*address)
            snprintf (address, INET6_ADDRSTRLEN, "%s", text);
    }
    return *address ? 0 : err_set (err, ERR_NETWORK, "%s has no address", source->host);
}

/* "" where a proxy looks it up. */
static int find_address (const git_t *self, const source_t *source, char address [INET6_ADDRSTRLEN], err_t *err)
{
    const json_t *rules = self->job->rules;
    bool may_be_inside = source_rules_may_be_inside (rules, source), is_http = strncmp (source->transport, "http", 4) == 0;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG }, *found = NULL;
    *address = 0;
    if (!*source->host)
        return 0;
    if (is_http && rule_text (rules, "proxy"))
        return may_be_inside || place_of_text (source->host) == PLACE_OUTSIDE ? 0 : source_rules_refuse_inside (source, source->host, err);
    char host [SOURCE_HOST_MAX + 1];
    snprintf (host, sizeof host, "%s", *source->host == '[' ? source->host + 1 : source->host);
    host [strcspn (host, "]")] = 0;
    int rc = getaddrinfo (host, NULL, &hints, &found);
    if (rc != 0)
        return err_set (err, rc == EAI_NONAME || rc == EAI_AGAIN || rc == EAI_FAIL ? ERR_NETWORK : ERR_FARM, "%s: its address cannot be looked up: %s",
                        source->host, gai_strerror (rc));
    rc = choose (found, source, may_be_inside, address, err);
    freeaddrinfo (found);
    return rc;
}

static int default_port (const source_t *source)
{
    return source->port ? source->port : strcmp (source->transport, "https") == 0 ? 443 : strcmp (source->transport, "http") == 0 ? 80 : 9418;
}

/* -- the file --------------------------------------------------------------------------------------------------- */

/* A value of git's settings; it has no quotes (source_rules.c). */
static void add_value (buffer_t *out, const char *section, const char *name, const char *value)
{
    buffer_printf (out, "[%s]\n\t%s = \"%s\"\n", section, name, value);
}

static void add_host (const git_t *self, const source_t *source, const char *address, buffer_t *out)
{
    const json_t *rules = self->job->rules;
    const char *helper = source_rules_helper (rules, source), *ca = rule_text (rules, "ca_file"), *proxy = rule_text (rules, "proxy");
    add_value (out, "http", "proxy", proxy ? proxy : "");
    if (ca)
        add_value (out, "http", "sslCAInfo", ca);
    AUTO_FREE char *store = helper && *helper == '/' ? mem_printf ("store --file=%s", helper) : NULL;
    if (helper)
        add_value (out, "credential", "helper", store ? store : helper);
    if (*address && strncmp (source->transport, "http", 4) == 0) {
        AUTO_FREE char *resolve = mem_printf ("%s:%d:%s%s%s", source->host, default_port (source), strchr (address, ':') ? "[" : "", address,
                                              strchr (address, ':') ? "]" : "");
        add_value (out, "http", "curloptResolve", resolve);
    }
    if (json_is_true (json_object_get (rules, "lfs"))) {
        buffer_text (out, lfs_settings);
        add_value (out, "remote \"origin\"", "url", source->url);      /* from which git-lfs knows its own server */
    }
}

static int write_settings (const git_t *self, const source_t *source, const char *address, const char *path, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    buffer_text (&text, settings);
    add_host (self, source, address, &text);
    return file_write_scratch (path, text.data, text.size, 0600, err);
}

/* -- the environment -------------------------------------------------------------------------------------------- */

static void set (git_t *self, const char *name, const char *value)
{
    size_t i = 0;
    while (self->environment [i])
        i++;
    assert (i + 1 < sizeof self->environment / sizeof *self->environment);
    self->environment [i] = mem_printf ("%s=%s", name, value);
}

/* Paths in it stand in single quotes and have none. */
static char *ssh_command (const git_t *self, const source_t *source, const char *address)
{
    const json_t *rules = self->job->rules;
    AUTO_BUFFER buffer_t text = { 0 };
    const char *key = source_rules_key (rules, source), *known = rule_text (rules, "known_hosts");
    buffer_printf (&text, "ssh -F /dev/null -a -x -T -o BatchMode=yes -o StrictHostKeyChecking=yes -o UpdateHostKeys=no -o IdentityAgent=none -o IdentitiesOnly=yes "
                   "-o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=4 -o PermitLocalCommand=no -o ProxyCommand=none -o ControlPath=none "
                   "-o ClearAllForwardings=yes -o CanonicalizeHostname=no -o HostName=%s -o HostKeyAlias=%s -o UserKnownHostsFile='%s'", address, source->host,
                   known ? known : "/dev/null");
    if (key)
        buffer_printf (&text, " -i '%s'", key);
    else
        buffer_text (&text, " -o PubkeyAuthentication=no");
    return mem_strdup ((const char *) text.data);
}

static void fill_environment (git_t *self, const source_t *source, const char *address, const char *path)
{
    const char *work = self->job->work;
    AUTO_FREE char *ssh = ssh_command (self, source, address);
    AUTO_FREE char *virtual_host = source->port ? mem_printf ("%s:%d", source->host, source->port) : mem_strdup (source->host);
    const char *const fixed [] [2] = {
        { "PATH", "/usr/local/bin:/usr/bin:/bin" }, { "LC_ALL", "C" }, { "HOME", work }, { "XDG_CONFIG_HOME", work }, { "TMPDIR", work },
        { "GIT_CONFIG_NOSYSTEM", "1" }, { "GIT_CONFIG_GLOBAL", path }, { "GIT_ATTR_NOSYSTEM", "1" }, { "GIT_TERMINAL_PROMPT", "0" }, { "GIT_ASKPASS", "false" },
        { "SSH_ASKPASS_REQUIRE", "never" }, { "GIT_ALLOW_PROTOCOL", source->transport }, { "GIT_LITERAL_PATHSPECS", "1" }, { "GIT_NO_REPLACE_OBJECTS", "1" },
        { "GIT_OPTIONAL_LOCKS", "0" }, { "GIT_INDEX_FILE", self->index }, { "GIT_SSH_COMMAND", ssh }, { "GIT_SSH_VARIANT", "ssh" },
        { "GIT_OVERRIDE_VIRTUAL_HOST", virtual_host },
    };
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        set (self, fixed [i] [0], fixed [i] [1]);
}

static void clear (git_t *self)
{
    for (size_t i = 0; self->environment [i]; i++) {
        free (self->environment [i]);
        self->environment [i] = NULL;
    }
}

int git_prepare (git_t *self, const source_t *source, err_t *err)
{
    char address [INET6_ADDRSTRLEN];
    AUTO_FREE char *path = file_join (self->job->work, "gitconfig");
    if (source_rules_check (self->job->rules, NULL, source, err) < 0 || find_address (self, source, address, err) < 0
        || write_settings (self, source, address, path, err) < 0)
        return -1;
    free (self->index);
    self->index = mem_printf ("%s/index-%d", self->job->work, self->modules);
    clear (self);
    fill_environment (self, source, address, path);
    return 0;
}

void git_free (git_t *self)
{
    clear (self);
    free (self->index);
}
