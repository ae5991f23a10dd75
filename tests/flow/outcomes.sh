#!/bin/bash
# outcomes.sh - builds of which a part fails, that are asked for again, or that a newer one supersedes.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/images.sh"
farm_up

# Builds on this machine's platform only
picky=$(context picky <<'END'
FROM %BASE%
ARG WANTED
RUN case $(uname -m) in $WANTED) echo "this one will do" ;; *) echo "not here"; exit 7 ;; esac
END
)
wanted=$(uname -m)

published_platforms ()
{
    skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/$1" | jq -r '[.manifests[].platform | "\(.os)/\(.architecture)"] | join (",")'
}

keep_going ()
{
    local id
    need_both
    run 3 farmctl submit --platform "$foreign,$native" --emulation allow --keep-going --build-arg "WANTED=$wanted" -t "$REGISTRY/outcomes:kept" "$picky"
    expect_text "$work/err" "nothing was published"
    id=$(farmctl ls --limit 1 --json | jq '.builds[0].id')
    expect "jobs" "$(field "$id" '[.jobs[].state] | join (" ")')" "failed done"
    expect "exit status" "$(field "$id" '.jobs[0].exit_status')" 7
    expect_no_tag outcomes kept
}
check "with --keep-going the other platform ends" keep_going

not_required ()
{
    need_both
    run 0 farmctl submit --platform "$foreign,$native" --emulation allow --required-platform "$native" --build-arg "WANTED=$wanted" \
        -t "$REGISTRY/outcomes:without" "$picky"
    expect_text "$work/err" "without $foreign"
    expect "platforms" "$(published_platforms outcomes:without)" "$native"
    run 2 farmctl submit --platform "$native" --required-platform "$foreign" -t "$REGISTRY/outcomes:without" "$picky"
}
check "what is not required may be missing, and is named" not_required

failed_only ()
{
    local id again
    need_both
    run 0 farmctl worker pause "worker-$foreign_name"
    run 4 farmctl submit --platform "$foreign,$native" --emulation allow --keep-going --queue-timeout 1 --build-arg "WANTED=*" \
        -t "$REGISTRY/outcomes:again" "$picky"
    run 0 farmctl worker resume "worker-$foreign_name"
    id=$(farmctl ls --limit 1 --json | jq '.builds[0].id')
    expect "jobs" "$(field "$id" '[.jobs[].state] | join (" ")')" "failed done"
    run 0 farmctl retry "$id" --failed-only
    again=$(farmctl ls --limit 1 --json | jq '.builds[0].id')
    expect "from build" "$(field "$again" '[.jobs[].from_build] | tojson')" "[null,$id]"
    expect "image" "$(field "$again" '.jobs[1].digest')" "$(field "$id" '.jobs[1].digest')"
    expect "platforms" "$(published_platforms outcomes:again)" "$foreign,$native"
    expect "built by" "$(field "$again" '.jobs[1].attempts | length')" 0
}
check "retry --failed-only builds what was not done" failed_only

again ()
{
    local id
    run 0 farmctl submit -q --platform "$native" --label a=b --priority high --require "name=worker-$native_name" --timeout 50m --keep-going --build-arg "WANTED=$wanted" -t "$REGISTRY/outcomes:first" "$picky"
    id=$(farmctl ls --limit 1 --json | jq '.builds[0].id')
    run 0 farmctl retry -q "$id"
    expect "options" "$(farmctl ls --limit 2 --json | jq -c '[.builds[] | [.tags, .platforms, .context]] | unique | length')" 1
    expect "built anew" "$(field "$((id + 1))" '.jobs[0].attempts | length')" 1
    run 2 farmctl retry 4711
    expect_text "$work/err" "there is no build 4711"
    devfarm stop coordinator
    expect "all else that was asked for" "$(farm_sql "SELECT count (DISTINCT json_remove (spec, '\$.no_result_cache')) FROM builds WHERE id >= $id")" 1
    devfarm start coordinator
}
check "retry builds the same once more" again

superseded ()
{
    local old new
    run 0 farmctl worker pause "worker-$native_name"
    old=$(submit_detached --platform "$native" --require "name=worker-$native_name" -t "$REGISTRY/outcomes:newest" "$(slow_context old 0)")
    new=$(submit_detached --platform "$native" --require "name=worker-$native_name" --supersede -t "$REGISTRY/outcomes:newest" "$(slow_context new 0)")
    expect "the older one" "$(field "$old" '"\(.state) \(.reason)"')" "cancelled superseded by $new"
    run 0 farmctl worker resume "worker-$native_name"
    wait_state "$new" published
}
check "a newer build supersedes one that waits" superseded

farm_end
