/* fuzz_docker.c - what docker build, or a RUN step, prints.
 *
 * covers: worker/docker_words.c worker/builder_judge.c worker/door_names.c */
#include "fuzz.h"
#include "worker/docker_private.h"

static const char dockerfile [] = "FROM base\nCOPY src /src\nRUN make\n";

static void judge (const docker_words_t *words)
{
    err_t err = { 0 };
    builder_outcome_t outcome = { .exit_status = 0 };
    docker_t docker = { .program = "docker", .root_folder = "/" };
    MUST (docker_judge_build (&docker, words, 1, &outcome, &err) == -1 && err.code != ERR_NONE);
    MUST (outcome.exit_status >= 0 && outcome.exit_status < 256 && fuzz_is_text (outcome.failed_step, sizeof outcome.failed_step));
    MUST (err.code != ERR_FULL && (err.code != ERR_FARM || words->is_daemon_gone));     /* by words alone no worker is to blame */
    MUST (!words->is_hopeless || err.code == ERR_PRUNED || err.code == ERR_REGISTRY_DENIED);
}

FUZZ_TARGET (docker)
{
    static door_t *door;
    registry_settings_t settings = { .timeout_ms = 1000 };
    if (!door)
        MUST (door_new (&door, 0, &settings, NULL, NULL) == 0);
    AUTO (reach) reach_t *reach = reach_new (dockerfile, sizeof dockerfile - 1, NULL);
    builder_task_t task = { .context_folder = "/var/lib/archfarm/attempts/7-1/context", .door = door, .on_line = fuzz_hear };
    AUTO_FREE docker_words_t *words = mem_alloc (sizeof *words);
    AUTO_JSON json_t *given = json_pack ("{s:b}", "127.0.0.1:5001/base", true);
    fuzz_input_t input = { data, size };
    size_t length = 0;
    task.argument = &length;
    *words = (docker_words_t) { .task = &task, .given = given, .reach = reach, .disk = { .folders = { "/" } } };
    while (input.size) {
        AUTO_FREE char *line = fuzz_line (&input, &length);
        docker_on_line (words, 'o', line, length);
    }
    MUST (fuzz_is_text (words->trigger, sizeof words->trigger) && fuzz_is_text (words->strange, sizeof words->strange) && fuzz_is_text (words->step, sizeof words->step));
    MUST (fuzz_is_text (words->words, sizeof words->words) && fuzz_is_text (words->error, sizeof words->error));
    judge (words);
}
