/* builder_judge.c - see builder_judge.h. */
#include "worker/builder_judge.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "worker/door_names.h"

void builder_keep (char *out, size_t out_size, const char *line, size_t size)
{
    size_t length = size < out_size ? size : out_size - 1;
    while (length < size && length > 0 && ((unsigned char) line [length] & 0xc0) == 0x80)
        length--;               /* not in the middle of a character */
    memcpy (out, line, length);
    out [length] = 0;
}

bool builder_line_starts (const char *line, size_t size, const char *with)
{
    size_t length = strlen (with);
    return size >= length && memcmp (line, with, length) == 0;
}

void builder_cut_folder (char *text, const char *context_folder)
{
    const char *end = context_folder ? strrchr (context_folder, '/') : NULL;
    size_t size = end ? (size_t) (end - context_folder) + 1 : 0;
    if (size < 2)
        return;
    for (char *at = text; (at = memmem (at, strlen (at), context_folder, size)); )
        memmove (at, at + size, strlen (at + size) + 1);
}

int64_t builder_oom_kills (void)
{
    AUTO_FREE char *text = file_text ("/proc/vmstat");
    const char *found = strstr (text, "\noom_kill ");
    return found ? strtoll (found + strlen ("\noom_kill "), NULL, 10) : -1;
}

int builder_judge_registry (const builder_task_t *task, const char *text, err_t *err)
{
    err_t upstream;
    door_last_error (task->door, task->job, task->attempt, &upstream);
    if (upstream.code == ERR_NONE)
        return 0;
    if (upstream.code == ERR_NOT_FOUND)
        return err_set (err, ERR_BUILD, "%s; check the name and the tag of the image", text);
    return err_set (err, upstream.code, "%s", upstream.text);
}

int builder_judge_push (const builder_task_t *task, const builder_disk_t *disk, const char *said, err_t *err)
{
    err_t upstream;
    door_last_error (task->door, task->job, task->attempt, &upstream);
    if (upstream.code != ERR_NONE)
        return err_set (err, upstream.code, "%s", upstream.text);
    AUTO_FREE char *text = mem_strdup (said);
    door_unmask (text, door_port (task->door));
    if (builder_disk_full (disk))
        return err_set (err, ERR_FULL, "the worker's disk is full below %s: %s", builder_disk_full (disk), text);
    err_code code = door_was_answered (task->door, task->job, task->attempt) ? ERR_REGISTRY : ERR_FARM;
    return err_set (err, code, "%s", *text ? text : "the builder said nothing");
}
