/* fetch_word.c - see fetch.h: what farm-coordinator-fetch says, as the coordinator hears it. */
#include <string.h>

#include "common/msg.h"
#include "coordinator/fetch.h"

int fetch_frame_read (fetch_frame_t *out, const uint8_t *bytes, size_t size, err_t *err)
{
    if (size < FETCH_FRAME_HEAD)
        return 0;
    size_t length = fetch_frame_size (bytes), most = bytes [0] == 'P' ? MSG_BODY_MAX : bytes [0] == 'R' ? FETCH_OUTCOME_MAX : 0;
    if (most == 0 || length > most)
        return err_set (err, ERR_FARM, "farm-coordinator-fetch says something that is no frame");
    *out = (fetch_frame_t) { (char) bytes [0], bytes + FETCH_FRAME_HEAD, length };
    return size - FETCH_FRAME_HEAD >= length;
}

static int read_digest (digest_t *out, const json_t *hex)
{
    return json_is_string (hex) ? digest_from_hex (out, json_string_value (hex), NULL) : -1;
}

static int read_commit (char out [65], const json_t *commit)
{
    if (!commit)
        return 0;
    if (!json_is_string (commit) || !source_is_commit (json_string_value (commit)))
        return -1;
    strcpy (out, json_string_value (commit));
    return 0;
}

static int read_what_came (fetch_outcome_t *out, const json_t *json)
{
    const json_t *dockerfile = json_object_get (json, "dockerfile"), *size = json_object_get (dockerfile, "size");
    out->dockerfile_size = json_integer_value (size);
    return read_digest (&out->context, json_object_get (json, "context")) == 0 && read_digest (&out->dockerfile, json_object_get (dockerfile, "digest")) == 0
           && json_is_integer (size) && out->dockerfile_size >= 0 && out->dockerfile_size <= FETCH_DOCKERFILE_MAX
           && read_commit (out->commit, json_object_get (json, "commit")) == 0 ? 0 : -1;
}

int fetch_outcome_read (fetch_outcome_t *out, const uint8_t *text, size_t size, err_t *err)
{
    AUTO_JSON json_t *json = json_loadb ((const char *) text, size, JSON_REJECT_DUPLICATES, NULL);
    memset (out, 0, sizeof *out);
    out->is_unconfined = json_is_false (json_object_get (json, "is_confined"));
    if (json_is_false (json_object_get (json, "ok"))) {
        const char *code = json_string_value (json_object_get (json, "code")), *why = json_string_value (json_object_get (json, "text"));
        return err_set (err, code ? err_from_name (code) : ERR_FARM, "%s", why && *why ? why : "farm-coordinator-fetch gives no reason");
    }
    if (!json_is_true (json_object_get (json, "ok")) || read_what_came (out, json) < 0)
        return err_set (err, ERR_FARM, "farm-coordinator-fetch ends with an outcome that is none");
    return 0;
}
