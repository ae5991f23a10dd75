/* news_log.c - see news_log.h. */
#include "coordinator/news_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coordinator/news_words.h"

enum { TAIL_BYTES = 16384, LINES_MAX = 40, LINE_MAX_BYTES = 400 };

/* The last bytes, as text; the line that they begin within is left out. The caller frees. */
static char *read_tail (const char *path)
{
    AUTO_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat is;
    if (fd < 0 || fstat (fd, &is) < 0)
        return NULL;
    off_t from = is.st_size > TAIL_BYTES ? is.st_size - TAIL_BYTES : 0;
    char *text = mem_alloc (TAIL_BYTES + 1);
    ssize_t size = pread (fd, text, TAIL_BYTES, from);
    for (ssize_t i = 0; i < size; i++)
        if (!text [i])
            text [i] = ' ';
    char *feed = from > 0 ? strchr (text, '\n') : NULL;
    if (feed)
        memmove (text, feed + 1, strlen (feed + 1) + 1);
    return text;
}

/* "MILLISECONDS LETTER TEXT" (docs/protocol.md, "The log of an attempt") */
static const char *skip_stamp (const char *line)
{
    const char *at = line + strspn (line, "0123456789");
    return at > line && at [0] == ' ' && at [1] && at [2] == ' ' ? at + 3 : line;
}

static const char *last_lines (const char *text)
{
    const char *at = text + strlen (text);
    int lines = 0;
    if (at > text && at [-1] == '\n')
        at--;
    for (; at > text; at--)
        if (at [-1] == '\n' && ++lines == LINES_MAX)
            break;
    return at;
}

void news_log_tail (const char *folder, int64_t job, int64_t attempt, buffer_t *out)
{
    AUTO_FREE char *path = mem_printf ("%s/%lld-%lld.log", folder, (long long) job, (long long) attempt);
    AUTO_FREE char *text = job ? read_tail (path) : NULL;
    for (const char *at = text ? last_lines (text) : ""; *at; ) {
        size_t size = strcspn (at, "\n");
        AUTO_FREE char *raw = mem_strndup (at, size), *line = news_words_log_line (skip_stamp (raw), LINE_MAX_BYTES);
        buffer_printf (out, "%s\n", line);
        at += size + (at [size] == '\n');
    }
}
