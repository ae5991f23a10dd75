/* fuzz_news.c - what users, builders and workers have said, on its way into a mail: one line, a header, the text; and addresses.
 *
 * covers: coordinator/news_words.c coordinator/news_address.c coordinator/letter_mail.c */
#include <string.h>

#include "common/mem.h"
#include "coordinator/letter.h"
#include "coordinator/news.h"
#include "coordinator/news_words.h"
#include "coordinator/subscribers.h"
#include "fuzz.h"

enum { LINE = 200, WORD_LINE_MAX = 76 };

static void must_be_one_line (const char *line, size_t max)
{
    MUST (strlen (line) <= max);
    for (const char *c = line; *c; c++)
        MUST ((unsigned char) *c >= ' ' && *c != 0x7f);
    AUTO_JSON json_t *is_utf8 = json_string (line);
    MUST (is_utf8 != NULL);
}

/* Folded lines begin with a blank, and none of them is too long; no byte of it is beyond ASCII. */
static void must_be_header (const char *value)
{
    size_t column = 0;
    for (const char *c = value; *c; c++, column++) {
        MUST ((unsigned char) *c < 0x80);
        if (*c == '\n')
            MUST (c > value && c [-1] == '\r' && c [1] == ' ');
        else if (*c == '\r')
            MUST (c [1] == '\n');
        column = *c == '\n' ? 0 : column;
        MUST (!strchr (value, '\n') || column <= WORD_LINE_MAX);
    }
}

static void check_address (const char *text)
{
    const engine_settings_t any = { .has_mail = true };
    if (news_check_mail (&any, text, NULL) == 0)
        MUST (!strpbrk (text, " \t\r\n<>\"(),:;[]\\") && strchr (text, '@'));
    if (news_check_hook (&any, text, NULL) == 0)
        MUST (strncasecmp (text, "https://", 8) == 0 && !strpbrk (text, " \t\r\n"));
}

FUZZ_TARGET (news)
{
    static const char *const events [] = { NEWS_FAILED, NEWS_FIXED, NEWS_SUCCEEDED, NEWS_MISSED, NEWS_LOST, NEWS_QUARANTINED, NEWS_TEST };
    fuzz_input_t input = { data, size };
    AUTO_FREE char *event = fuzz_line (&input, NULL), *step = fuzz_line (&input, NULL), *text = fuzz_rest (&input, NULL);
    AUTO_FREE char *line = news_words_line (text, LINE), *header = letter_encode_words (line), *log = news_words_log_line (text, LINE);
    must_be_one_line (line, LINE);
    must_be_one_line (log, LINE);
    must_be_header (header);
    check_address (step);
    AUTO_JSON json_t *facts = json_pack ("{s:s?, s:s?, s:s?, s:s?, s:i}", "platform", "linux/amd64", "step", step, "text", text, "schedule", event, "times", 2);
    if (!facts)
        return;                             /* no UTF-8: no message has it */
    AUTO_BUFFER buffer_t body = { 0 };
    news_words_title (events [strlen (event) % 7], facts);
    must_be_one_line (json_string_value (json_object_get (facts, "title")), 240);
    news_words_body (events [strlen (event) % 7], facts, "", "mine", "farm", &body);
    AUTO_JSON json_t *is_utf8 = json_stringn ((const char *) body.data, body.size);
    MUST (is_utf8 != NULL);
}
