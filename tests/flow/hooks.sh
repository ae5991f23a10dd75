#!/bin/bash
# POST /hooks/NAME starts a schedule's build when it is signed as GitHub, Gitea, Forgejo or GitLab sign; what is signed otherwise is refused, told
# in the audit log, and starts nothing; what is sent twice is one build.
. "${top_srcdir:-.}/tests/lib/farm.sh"
farm_up
app=$(context app <<< $'FROM %BASE%\nRUN echo hooked > /hooked')
secret=whsec_$(head -c 32 /dev/urandom | base64)

# post NAME BODY HEADER…: what is answered to $work/body, the status to $work/status
post ()
{
    local name=$1 header args=()
    printf '%s' "$2" > "$work/sent"
    for header in "${@:3}"; do args+=(-H "$header"); done
    curl -sS --max-time 30 -o "$work/body" -w '%{http_code}' -H 'Content-Type: application/json' "${args[@]}" --data-binary "@$work/sent" \
        "$FARM_HTTP/hooks/$name" > "$work/status"
}

# answers STATUS [TEXT]
answers ()
{
    expect "status" "$(cat "$work/status"): $(head -c 200 "$work/body")" "$1: $(head -c 200 "$work/body")"
    [ -z "${2:-}" ] || expect_text "$work/body" "$2"
}

mac ()
{
    printf '%s' "$1" | openssl dgst -sha256 -hmac "${2:-$secret}" -r | cut -d ' ' -f 1
}

# standard ID TIME BODY: a signature of the Standard Webhooks specification
standard ()
{
    local key
    key=$(base64 -d <<< "${secret#whsec_}" | od -An -v -tx1 | tr -d ' \n')
    printf '%s.%s.%s' "$1" "$2" "$3" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64
}

# push N: a body as forges send it, another one for each N
push ()
{
    printf '{"ref": "refs/heads/%s", "after": "%040d", "n": %d}' "${2:-main}" "$1" "$1"
}

built ()
{
    answers 202
    jq .build "$work/body"
}

builds ()
{
    farmctl ls --json | jq '.builds | length'
}

schedule ()
{
    farmctl schedule inspect nightly --json | jq -r "$1"
}

# The next is held up no more
settle ()
{
    wait_state "$1" published
}

# -- setting one up ----------------------------------------------------------------------------------------------------

set_up ()
{
    printf '%s\n' "$secret" > "$work/secret"
    run 0 farmctl schedule add nightly --cron '@yearly' --platform "$native" --no-result-cache -t "$REGISTRY/hooks/app:{build}" "$app"
    run 0 farmctl schedule hook nightly
    expect_text <(cut -c 1-6 "$work/out") whsec_
    expect "bytes of its key" "$(sed 's/whsec_//' "$work/out" | base64 -d | wc -c)" 32
    run 0 farmctl schedule hook nightly --secret-file "$work/secret"
    expect "what is printed of a secret from a file" "$(cat "$work/out")" ""
    expect "branch" "$(schedule .hook.branch)" ""
    run 0 farmctl schedule inspect nightly
    expect_text "$work/out" "POST /hooks/nightly"
    farmctl schedule inspect nightly --json > "$work/json"
    expect_json schedule < "$work/json"
    expect_no_text "$work/json" "$secret"
}
check "a schedule gets a hook" set_up

wrong_wishes ()
{
    echo short > "$work/short"
    run 2 farmctl schedule hook nightly --secret-file "$work/short"
    expect_text "$work/err" "it can have 16 to 256"
    run 2 farmctl schedule hook nightly --remove --branch main
    run 2 farmctl schedule hook nobodys
}
check "no hook with a short secret, and none of no schedule" wrong_wishes

# -- signed ------------------------------------------------------------------------------------------------------------

# signed NAME HEADER…: a build of its own, and none more when it comes again
signed ()
{
    local id body
    body=$(cat "$work/push")
    post nightly "$body" "$@"
    id=$(built)
    settle "$id"
    expect "the user" "$(field "$id" .user)" "$(schedule .user)"
    post nightly "$body" "$@"
    expect "the build of the same again" "$(built)" "$id"
}

github ()
{
    push 1 > "$work/push"
    signed "X-Hub-Signature-256: sha256=$(mac "$(push 1)")" "X-GitHub-Event: push" "X-GitHub-Delivery: one"
    post nightly "$(push 1)" "X-Hub-Signature-256: sha256=$(mac "$(push 1)")" "X-GitHub-Delivery: another, which nobody has signed"
    expect "the build of the same under another id" "$(built)" "$(farmctl ls --json | jq '.builds[0].id')"
}
check "as GitHub signs" github

gitea ()
{
    push 2 > "$work/push"
    signed "X-Gitea-Signature: $(mac "$(push 2)")" "X-Gitea-Delivery: two"
}
check "as Gitea signs" gitea

forgejo ()
{
    push 3 > "$work/push"
    signed "X-Forgejo-Signature: $(mac "$(push 3)")"
}
check "as Forgejo signs" forgejo

gitlab ()
{
    push 4 > "$work/push"
    signed "X-Gitlab-Token: $secret" "Idempotency-Key: four"
    post nightly "$(push 4)" "X-Gitlab-Token: $secret" "Idempotency-Key: five"
    settle "$(built)"
}
check "with GitLab's token, by its id" gitlab

gitlab_signed ()
{
    local now
    now=$(date +%s)
    push 6 > "$work/push"
    signed "webhook-id: six" "webhook-timestamp: $now" "webhook-signature: v1,$(printf 'x%.0s' {1..43})= v1,$(standard six "$now" "$(push 6)")"
}
check "as GitLab signs" gitlab_signed

ping ()
{
    local before
    before=$(builds)
    post nightly '{"zen": "n"}' "X-Hub-Signature-256: sha256=$(mac '{"zen": "n"}')" "X-GitHub-Event: ping"
    answers 200 pong
    expect "builds" "$(builds)" "$before"
}
check "GitHub's ping builds nothing" ping

# -- not signed --------------------------------------------------------------------------------------------------------

audited ()
{
    farmctl audit show --json | jq -e --arg text "$1" '[.rows[] | select (.act == "hook" and .outcome == "denied" and (.detail | contains ($text)))] | length > 0' > /dev/null
}

# denied STATUS HEADER…: the body is always the same
denied ()
{
    local before
    before=$(builds)
    post nightly "$(push 20)" "${@:2}"
    answers "$1" "there is no such hook, or this was not signed with its secret"
    expect "builds" "$(builds)" "$before"
}

refused ()
{
    local now old good
    now=$(date +%s) old=$(($(date +%s) - 400)) good=$(mac "$(push 20)")
    denied 403 "X-Hub-Signature-256: sha256=$(mac "$(push 20)" another-secret-of-another)"
    wait_for 10 audited "hook of schedule nightly, from 127.0.0.1: X-Hub-Signature-256 is not made with the hook's secret"
    denied 403 "X-Hub-Signature-256: sha256=$(mac "$(push 21)")"
    denied 403 "X-Hub-Signature-256: $good"
    denied 403 "X-Hub-Signature-256: sha256=${good%?}"
    denied 403 "X-Hub-Signature-256: sha256=${good}00"
    denied 403 "X-Hub-Signature-256: sha256="
    denied 403 "X-Hub-Signature-256: sha1=$(printf '%s' "$(push 20)" | openssl dgst -sha1 -hmac "$secret" -r | cut -d ' ' -f 1)"
    denied 403 "X-Gitea-Signature: $(printf '0%.0s' {1..64})"
    denied 403 "X-Gitlab-Token: ${secret%?}"
    denied 403 "X-Gitlab-Token;"
    denied 401
    denied 401 "X-Hub-Signature: sha1=00"
    denied 403 "webhook-id: x" "webhook-timestamp: $old" "webhook-signature: v1,$(standard x "$old" "$(push 20)")"
    denied 403 "webhook-id: y" "webhook-timestamp: $now" "webhook-signature: v1,$(standard x "$now" "$(push 20)")"
    denied 403 "webhook-timestamp: $now" "webhook-signature: v1,$(standard "" "$now" "$(push 20)")"
    denied 403 "webhook-id: z" "webhook-timestamp: $now" "webhook-signature: v1,nonsense" "X-Gitlab-Token: $secret"
}
check "what is signed otherwise starts nothing, and is told in the audit log" refused

# Whether a schedule is there is told to nobody who cannot sign
unknown ()
{
    farmctl schedule add bare --cron '@yearly' --platform "$native" -t "$REGISTRY/hooks/bare" "$app"
    for name in bare nobodys; do
        post "$name" "$(push 20)" "X-Hub-Signature-256: sha256=$(mac "$(push 20)")"
        answers 403 "there is no such hook"
    done
    post 'no%20name' "$(push 20)" "X-Gitlab-Token: $secret"
    answers 404
    expect "a GET" "$(curl -sS -o /dev/null -w '%{http_code}' "$FARM_HTTP/hooks/nightly")" 405
}
check "hooks that are not there look like those that are" unknown

large ()
{
    head -c 1048577 /dev/zero | tr '\0' x > "$work/large"
    for how in "Transfer-Encoding: chunked" "Accept: */*"; do
        expect "status" "$(curl -sS --max-time 30 -o /dev/null -w '%{http_code}' -H "X-Gitlab-Token: $secret" -H "$how" --data-binary "@$work/large" "$FARM_HTTP/hooks/nightly")" 413
    done
}
check "more than 1 MiB is refused" large

# -- when --------------------------------------------------------------------------------------------------------------

branch ()
{
    local before
    before=$(builds)
    run 0 farmctl schedule hook nightly --branch release --secret-file "$work/secret"
    post nightly "$(push 30 main)" "X-Gitlab-Token: $secret" "Idempotency-Key: 30"
    answers 200 "no push to the hook's branch"
    post nightly "payload=%7B%7D" "X-Gitlab-Token: $secret" "Idempotency-Key: 31"
    answers 200 "the body is no JSON"
    post nightly "$(push 0 release)" "X-Gitlab-Token: $secret" "Idempotency-Key: 32"
    answers 200 "the branch was deleted"
    expect "builds" "$(builds)" "$before"
    post nightly "$(push 33 release)" "X-Gitlab-Token: $secret" "Idempotency-Key: 33"
    settle "$(built)"
    run 0 farmctl schedule hook nightly --secret-file "$work/secret"
}
check "only for one branch" branch

overlap ()
{
    local id
    date +%s%N > "$app/stamp"
    slow=$(slow_context slow 60)
    run 0 farmctl schedule add slow --cron '@yearly' --platform "$native" -t "$REGISTRY/hooks/slow" "$slow"
    run 0 farmctl schedule hook slow --secret-file "$work/secret"
    post slow 1 "X-Hub-Signature-256: sha256=$(mac 1)"
    id=$(built)
    post slow 2 "X-Hub-Signature-256: sha256=$(mac 2)"
    answers 409 "build $id of an earlier time had not ended"
    run 0 farmctl schedule add slow --replace --overlap queue --cron '@yearly' --platform "$native" -t "$REGISTRY/hooks/slow" "$slow"
    post slow 2 "X-Hub-Signature-256: sha256=$(mac 2)"
    answers 202 '"waiting": true'
    run 0 farmctl schedule pause slow
    post slow 3 "X-Hub-Signature-256: sha256=$(mac 3)"
    answers 409 "schedule slow is paused"
    run 0 farmctl cancel "$id"
}
check "while an earlier build has not ended, and of a paused schedule" overlap

# -- afterwards --------------------------------------------------------------------------------------------------------

kept ()
{
    local before
    devfarm stop coordinator
    expect_no_text "$farm/coordinator/farm.db" "$secret"
    devfarm start coordinator
    before=$(builds)
    push 4 > "$work/push"
    post nightly "$(push 4)" "X-Gitlab-Token: $secret" "Idempotency-Key: four"
    built > /dev/null
    expect "builds" "$(builds)" "$before"
}
check "after a restart it is known still, as is what was sent, and farm.db does not tell the secret" kept

# How many calls without the secret the rows of the audit log come to
times ()
{
    farmctl audit show --limit 1000 --json | jq '[.rows[] | select (.key == "" and .outcome == "denied") | .times] | add // 0'
}

often ()
{
    local i k before limited=1
    before=$(builds)
    times > "$work/times"
    for i in $(seq 300); do
        post nightly "$i" "X-Gitlab-Token: wrong"
        [ "$(cat "$work/status")" = 403 ] || break
    done
    answers 429
    [ "$i" -gt 30 ]
    for k in $(seq 20); do
        post nightly "$k" "X-Gitlab-Token: wrong"
        case $(cat "$work/status") in 429) limited=$((limited + 1)) ;; *) answers 403 ;; esac
    done
    echo $((i + 20)) > "$work/wrong"
    for i in $(seq 200); do
        post nightly "$(push 4)" "X-Gitlab-Token: $secret" "Idempotency-Key: four"
        [ "$(cat "$work/status")" = 202 ] || break
    done
    answers 429 "too often"
    expect "builds" "$(builds)" "$before"
    expect "metrics" "$(curl -sS "$FARM_HTTP/metrics" | grep '^farm_http_requests_total{path="/hooks",status="429"}')" \
        "farm_http_requests_total{path=\"/hooks\",status=\"429\"} $((limited + 1))"
}
check "no more often than is good" often

removed ()
{
    run 0 farmctl schedule hook nightly --remove
    expect "hook" "$(schedule .hook)" null
    run 0 farmctl schedule rm slow
    post slow 9 "X-Hub-Signature-256: sha256=$(mac 9)"
    [ "$(cat "$work/status")" = 403 ] || [ "$(cat "$work/status")" = 429 ]
}
check "taken away, it is there no more" removed

# The first of a kind is a row at once, the others of its minute are one
all_told ()
{
    local wanted
    wanted=$(($(cat "$work/times") + $(cat "$work/wrong") + 1))
    is_told () { expect "calls" "$(times)" "$wanted"; }
    wait_for 250 is_told            # rows come after 1, 2, 4 minutes
}
check "each call that was refused is in the audit log, also those that were too many" all_told
farm_end
