/* fuzz_buildah.c - what buildah, or a RUN step, prints.
 *
 * covers: worker/buildah_words.c worker/builder_judge.c */
#include "fuzz.h"
#include "worker/buildah_private.h"
#include "worker/builder_judge.h"

static const char dockerfile [] = "FROM base\nCOPY src /src\nRUN make\n";
static const char context_folder [] = "/var/lib/archfarm/attempts/7-1/context";

static void judge (const buildah_words_t *words)
{
    err_t err = { 0 };
    builder_outcome_t outcome = { .exit_status = 0 };
    buildah_t builder = { .program = "buildah", .state_folder = "/" };
    MUST (buildah_judge_build (&builder, words, 1, &outcome, &err) == -1 && err.code != ERR_NONE);
    MUST (outcome.exit_status >= 0 && outcome.exit_status < 256 && fuzz_is_text (outcome.failed_step, sizeof outcome.failed_step));
    MUST (!err_is_farm_fault (err.code));       /* by words alone no worker is to blame */
    MUST (builder_judge_push (words->task, &words->disk, words->error, &err) == -1 && err.code == ERR_FARM);
}

FUZZ_TARGET (buildah)
{
    static door_t *door;
    registry_settings_t settings = { .timeout_ms = 1000 };
    if (!door)
        MUST (door_new (&door, 0, &settings, NULL, NULL) == 0);
    AUTO (reach) reach_t *reach = reach_new (dockerfile, sizeof dockerfile - 1, NULL);
    builder_task_t task = { .context_folder = context_folder, .door = door, .on_line = fuzz_hear };
    AUTO_FREE buildah_words_t *words = mem_alloc (sizeof *words);
    fuzz_input_t input = { data, size };
    size_t length = 0;
    task.argument = &length;
    *words = (buildah_words_t) { .task = &task, .reach = reach, .disk = { .folders = { "/" } } };
    while (input.size) {
        AUTO_FREE char *line = fuzz_line (&input, &length);
        buildah_on_line (words, 'o', line, length);
    }
    MUST (fuzz_is_text (words->trigger, sizeof words->trigger) && fuzz_is_text (words->step, sizeof words->step));
    MUST (fuzz_is_text (words->words, sizeof words->words) && fuzz_is_text (words->error, sizeof words->error));
    judge (words);
    words->reads_more = false;
    judge (words);
}
