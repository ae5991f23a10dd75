/* base_names.c - see base_names.h. One pass notes what each stage begins with or takes from; then the target's stage is followed back. */
#include "common/base_names.h"

#include <stdlib.h>
#include <string.h>

#include "common/base_words.h"
#include "common/mem.h"

enum { USES_MAX = 256 };

/* What a stage begins with, or takes something from. */
typedef struct {
    int by, of;                         /* stages; of BASE_NO_STAGE: an image of a registry */
    bool is_begin;
    base_name_t name;
} use_t;

typedef struct {
    base_words_t words;
    use_t uses [USES_MAX];
    int use_count;
    bool is_too_much;
} reader_t;

/* A stage of itself is the builder's to refuse. */
static void on_word (void *argument, const base_word_t *word)
{
    reader_t *self = argument;
    use_t use = { .by = word->by, .of = word->of, .is_begin = word->is_begin };
    if (!word->name || word->by < 0 || word->of == word->by || (word->of == BASE_NO_STAGE && !base_words_image (word->name, &use.name.reference)))
        return;
    strcpy (use.name.platform, word->platform);
    if (self->use_count == USES_MAX)
        self->is_too_much = true;
    else
        self->uses [self->use_count++] = use;
}

/* -- what the target needs ----------------------------------------------------------------------------------------- */

static void add_name (base_names_t *out, const base_name_t *name, bool is_last)
{
    for (size_t i = 0; i < out->count; i++) {
        base_name_t *known = &out->items [i];
        if (memcmp (&known->reference, &name->reference, sizeof known->reference) == 0 && strcmp (known->platform, name->platform) == 0) {
            known->is_last |= is_last;
            return;
        }
    }
    if (out->count == BASE_NAMES_MAX)
        return;
    out->items [out->count] = *name;
    out->items [out->count++].is_last = is_last;
}

/* A stage needs only stages before it. */
static void follow (const reader_t *self, int target, base_names_t *out)
{
    bool is_needed [BASE_STAGES_MAX] = { false }, is_trunk [BASE_STAGES_MAX] = { false };
    is_needed [target] = is_trunk [target] = true;
    for (int stage = target; stage >= 0; stage--)
        for (int i = 0; i < self->use_count; i++) {
            const use_t *use = &self->uses [i];
            if (use->by != stage || use->of == BASE_NO_STAGE || !is_needed [stage])
                continue;
            is_needed [use->of] = true;
            is_trunk [use->of] |= use->is_begin && is_trunk [stage];
        }
    for (int i = 0; i < self->use_count; i++)
        if (self->uses [i].of == BASE_NO_STAGE && is_needed [self->uses [i].by])
            add_name (out, &self->uses [i].name, self->uses [i].is_begin && is_trunk [self->uses [i].by]);
}

void base_names_find (const char *text, size_t size, const json_t *build_args, const char *target, const char *platform, base_names_t *out)
{
    AUTO_FREE reader_t *self = mem_alloc (sizeof *self);
    base_words_t *words = &self->words;
    *words = (base_words_t) { .build_args = build_args, .platform = platform, .on_word = on_word, .argument = self };
    memset (out, 0, sizeof *out);
    base_words_read (words, text, size);
    int stage = target && *target ? base_words_find_stage (words, target, true) : words->stage_count - 1;
    if (!words->is_doubtful && !self->is_too_much && stage >= 0)
        follow (self, stage, out);
}
