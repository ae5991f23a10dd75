#!/bin/bash
# sweep.sh - builds, while one of the three programs is killed at moments that a fixed seed chooses: no acknowledged build is lost,
# none is published twice. SWEEP_POINTS is how many moments for each program.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/indexes.sh"
farm_up
points=${SWEEP_POINTS:-10}

# moment MAXIMUM: of milliseconds, in seconds
moment ()
{
    printf '%d.%03d' $((RANDOM % $1 / 1000)) $((RANDOM % $1 % 1000))
}

quick_context ()
{
    local folder
    folder=$(context "$1" <<< $'FROM %BASE%\nCOPY stamp /stamp\nRUN sleep 0.2')
    echo "$1 $RANDOM" > "$folder/stamp"
    echo "$folder"
}

# Every build that the coordinator has acknowledged: in $work/acknowledged, number and repository
acknowledge ()
{
    printf '%s %s\n' "$1" "$2" >> "$work/acknowledged"
}
: > "$work/acknowledged"

kill_and_start ()
{
    sleep "$2"
    farm_kill "$1"
    devfarm start "$1"
}

coordinator_sweep ()
{
    local point id name
    RANDOM=20240
    for ((point = 0; point < points; point++)); do
        name=coordinator-$point
        background "$name" farmctl submit --platform "$native" -t "$REGISTRY/sweep/$name:1" "$(quick_context "$name")"
        kill_and_start coordinator "$(moment 2000)"
        background_ends "$name" 0
        id=$(sed -n 's/^build \([0-9]*\) queued/\1/p' "$work/$name.log")
        acknowledge "$id" "sweep/$name"
        expect_text "$work/$name.log" "build $id published"
    done
}
check "the coordinator is killed at $points moments: each submit ends well" coordinator_sweep

worker_sweep ()
{
    local point id name
    RANDOM=20241
    for ((point = 0; point < points; point++)); do
        name=worker-$point
        id=$(submit_detached --platform "$native" -t "$REGISTRY/sweep/$name:1" "$(quick_context "$name")")
        acknowledge "$id" "sweep/$name"
        kill_and_start "worker-$native_name" "$(moment 2000)"
        wait_state "$id" published 60
    done
}
check "a worker is killed at $points moments: each build is published" worker_sweep

farmctl_sweep ()
{
    local point name detach
    RANDOM=20242
    for ((point = 0; point < points * 2; point++)); do
        name=farmctl-$point
        detach=$([ $((point % 2)) = 0 ] && echo --detach || echo --no-cache)
        background "$name" farmctl submit "$detach" --platform "$native" -t "$REGISTRY/sweep/$name:1" "$(quick_context "$name")"
        sleep "$(moment 250)"
        background_end "$name" KILL
        grep -o '^build [0-9]* queued' "$work/$name.log" | sed "s|build \([0-9]*\) queued|\1 sweep/$name|" >> "$work/acknowledged"
    done
    wait_for 120 all_have_ended
}
all_have_ended () { [ "$(farmctl ls --all --json | jq '[.builds[].state] | all (. == "published" or . == "failed" or . == "cancelled")')" = true ]; }
check "farmctl is killed at $((points * 2)) moments" farmctl_sweep

nothing_lost ()
{
    local id repository
    while read -r id repository; do
        expect "build $id" "$(field "$id" .state)" published
        has_tag "$repository" 1 || { echo "no $repository:1"; return 1; }
    done < "$work/acknowledged"
    [ "$(wc -l < "$work/acknowledged")" -ge $((points * 2)) ]
    farmctl ls --all --json > "$work/all"
    expect "builds that did not end well" "$(jq -c '[.builds[] | select (.state != "published") | .id]' "$work/all")" "[]"
}
check "no acknowledged build is lost" nothing_lost

nothing_twice ()
{
    local point
    for ((point = 0; point < points; point++)); do
        expect_one_index "sweep/coordinator-$point"
        expect_one_index "sweep/worker-$point"
    done
    devfarm stop coordinator
    expect "builds not published exactly once" "$(farm_sql "SELECT builds.id FROM builds LEFT JOIN events ON events.build = builds.id
        AND to_state = 'published' AND job IS NULL GROUP BY builds.id HAVING count (events.id) <> 1")" ""
    expect "builds of one request twice" "$(farm_sql "SELECT request FROM builds GROUP BY principal, request HAVING count (*) > 1")" ""
    expect "what is left over" "$(farm_sql "SELECT (SELECT count (*) FROM outbox), (SELECT count (*) FROM attempts WHERE ended_ms IS NULL)")" "0|0"
}
check "none is published twice" nothing_twice

farm_end
