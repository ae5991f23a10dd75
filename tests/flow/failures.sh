#!/bin/bash
# failures.sh - builds that fail through their Dockerfile: what the user is told, and that nothing is published.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/images.sh"
farm_up

# The example of Docker's guide to multi-platform images
guide=$(context guide <<'END'
FROM %BASE%
RUN echo "Architecture is $(uname -m)" > /app/architecture.txt
CMD ["cat", "/app/architecture.txt"]
END
)

guide_fails ()
{
    run 3 farmctl submit --platform "$native" -t "$REGISTRY/guide:1" "$guide"
    expect "standard output" "$(cat "$work/out")" ""
    expect_text "$work/err" "$native failed on worker-$native_name at STEP 2/3: RUN echo" "/app/architecture.txt: nonexistent directory" \
        "exit status 1" "nothing was published"
    expect "tags in the registry" "$(registry_tags)" ""
}
check "the guide's example fails with step, platform and the builder's words" guide_fails

failure_is_kept ()
{
    local id
    id=$(farmctl ls --json | jq '.builds[0].id')
    expect "job" "$(field "$id" '.jobs[0] | "\(.state) \(.code) \(.exit_status) \(.step[0:8])"')" "failed build 1 STEP 2/3"
    expect "attempts: no second try of a user's fault" "$(field "$id" '.jobs[0].attempts | length')" 1
    run 3 farmctl wait "$id"
    expect_text "$work/err" "STEP 2/3: RUN echo" "nonexistent directory"
    run 3 farmctl wait -q "$id"
    run 0 farmctl inspect "$id"
    expect_text "$work/out" "STEP 2/3: RUN echo" "nonexistent directory"
    grep -qE 'queued [0-9.]+ ?m?s, fetching [0-9.]+ ?m?s, building [0-9.]+ ?m?s, all ' "$work/out"
    grep -qx "      exit status 1" "$work/out"
    run 0 farmctl inspect "$id" --events
    grep -qE "^20[0-9-]+ [0-9:.]+  $id/$native attempt 1: building -> failed: .*nonexistent directory" "$work/out"
    expect_text "$work/out" "$id: running -> failed: $native"
    run 0 farmctl logs "$id"
    expect_text "$work/out" "nonexistent directory"
}
check "wait, inspect and logs tell the same later" failure_is_kept

guide_on_both ()
{
    need_both
    run 3 farmctl submit --platform "$native,$foreign" --emulation allow -t "$REGISTRY/guide:1" "$guide"
    grep -qE "^linux/(amd64|arm64) failed on worker-(amd64|arm64) at STEP 2/3" "$work/err"
    expect "tags in the registry" "$(registry_tags)" ""
}
check "on two platforms too" guide_on_both

guide_is_mended ()
{
    sed -i 's|^RUN echo|RUN mkdir -p /app \&\& echo|' "$guide/Dockerfile"
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/guide:1" "$guide"
    store_pull "$native" "$REGISTRY/guide:1"
    expect "what the image says" "$(store_file app/architecture.txt)" "Architecture is $(uname -m)"
    has_tag guide 1
}
check "with mkdir -p in front it publishes" guide_is_mended

# -- one of two --------------------------------------------------------------------------------------------------------

picky=$(context picky <<END
FROM %BASE%
ARG WANTED
ARG PAUSE=0
RUN [ \$(uname -m) = \$WANTED ] || { sleep \$PAUSE; echo "not on this machine" >&2; exit 7; }
END
)

one_of_two_fails ()
{
    need_both
    local before pause
    run 0 farmctl submit -q --platform "$native,$foreign" --emulation allow -t "$REGISTRY/picky:1" "$guide"
    before=$(registry_get picky/manifests/1)
    for pause in 0 3; do
        run 3 farmctl submit --platform "$native,$foreign" --emulation allow -t "$REGISTRY/picky:1" -t "$REGISTRY/picky:2" \
            --build-arg "WANTED=$(uname -m)" --build-arg "PAUSE=$pause" "$picky"
        expect_text "$work/err" "$foreign failed on worker-$foreign_name at STEP 4/4" "not on this machine" "exit status 7"
        expect "the tag" "$(registry_get picky/manifests/1)" "$before"
        expect_no_tag picky 2
    done
}
check "one platform fails, first or last: no tag moves" one_of_two_fails

other_is_stopped ()
{
    need_both
    local id
    id=$(farmctl ls --json | jq '.builds[0].id')
    expect "states of the jobs" "$(field "$id" '[.jobs[].state] | sort | join (" ")')" "done failed"
    id=$(submit_detached --platform "$native,$foreign" -t "$REGISTRY/picky:3" "$(context half <<END
FROM %BASE%
RUN [ \$(uname -m) = $(uname -m) ] || exit 1; sleep 60
END
    )")
    wait_state "$id" failed 30
    expect "states of the jobs" "$(field "$id" '[.jobs[].state] | join (" ")')" "cancelled failed"
    wait_for 20 has_no_processes "$farm/worker-$native_name"
}
has_no_processes () { [ -z "$(processes_below "$1")" ]; }
check "the job of the other platform is stopped" other_is_stopped

# -- other faults of a Dockerfile --------------------------------------------------------------------------------------

# fails_with TEXT: submit of the Dockerfile on standard input
fails_with ()
{
    local folder
    folder=$(context broken)
    run "${2:-3}" farmctl submit --platform "$native" -t "$REGISTRY/broken:1" "$folder"
    expect_text "$work/err" "$1"
    expect_no_tag broken 1
}

no_base () { fails_with "$REGISTRY/nowhere" <<< "FROM $REGISTRY/nowhere:1"; }
no_source () { fails_with "missing-file" <<< $'FROM %BASE%\nCOPY missing-file /'; }
no_instruction () { fails_with "BAKE" <<< $'FROM %BASE%\nBAKE a cake'; }
no_from () { fails_with "" <<< "RUN true"; }
above_the_context () { fails_with "passwd" <<< $'FROM %BASE%\nCOPY ../../../../etc/passwd /'; }
off_the_disk ()
{
    run 0 skopeo copy -q --src-tls-verify=false --override-arch "$native_name" "docker://$base" "oci-archive:$work/base.tar"
    fails_with "a base image comes from a registry" <<< "FROM oci-archive:$work/base.tar"
}
no_source_is_told_as_a_user_knows_it ()
{
    no_source
    expect "what the worker alone knows" "$(grep -e "$farm" -e 'exit status' "$work/err" || true)" ""
    expect "exit status" "$(field "$(farmctl ls --json | jq '.builds[0].id')" '.jobs[0].exit_status')" null
}
check "a base image that is not there" no_base
check "a base image from the worker's disk" off_the_disk
check "COPY of a file that is not there" no_source_is_told_as_a_user_knows_it
check "an unknown instruction" no_instruction
check "a Dockerfile without FROM" no_from
check "COPY from above the context" above_the_context

# What a Dockerfile says of a disk is no look at it: three faults in a row would be a quarantine.
full_in_words ()
{
    local i
    for i in 1 2 3; do
        fails_with "no space left on device" <<< $'FROM %BASE%\nSTOPSIGNAL '"$i: no space left on device"
        expect "attempts" "$(field "$(farmctl ls --json | jq '.builds[0].id')" '[.jobs[].attempts[].code] | join (" ")')" build
    done
    expect "faults of workers" "$(farmctl worker ls --json | jq '[.workers[].faults] | add')" 0
}
check "a Dockerfile that speaks of a full disk is no fault of its worker" full_in_words

wrong_platform ()
{
    need_both
    local folder
    folder=$(context pinned <<< "FROM --platform=$native %BASE%")
    run 6 farmctl submit --platform "$foreign" --emulation allow -t "$REGISTRY/pinned:1" "$folder"
    expect_text "$work/err" "is for $native" "$foreign"
    expect_no_tag pinned 1
}
check "an image of another platform than asked for is not published" wrong_platform

farm_end
