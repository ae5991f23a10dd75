/* letter_private.h - what the files of letters share. */
#ifndef FARM_LETTER_PRIVATE_H
#define FARM_LETTER_PRIVATE_H

#include "coordinator/letter.h"

/* A text field; "" where absent. */
const char *letter_text (const json_t *object, const char *field);
/* This machine's name. */
void letter_name_farm (char out [256]);

/* -- mails (letter_mail.c) */
int letter_begin_mail (letter_t *self, outcome_t *outcome);
void letter_end_mail (letter_t *self, CURLcode code, outcome_t *out);

#endif
