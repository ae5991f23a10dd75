/* news_words.c - see news_words.h. */
#include "coordinator/news_words.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "coordinator/news.h"

enum { TITLE_MAX = 200, WORDS_MAX = 120, TEXT_MAX = 1000, ALSO_SHOWN = 20 };

/* -- one line --------------------------------------------------------------------------------------------------- */

/* Nothing that a line or its reader is led astray by: C0, C1, line and paragraph separators, and the marks that turn text round. */
static bool is_plain (gunichar c)
{
    return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && c != 0x2028 && c != 0x2029 && !(c >= 0x202a && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069)
           && c != 0xfeff;
}

static void add_plain (buffer_t *out, const char *text, bool keeps_blanks)
{
    for (const char *at = text; *at; at = g_utf8_next_char (at)) {
        bool is_fine = is_plain (g_utf8_get_char (at));
        bool is_blank = !is_fine || *at == ' ';
        if (is_blank && !keeps_blanks && (out->size == 0 || out->data [out->size - 1] == ' '))
            continue;
        buffer_append (out, is_blank ? " " : at, is_blank ? 1 : (size_t) (g_utf8_next_char (at) - at));
    }
    buffer_append (out, "", 1);
    out->size--;
}

/* A place to cut at that is no character's middle. */
static size_t cut_at (const char *text, size_t max)
{
    while (max > 0 && ((unsigned char) text [max] & 0xc0) == 0x80)
        max--;
    return max;
}

static char *line_of (const char *text, size_t max, bool keeps_blanks)
{
    AUTO_BUFFER buffer_t plain = { 0 };
    gchar *valid = g_utf8_make_valid (text ? text : "", -1);
    add_plain (&plain, valid, keeps_blanks);
    g_free (valid);
    const char *line = (const char *) plain.data;
    if (plain.size <= max)
        return mem_strdup (line);
    return mem_printf ("%.*s…", (int) cut_at (line, max - 3), line);
}

char *news_words_line (const char *text, size_t max)
{
    return line_of (text, max, false);
}

char *news_words_log_line (const char *text, size_t max)
{
    return line_of (text, max, true);
}

/* -- facts ------------------------------------------------------------------------------------------------------ */

static const char *text_of (const json_t *facts, const char *field)
{
    const char *text = json_string_value (json_object_get (facts, field));
    return text ? text : "";
}

static long long int_of (const json_t *facts, const char *field)
{
    return json_integer_value (json_object_get (facts, field));
}

/* Of a reason as the worker has it ("building at STEP …: exit status 2; before that: make: *** Error 2") what the builder said last. */
static const char *last_words (const json_t *facts)
{
    static const char mark [] = "; before that: ";
    const char *text = text_of (facts, "text"), *last = strstr (text, mark);
    for (const char *next = last; next; next = strstr (next + 1, mark))
        last = next;
    return last && last [sizeof mark - 1] ? last + sizeof mark - 1 : text;
}

/* "nightly", "build 42 of registry.lan/team/app:1.4", "worker pi4" */
static char *name_of (const json_t *facts)
{
    const json_t *build = json_object_get (facts, "build");
    const char *schedule = text_of (facts, "schedule"), *worker = text_of (facts, "worker");
    if (*schedule)
        return mem_strdup (schedule);
    if (build)
        return mem_printf ("build %lld of %s", int_of (build, "id"), json_string_value (json_array_get (json_object_get (build, "tags"), 0)));
    return *worker ? mem_printf ("worker %s", worker) : mem_strdup ("the farm");
}

static void title_of_failure (const json_t *facts, const char *name, buffer_t *out)
{
    AUTO_FREE char *step = news_words_line (text_of (facts, "step"), 60), *words = news_words_line (last_words (facts), WORDS_MAX);
    buffer_printf (out, "%s failed", name);
    if (*text_of (facts, "platform"))
        buffer_printf (out, ": %s%s%s", text_of (facts, "platform"), *step ? ", " : "", step);
    buffer_printf (out, ": %s", words);
    if (int_of (facts, "times") > 1)
        buffer_printf (out, " (and %lld more)", int_of (facts, "times") - 1);
}

static void title_of_miss (const json_t *facts, const char *name, buffer_t *out)
{
    long long more = (long long) json_array_size (json_object_get (facts, "also"));
    AUTO_FREE char *words = news_words_line (text_of (facts, "text"), WORDS_MAX);
    if (more > 0)
        buffer_printf (out, "%s and %lld more schedules did not run: %s", name, more, words);
    else
        buffer_printf (out, "%s did not run: %s", name, words);
}

static const char *became (const char *event)
{
    static const struct { const char *event, *words; } rows [] = {
        { NEWS_FIXED, "is fixed" }, { NEWS_LOST, "is lost" }, { NEWS_QUARANTINED, "is quarantined" }, { NEWS_TEST, "says hello" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp (rows [i].event, event) == 0)
            return rows [i].words;
    return "succeeded";
}

void news_words_title (const char *event, json_t *facts)
{
    AUTO_BUFFER buffer_t out = { 0 };
    AUTO_FREE char *name = name_of (facts), *words = news_words_line (text_of (facts, "text"), WORDS_MAX);
    if (strcmp (event, NEWS_FAILED) == 0)
        title_of_failure (facts, name, &out);
    else if (strcmp (event, NEWS_MISSED) == 0)
        title_of_miss (facts, name, &out);
    else
        buffer_printf (&out, "%s %s%s%s", name, became (event), *words ? ": " : "", words);
    AUTO_FREE char *line = news_words_line ((const char *) out.data, TITLE_MAX);
    json_object_set_new (facts, "title", json_string (line));
}

/* -- a mail ----------------------------------------------------------------------------------------------------- */

static void row (buffer_t *out, const char *name, const char *value)
{
    AUTO_FREE char *line = news_words_line (value, TEXT_MAX);
    if (*line)
        buffer_printf (out, "%-10s %s\n", name, line);
}

static void add_time (buffer_t *out, const char *name, int64_t at_ms)
{
    char text [40];
    time_t seconds = (time_t) (at_ms / 1000);
    struct tm parts;
    if (at_ms > 0 && gmtime_r (&seconds, &parts) && strftime (text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts))
        row (out, name, text);
}

/* What failed, where, and the builder's last words: first, as a telephone shows no more. */
static void add_cause (const json_t *facts, buffer_t *out)
{
    AUTO_FREE char *step = news_words_line (text_of (facts, "step"), TEXT_MAX), *words = news_words_line (text_of (facts, "text"), TEXT_MAX);
    AUTO_FREE char *last = news_words_line (last_words (facts), TEXT_MAX);
    if (*text_of (facts, "platform"))
        buffer_printf (out, "%s%s%s\n", text_of (facts, "platform"), *step ? ", " : "", step);
    if (*last)
        buffer_printf (out, "%s\n", last);
    if (strcmp (last, words) != 0)
        buffer_printf (out, "\n%s\n", words);
    buffer_text (out, "\n");
}

static void add_build (const json_t *facts, buffer_t *out)
{
    const json_t *build = json_object_get (facts, "build");
    json_t *tag;
    size_t i;
    if (!build)
        return;
    AUTO_FREE char *number = mem_printf ("%lld, of %s", int_of (build, "id"), text_of (build, "user"));
    row (out, "build", number);
    json_array_foreach (json_object_get (build, "tags"), i, tag)
        row (out, i ? "" : "tags", json_string_value (tag));
    row (out, "digest", text_of (build, "digest"));
    row (out, "note", text_of (build, "note"));
}

static void add_also (const json_t *facts, buffer_t *out)
{
    const json_t *also = json_object_get (facts, "also");
    for (size_t i = 0; i < json_array_size (also) && i < ALSO_SHOWN; i++) {
        const json_t *one = json_array_get (also, i);
        AUTO_FREE char *name = name_of (one);
        AUTO_FREE char *line = int_of (one, "missed") ? mem_printf ("%s, %lld times", name, int_of (one, "missed")) : mem_strdup (name);
        row (out, i ? "" : "also", line);
    }
    if (json_array_size (also) > ALSO_SHOWN)
        buffer_printf (out, "           and %zu more\n", json_array_size (also) - ALSO_SHOWN);
}

static void add_advice (const char *event, const json_t *facts, buffer_t *out)
{
    long long build = int_of (json_object_get (facts, "build"), "id");
    if (build)
        buffer_printf (out, "more       farmctl inspect %lld; farmctl logs %lld\n", build, build);
    else if (*text_of (facts, "schedule"))
        buffer_printf (out, "more       farmctl schedule inspect %s\n", text_of (facts, "schedule"));
    else if (*text_of (facts, "worker"))
        buffer_printf (out, "more       farmctl worker inspect %s\n", text_of (facts, "worker"));
    if (strcmp (event, NEWS_FAILED) == 0 || strcmp (event, NEWS_LOST) == 0 || strcmp (event, NEWS_QUARANTINED) == 0)
        buffer_text (out, "\nThe same cause is not told again until it is over.\n");
}

void news_words_body (const char *event, const json_t *facts, const char *log, const char *name, const char *farm, buffer_t *out)
{
    add_cause (facts, out);
    add_build (facts, out);
    row (out, "schedule", text_of (facts, "schedule"));
    row (out, "worker", text_of (facts, "worker"));
    add_time (out, "scheduled", int_of (facts, "scheduled_ms"));
    add_time (out, "at", int_of (facts, "at_ms"));
    add_time (out, "since", int_of (facts, "since_ms"));
    add_also (facts, out);
    add_advice (event, facts, out);
    if (*log)
        buffer_printf (out, "\nThe end of the log of %s:\n\n%s", *text_of (facts, "platform") ? text_of (facts, "platform") : "the build", log);
    buffer_printf (out, "\n-- \nnews %s of the build farm at %s; farmctl news rm %s ends them\n", name, farm, name);
}
