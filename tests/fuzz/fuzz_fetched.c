/* fuzz_fetched.c - what farm-coordinator-fetch says while it fetches a stranger's repository: frames, packs in them, and the outcome.
 *
 * covers: coordinator/fetch_word.c */
#include <string.h>

#include "common/msg.h"
#include "common/pack.h"
#include "coordinator/fetch.h"
#include "fuzz.h"

static void read_pack (const fetch_frame_t *frame)
{
    pack_reader_t reader;
    object_kind kind;
    digest_t digest;
    const uint8_t *object;
    size_t size;
    pack_reader_init (&reader, frame->data, frame->size);
    while (pack_read (&reader, &kind, &digest, &object, &size, NULL) > 0)
        MUST (size <= OBJECT_MAX);
    pack_reader_free (&reader);
}

static void read_outcome (const fetch_frame_t *frame)
{
    fetch_outcome_t outcome;
    err_t err = { 0 };
    int rc = fetch_outcome_read (&outcome, frame->data, frame->size, &err);
    MUST (memchr (outcome.commit, 0, sizeof outcome.commit));
    if (rc < 0)
        MUST (err.code != ERR_NONE && *err.text);
    else {
        MUST (outcome.dockerfile_size >= 0 && outcome.dockerfile_size <= FETCH_DOCKERFILE_MAX);
        MUST (!*outcome.commit || source_is_commit (outcome.commit));
    }
}

/* As much as has come is the same frame when more has come. */
FUZZ_TARGET (fetched)
{
    fetch_frame_t frame, again;
    err_t err = { 0 };
    int rc = 0;
    for (size_t at = 0; (rc = fetch_frame_read (&frame, data + at, size - at, &err)) > 0; at += FETCH_FRAME_HEAD + frame.size) {
        MUST (frame.size <= (frame.kind == 'P' ? (size_t) MSG_BODY_MAX : (size_t) FETCH_OUTCOME_MAX) && frame.size <= size - at - FETCH_FRAME_HEAD);
        MUST (fetch_frame_read (&again, data + at, FETCH_FRAME_HEAD + frame.size, NULL) == 1 && again.kind == frame.kind && again.size == frame.size);
        MUST (frame.size == 0 || fetch_frame_read (&again, data + at, FETCH_FRAME_HEAD + frame.size - 1, NULL) == 0);
        if (frame.kind == 'P')
            read_pack (&frame);
        else
            read_outcome (&frame);
    }
    MUST (rc == 0 || err.code == ERR_FARM);
}
