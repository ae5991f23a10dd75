/* letter_private.h - what the files of letters share. */
#ifndef FARM_LETTER_PRIVATE_H
#define FARM_LETTER_PRIVATE_H

#include "coordinator/letter.h"

/* A text field; "" where absent. */
const char *letter_text (const json_t *object, const char *field);
/* This machine's name. */
void letter_name_farm (char out [256]);
void letter_add_header (letter_t *self, const char *name, const char *value);
/* The end of the log of the attempt that it tells of (news_log.h). */
void letter_log_tail (const letter_t *self, buffer_t *out);

/* -- mails (letter_mail.c) */
int letter_begin_mail (letter_t *self, outcome_t *outcome);
void letter_end_mail (letter_t *self, CURLcode code, outcome_t *out);

#endif
