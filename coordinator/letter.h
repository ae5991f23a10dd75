/* letter.h - one news on its way: a mail or a call of a hook, as libcurl is to carry it, and what came of it. Whoever drives libcurl (courier.h)
 * owns it meanwhile. */
#ifndef FARM_LETTER_H
#define FARM_LETTER_H

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/inside.h"
#include "common/keys.h"
#include "common/mem.h"

/* What all of them need; borrowed, and so is what it points at. */
typedef struct {
    uint8_t key [KEY_SIZE];                 /* hook_secret.h */
    const char *logs_folder;
    const char *mail_server, *mail_from, *mail_user, *mail_password_file, *mail_ca_file;       /* server NULL: no mail */
    const char *const *mail_allow;
    bool is_mail_tls;
    int mail_timeout_ms;
    const char *const *hook_plain_http, *const *hook_inside;
    const char *hook_ca_file;
    int hook_timeout_ms;
} letter_settings_t;

typedef struct {
    const letter_settings_t *settings;
    json_t *task;                           /* as engine.h's ACTION_NEWS has it; owned */
    bool is_mail;
    CURL *easy;
    struct curl_slist *headers, *to;
    curl_mime *mime;
    buffer_t body;
    guard_t guard;
    bool is_guarded;
    size_t received_bytes;
    char error [CURL_ERROR_SIZE], where [280];
} letter_t;

/* What came of it, for the event `delivered`. final: to try again would be the same again. */
typedef struct {
    bool is_ok, is_final;
    int64_t retry_after_s;
    char text [1024];
} outcome_t;

/* Takes task. Where it cannot even be begun, *outcome says so, and NULL is returned. */
letter_t *letter_new (const letter_settings_t *settings, json_t *task, int64_t now_ms, outcome_t *outcome);
void letter_destroy (letter_t **self);

void letter_end (letter_t *self, CURLcode code, outcome_t *out);

/* A setting that names a file with a password: its first line, to the caller, who wipes it. ERR_USAGE where others than its owner can read it, or
 * where it is another's. */
char *letter_read_password (const char *path, err_t *err);

/* A header's value: as it is where that is ASCII, else as encoded words (RFC 2047). One line that news_words_line has made; the caller frees. */
char *letter_encode_words (const char *line);

#endif
