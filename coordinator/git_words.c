/* git_words.c - what git, ssh and curl say when a fetch fails: whose fault that is, and what to do. They are run with LC_ALL=C. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "coordinator/git.h"

/* The first that fits counts: what says more comes before what says less. */
static const struct { const char *words; err_code code; const char *advice; } meanings [] = {
    { "not allowed", ERR_DENIED, "the farm does not fetch in that way (git/transports of the coordinator)" },
    { "find remote ref", ERR_USAGE, "there is no branch, tag or commit of that name" },
    { "not our ref", ERR_USAGE, "there is no such commit, or the host does not give single commits: name a branch or a tag that has it" },
    { "unadvertised object", ERR_USAGE, "the host does not give single commits: name a branch or a tag that has it" },
    { "Host key verification failed", ERR_USAGE, "the coordinator does not know that host's key: an admin adds it to the file of git/known-hosts" },
    { "Permission denied (publickey", ERR_USAGE, "the host takes no key that the coordinator has for it: an admin adds one (git/keys)" },
    { "Authentication failed", ERR_USAGE, "the host does not take what the coordinator has for it: an admin looks at git/helpers" },
    { "could not read Username", ERR_USAGE, "the repository is not public, or is none, and the coordinator has nothing to show: an admin sets git/helpers" },
    { "could not read Password", ERR_USAGE, "the repository is not public, and the coordinator has nothing to show: an admin sets git/helpers" },
    { "error: 401", ERR_USAGE, "the repository is not public: an admin sets git/helpers" },
    { "error: 403", ERR_USAGE, "the host does not let the coordinator have it: an admin looks at git/helpers" },
    { "error: 404", ERR_USAGE, "there is no such repository, or it is not public" },
    { "error: 429", ERR_NETWORK, "the host wants to be asked less often" },
    { "error: 5", ERR_NETWORK, "the host is in trouble" },
    { "error: 30", ERR_USAGE, "the host sends to another address, which the farm does not follow: give that address itself, perhaps with .git behind it" },
    { "redirect", ERR_USAGE, "the host sends to another address, which the farm does not follow: give that address itself, perhaps with .git behind it" },
    { "certificate", ERR_USAGE, "the host's certificate is not one that the coordinator trusts: an admin sets git/ca-file" },
    { "does not appear to be a git repository", ERR_USAGE, "there is no such repository" },
    { "not found", ERR_USAGE, "there is no such repository, or the coordinator may not have it" },
    { "not exported", ERR_USAGE, "there is no such repository, or the coordinator may not have it" },
    { "not valid: is this a git repository", ERR_USAGE, "there is no repository" },
    { "does not exist", ERR_USAGE, "there is no such repository" },
    { "died of signal 25", ERR_USAGE, "it brings more than git/size of the coordinator's settings allows" },
    { "size limit exceeded", ERR_USAGE, "it brings more than git/size of the coordinator's settings allows" },
    { "too large", ERR_USAGE, "it is too large" },
    { "No space left", ERR_FULL, "the coordinator's disk is full" },
    { "fsck error", ERR_USAGE, "the repository has something in it that git's checks refuse: git fsck in a clone of it says what" },
    { "invalid index-pack output", ERR_USAGE, "the repository has something in it that git's checks refuse, or that is too large" },
    { "object corrupt or missing", ERR_USAGE, "the repository is damaged, or has something in it that git's checks refuse" },
    { "failed to read object", ERR_USAGE, "the repository lacks something, or the coordinator may not read it" },
    { "resolve host", ERR_NETWORK, "its host has no address" },
    { "name resolution", ERR_NETWORK, "its host's address cannot be looked up" },
    { "Connection refused", ERR_NETWORK, "its host takes no connections" },
    { "onnection timed out", ERR_NETWORK, "its host does not answer" },
    { "Operation timed out", ERR_NETWORK, "its host does not answer" },
    { "too slow", ERR_NETWORK, "its host sends too slowly" },
    { "unreachable", ERR_NETWORK, "the way to its host is closed" },
    { "No route to host", ERR_NETWORK, "there is no way to its host" },
    { "connect", ERR_NETWORK, "its host cannot be reached" },
    { "onnection reset", ERR_NETWORK, "its host has ended the connection" },
    { "early EOF", ERR_NETWORK, "its host has ended the connection" },
    { "hung up", ERR_NETWORK, "its host has ended the connection" },
    { "RPC failed", ERR_NETWORK, "its host has ended the connection" },
};

/* The line that says most: the first of git's own errors, else the last there is. */
static const char *best_line (const char *words, int *size)
{
    const char *best = "no reason given", *last = NULL;
    static const char *const marks [] = { "fatal: ", "ERROR: ", "error: " };
    for (const char *line = words; *line; line += strcspn (line, "\n"), line += *line == '\n')
        if (*line != '\n' && strncmp (line, "hint:", 5) != 0)
            last = line;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const char *found = strstr (words, marks [i]);
        if (!found)
            continue;
        last = found + strlen (marks [i]);
        break;
    }
    best = last ? last : best;
    *size = (int) strcspn (best, "\n");
    return best;
}

int git_explain (const char *words, int status, err_t *err)
{
    int size;
    const char *line = best_line (words, &size);
    if (WIFSIGNALED (status) && WTERMSIG (status) == SIGXFSZ)
        return err_set (err, ERR_USAGE, "it brings more than git/size of the coordinator's settings allows");
    if (WIFSIGNALED (status))
        return err_set (err, ERR_FARM, "git was ended by signal %d (%s)", WTERMSIG (status), strsignal (WTERMSIG (status)));
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (strstr (words, meanings [i].words))
            return err_set (err, meanings [i].code, "%s (git: %.*s)", meanings [i].advice, size < 300 ? size : 300, line);
    return err_set (err, ERR_USAGE, "git cannot fetch it: %.*s", size < 300 ? size : 300, line);
}
