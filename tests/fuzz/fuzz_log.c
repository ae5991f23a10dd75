/* fuzz_log.c - a part of an attempt's log as farmctl shows it. The first byte says where it is cut into two messages.
 *
 * covers: farmctl/log_reader.c farmctl/output.c */
#include <locale.h>
#include <string.h>

#include "farmctl/log_reader.h"
#include "farmctl/output.h"
#include "fuzz.h"

/* On a terminal it does nothing but stand there, and JSON can have it. */
static void on_line (void *argument, const log_reader_t *reader, const log_line_t *line)
{
    buffer_t *lines = argument;
    (void) reader;
    AUTO_JSON json_t *json = json_string (line->text);
    AUTO_FREE char *same = output_clean (mem_strdup (line->text));
    MUST (json && strcmp (same, line->text) == 0);
    MUST (line->stream == 'o' || line->stream == 'w');
    for (const char *c = line->text; *c; c++)
        MUST ((unsigned char) *c >= ' ' || *c == '\t');
    buffer_printf (lines, "%lld %c %s\n", (long long) line->time_ms, line->stream, line->text);
}

static void give (log_reader_t *reader, const uint8_t *data, size_t size, bool is_last, buffer_t *lines)
{
    reader->asked_seq = 1;
    AUTO (msg) msg_t *part = msg_new ("log-part", json_pack ("{s:i, s:I, s:b}", "re", 1, "offset", (json_int_t) reader->offset, "is_ended",
                                      (int) is_last), data, size);
    MUST (log_reader_take (reader, part, 0, on_line, lines) == 1 && reader->is_ended == is_last);
}

/* In one message or in two, it is the same. */
FUZZ_TARGET (log)
{
    if (size == 0 || size > 32 * 1024)
        return;
    size_t cut = data [0] < size - 1 ? data [0] : size - 1;
    log_reader_t whole = { .job = 1 }, parted = { .job = 1 };
    AUTO_BUFFER buffer_t one = { 0 };
    AUTO_BUFFER buffer_t other = { 0 };
    setlocale (LC_CTYPE, "C.UTF-8");
    give (&whole, data + 1, size - 1, true, &one);
    give (&parted, data + 1, cut, false, &other);
    give (&parted, data + 1 + cut, size - 1 - cut, true, &other);
    MUST (one.size == other.size && (one.size == 0 || memcmp (one.data, other.data, one.size) == 0));
    log_reader_free (&whole);
    log_reader_free (&parted);
}
