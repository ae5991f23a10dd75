/* letter_mail.c - see letter.h: a mail. libcurl speaks SMTP and encodes the text (quoted-printable); headers are made here, each of one line that
 * nobody else can end (news_words.h). */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "coordinator/base64.h"
#include "coordinator/letter_private.h"
#include "coordinator/news_words.h"
#include "coordinator/subscribers.h"

enum { WORD_BYTES = 45, PASSWORD_MAX = 1024, TITLE_MAX = 240 };     /* 45 bytes of text are 60 of base64: with the rest of the word below 76 (RFC 2047, 2) */

/* -- the password ------------------------------------------------------------------------------------------------- */

static int check_owner (int fd, const char *path, err_t *err)
{
    struct stat is;
    if (fstat (fd, &is) < 0)
        return err_sys (err, errno, "look at %s", path);
    if (!S_ISREG (is.st_mode))
        return err_set (err, ERR_USAGE, "%s is no file", path);
    if (is.st_mode & 077)
        return err_set (err, ERR_USAGE, "%s can be read by others than its owner: chmod 600 %s", path, path);
    if (is.st_uid != geteuid () && is.st_uid != 0)
        return err_set (err, ERR_USAGE, "%s belongs to another user: it has to be this program's, or root's", path);
    return 0;
}

char *letter_read_password (const char *path, err_t *err)
{
    char text [PASSWORD_MAX + 1];
    AUTO_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        err_sys (err, errno, "open %s", path);
        return NULL;
    }
    if (check_owner (fd, path, err) < 0)
        return NULL;
    ssize_t size = read (fd, text, PASSWORD_MAX);
    text [size < 0 ? 0 : size] = 0;
    text [strcspn (text, "\r\n")] = 0;
    char *password = *text ? mem_strdup (text) : NULL;
    sodium_memzero (text, sizeof text);
    if (!password)
        err_set (err, ERR_USAGE, "%s has no password in its first line", path);
    return password;
}

/* -- headers ------------------------------------------------------------------------------------------------------ */

static bool is_ascii (const char *line)
{
    for (; *line; line++)
        if ((unsigned char) *line >= 0x80)
            return false;
    return true;
}

/* So many bytes of it fit into one word, and are whole characters. */
static size_t word_size (const char *text)
{
    size_t size = strlen (text);
    if (size <= WORD_BYTES)
        return size;
    for (size = WORD_BYTES; size > 1 && ((unsigned char) text [size] & 0xc0) == 0x80; )
        size--;
    return size;
}

/* A line that looks like an encoded word would be read as one. */
char *letter_encode_words (const char *line)
{
    AUTO_BUFFER buffer_t out = { 0 };
    if (is_ascii (line) && !strstr (line, "=?"))
        return mem_strdup (line);
    for (size_t size; (size = word_size (line)) > 0; line += size) {
        AUTO_FREE char *word = base64_encode (line, size);
        buffer_printf (&out, "%s=?UTF-8?B?%s?=", out.size ? "\r\n " : "", word);
    }
    return mem_strdup ((const char *) out.data);
}

/* The same each time it is sent, so that whoever gets it twice can tell. */
static char *id_of (const letter_t *self, const char *uid)
{
    const char *domain = strrchr (self->settings->mail_from, '@');
    return mem_printf ("<%s.news%s>", uid, domain ? domain : "@archfarm");
}

static void add_thread (letter_t *self)
{
    const char *uid = letter_text (self->task, "uid"), *thread = letter_text (self->task, "thread");
    AUTO_FREE char *own = id_of (self, uid), *first = id_of (self, thread);
    letter_add_header (self, "Message-ID", own);
    if (strcmp (uid, thread) == 0)
        return;
    letter_add_header (self, "In-Reply-To", first);
    letter_add_header (self, "References", first);
}

static void add_date (letter_t *self)
{
    char text [64];
    time_t seconds = (time_t) (json_integer_value (json_object_get (self->task, "at_ms")) / 1000);
    struct tm parts;
    if (gmtime_r (&seconds, &parts) && strftime (text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &parts))
        letter_add_header (self, "Date", text);
}

static void add_headers (letter_t *self)
{
    AUTO_FREE char *title = news_words_line (letter_text (json_object_get (self->task, "facts"), "title"), TITLE_MAX);
    AUTO_FREE char *whole = mem_printf ("[archfarm] %s", title), *subject = letter_encode_words (whole);
    AUTO_FREE char *from = mem_printf ("archfarm <%s>", self->settings->mail_from), *to = mem_printf ("<%s>", letter_text (self->task, "address"));
    letter_add_header (self, "From", from);
    letter_add_header (self, "To", to);
    letter_add_header (self, "Subject", subject);
    add_date (self);
    add_thread (self);
    letter_add_header (self, "Auto-Submitted", "auto-generated");         /* RFC 3834: nobody's holiday is to be told to it */
    letter_add_header (self, "X-Archfarm-Event", letter_text (self->task, "event"));
}

/* -- the text ----------------------------------------------------------------------------------------------------- */

/* Lines end with CRLF in a mail. */
static char *with_crlf (const buffer_t *text)
{
    AUTO_BUFFER buffer_t out = { 0 };
    for (size_t i = 0; i < text->size; i++)
        buffer_append (&out, text->data [i] == '\n' ? "\r\n" : (const char *) &text->data [i], text->data [i] == '\n' ? 2 : 1);
    buffer_append (&out, "", 1);
    return (char *) take (&out.data);
}

static void add_body (letter_t *self)
{
    char farm [256];
    const json_t *facts = json_object_get (self->task, "facts");
    AUTO_BUFFER buffer_t log = { 0 }, text = { 0 };
    letter_name_farm (farm);
    letter_log_tail (self, &log);
    news_words_body (letter_text (self->task, "event"), facts, log.size ? (const char *) log.data : "", letter_text (self->task, "name"), farm, &text);
    AUTO_FREE char *lines = with_crlf (&text);
    self->mime = curl_mime_init (self->easy);
    curl_mimepart *part = curl_mime_addpart (self->mime);
    curl_mime_data (part, lines, CURL_ZERO_TERMINATED);
    curl_mime_type (part, "text/plain; charset=utf-8");
    curl_mime_encoder (part, "quoted-printable");
}

static int set_login (letter_t *self, outcome_t *outcome)
{
    err_t err;
    if (!self->settings->mail_user)
        return 0;
    char *password = letter_read_password (self->settings->mail_password_file, &err);
    if (!password) {
        snprintf (outcome->text, sizeof outcome->text, "mail/password-file: %.400s", err.text);
        return -1;
    }
    curl_easy_setopt (self->easy, CURLOPT_USERNAME, self->settings->mail_user);
    curl_easy_setopt (self->easy, CURLOPT_PASSWORD, password);
    sodium_memzero (password, strlen (password));
    free (password);
    return 0;
}

/* The server is the admin's word, so it may be anywhere; no proxy of the environment comes between. */
static void set_server (letter_t *self)
{
    const letter_settings_t *settings = self->settings;
    AUTO_FREE char *from = mem_printf ("<%s>", settings->mail_from), *to = mem_printf ("<%s>", letter_text (self->task, "address"));
    self->to = curl_slist_append (NULL, to);
    curl_easy_setopt (self->easy, CURLOPT_URL, settings->mail_server);
    curl_easy_setopt (self->easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt (self->easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
    curl_easy_setopt (self->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt (self->easy, CURLOPT_PROXY, "");
    curl_easy_setopt (self->easy, CURLOPT_CONNECTTIMEOUT_MS, (long) settings->mail_timeout_ms);
    curl_easy_setopt (self->easy, CURLOPT_TIMEOUT_MS, (long) settings->mail_timeout_ms);
    curl_easy_setopt (self->easy, CURLOPT_USE_SSL, settings->is_mail_tls ? (long) CURLUSESSL_ALL : (long) CURLUSESSL_NONE);
    if (settings->mail_ca_file)
        curl_easy_setopt (self->easy, CURLOPT_CAINFO, settings->mail_ca_file);
    curl_easy_setopt (self->easy, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt (self->easy, CURLOPT_MAIL_RCPT, self->to);
    curl_easy_setopt (self->easy, CURLOPT_HTTPHEADER, self->headers);
    curl_easy_setopt (self->easy, CURLOPT_MIMEPOST, self->mime);
}

int letter_begin_mail (letter_t *self, outcome_t *outcome)
{
    if (!self->settings->mail_server || !self->settings->mail_from) {
        snprintf (outcome->text, sizeof outcome->text, "the coordinator has no mail server: mail/server and mail/from in its settings say which");
        return -1;
    }
    if (!news_mail_is_allowed (self->settings->mail_allow, letter_text (self->task, "address"))) {
        *outcome = (outcome_t) { .is_final = true, .text = "the farm sends no mail there (any more): mail/allow in the coordinator's settings" };
        return -1;
    }
    snprintf (self->where, sizeof self->where, "%.250s", self->settings->mail_server);
    if (set_login (self, outcome) < 0)
        return -1;
    add_headers (self);
    add_body (self);
    set_server (self);
    return 0;
}

/* 550 to 554: no such mailbox, not taken from us, too large. A password that is wrong, and TLS that is not there, are for an admin to put right. */
void letter_end_mail (letter_t *self, CURLcode code, outcome_t *out)
{
    long status = 0;
    curl_easy_getinfo (self->easy, CURLINFO_RESPONSE_CODE, &status);
    out->is_ok = code == CURLE_OK;
    out->is_final = (code == CURLE_SEND_ERROR || code == CURLE_WEIRD_SERVER_REPLY) && status >= 550 && status <= 554;
    if (out->is_ok)
        snprintf (out->text, sizeof out->text, "%s: %ld", self->where, status);
    else
        snprintf (out->text, sizeof out->text, "%s: %.200s%s", self->where, self->error [0] ? self->error : curl_easy_strerror (code),
                  code == CURLE_LOGIN_DENIED ? "; check mail/user and mail/password-file" : code == CURLE_USE_SSL_FAILED ? "; mail/tls = no sends without TLS" : "");
}
