#!/bin/bash
# restarts.sh - each of the three programs, and the registry, ended with SIGKILL while a build runs.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/indexes.sh"
farm_up

# -- the coordinator ---------------------------------------------------------------------------------------------------

coordinator_killed ()
{
    local folder id
    folder=$(slow_context coordinator 4)
    background follower farmctl submit --platform "$native" -t "$REGISTRY/killed:coordinator" "$folder"
    wait_for 20 grep -q "^build [0-9]* queued" "$work/follower.log"
    id=$(sed -n 's/^build \([0-9]*\) queued/\1/p' "$work/follower.log")
    wait_said "$id" "slow begins"
    farm_kill coordinator
    sleep 1
    devfarm start coordinator
    wait_state "$id" published
    expect "attempts: the worker went on" "$(field "$id" '.jobs[0].attempts | length')" 1
    background_ends follower 0
    expect_text "$work/follower.log" "$(field "$id" .digest)"
    expect_one_index killed
    has_said "$id" "slow ends"
}
check "the coordinator, killed while building: the build goes on, farmctl waits" coordinator_killed

coordinator_killed_for_long ()
{
    local id
    id=$(submit_detached --platform "$native" -t "$REGISTRY/killed:late" "$(slow_context late 1)")
    wait_said "$id" "slow begins"
    farm_kill coordinator
    sleep 4
    devfarm start coordinator
    wait_state "$id" published
    expect "attempts" "$(field "$id" '.jobs[0].attempts | length')" 1
    wait_said "$id" "slow ends" 10
}
check "the coordinator, away when the build ends: the result is kept and reported" coordinator_killed_for_long

# -- a worker ----------------------------------------------------------------------------------------------------------

worker_killed_alone ()
{
    local id log
    id=$(submit_detached --platform "$native" -t "$REGISTRY/killed:alone" "$(slow_context alone 3)")
    wait_said "$id" "slow begins"
    farm_kill "worker-$native_name"
    wait_for 15 is_state_of_job "$id" queued
    wait_for 10 has_no_builders "$farm/worker-$native_name"
    log=$farm/coordinator/logs/$(field "$id" '.jobs[0].id')-1.log
    cp "$log" "$work/first.log"
    devfarm start "worker-$native_name"
    wait_state "$id" published
    expect "attempts" "$(field "$id" '[.jobs[0].attempts[].state] | join (" ")')" "failed done"
    cmp "$work/first.log" "$log"
    expect "attempts whose log is shown" "$(farmctl logs --json "$id" | jq -c '[.lines[].attempt] | unique')" "[1,2]"
}
is_state_of_job () { [ "$(field "$1" '.jobs[0].state')" = "$2" ]; }
has_no_builders () { local found; found=$(processes_below "$1"); echo "$found"; [ -z "$found" ]; }
check "a worker, killed while building: its builder ends too, and the job waits for the next worker" worker_killed_alone

# Stopped, the process that keeps the builder cannot end; so the next worker waits, and sweeps behind it.
worker_waits_for_builders ()
{
    local id keeper
    id=$(submit_detached --platform "$native" -t "$REGISTRY/killed:waits" "$(slow_context waits 60)")
    wait_said "$id" "slow begins"
    keeper=$(keeper_of "$(farm_pid "worker-$native_name")")
    kill -STOP "$keeper"
    farm_kill "worker-$native_name"
    run 0 farmctl cancel "$id"
    background next farm-worker -c "$farm/worker-$native_name.conf"
    wait_for 20 grep -q "what it started is waited for" "$work/next.log"
    kill -CONT "$keeper"
    wait_for 30 grep -q "takes this worker" "$work/next.log"
    has_no_builders "$farm/worker-$native_name"
    background_end next
    devfarm start "worker-$native_name"
}
keeper_of () { pgrep -P "$(pgrep -P "$1" farm-spawner)" farm-keeper | head -n 1; }
check "a worker, killed and started at once: it waits until the builders of the one before have ended" worker_waits_for_builders

# What a RUN step may have made in the space of its attempt, and what nobody can remove.
worker_finds_what_was_left ()
{
    local attempts=$farm/worker-$native_name/attempts id
    farm_kill "worker-$native_name"
    mkdir -p "$attempts/999-1" "$attempts/999-2/mounted"
    python3 -c 'import os, sys
os.chdir (sys.argv [1])
for i in range (20000):
    os.mkdir ("d")
    os.chdir ("d")' "$attempts/999-1"
    mount -t tmpfs none "$attempts/999-2/mounted"
    devfarm start "worker-$native_name"
    id=$(submit_detached --platform "$native" -t "$REGISTRY/killed:left" "$(slow_context left 0)")
    wait_state "$id" published
    expect "what was left" "$(ls "$attempts")" 999-2
    expect_text "$farm/worker-$native_name.log" "something is mounted there; it stays, and takes its space: remove $attempts/999-2 by hand"
    umount "$attempts/999-2/mounted"
    farm_kill "worker-$native_name"
    devfarm start "worker-$native_name"
    wait_for 20 is_gone "$attempts/999-2"
}
is_gone () { [ ! -e "$1" ]; }
check "a worker starts whatever attempts have left in their folders" worker_finds_what_was_left

worker_killed ()
{
    local id victim other
    worker_add worker-second
    id=$(submit_detached --platform "$native" -t "$REGISTRY/killed:worker" "$(slow_context worker 4)")
    wait_said "$id" "slow begins"
    victim=$(field "$id" '.jobs[0].worker')
    if [ "$victim" = worker-second ]; then
        background_end worker-second KILL
        other=worker-$native_name
    else
        farm_kill "$victim"
        other=worker-second
    fi
    wait_state "$id" published
    expect "workers of the attempts" "$(field "$id" '[.jobs[0].attempts[].worker] | join (" ")')" "$victim $other"
    expect "state of the killed worker" "$(worker_state "$victim")" lost
    [ "$victim" = worker-second ] || devfarm start "$victim"
    has_tag killed worker
}
check "a worker, killed while building: the job ends on the other worker of its platform" worker_killed

background_end worker-second

# -- farmctl -----------------------------------------------------------------------------------------------------------

# follow NAME SECONDS OPTION...: a farmctl in the background that follows a build; its number in $id
follow ()
{
    local name=$1 seconds=$2
    shift 2
    background "$name" farmctl submit --platform "$native" "$@" -t "$REGISTRY/followed:$name" "$(slow_context "$name" "$seconds")"
    wait_for 20 grep -q "^build [0-9]* queued" "$work/$name.log"
    id=$(sed -n 's/^build \([0-9]*\) queued/\1/p' "$work/$name.log")
    wait_said "$id" "slow begins"
}

farmctl_killed ()
{
    follow lost 2
    background_end lost KILL
    wait_state "$id" published
}
check "farmctl, killed: the build goes on" farmctl_killed

farmctl_interrupted ()
{
    follow interrupted 2
    kill -INT "$(background_pid interrupted)"
    background_ends interrupted 130
    expect_text "$work/interrupted.log" "build $id goes on" "farmctl wait $id" "farmctl logs -f $id" "farmctl cancel $id"
    run 0 farmctl wait -q "$id"
    expect "the digest" "$(cat "$work/out")" "$(field "$id" .digest)"
}
check "farmctl, interrupted: says how to come back, and the build goes on" farmctl_interrupted

farmctl_cancels ()
{
    follow cancelling 60 --cancel-on-interrupt
    kill -INT "$(background_pid cancelling)"
    background_ends cancelling 130
    expect_text "$work/cancelling.log" "build $id is cancelled"
    expect "state" "$(field "$id" .state)" cancelled
    follow terminated 60 --cancel-on-interrupt
    kill -TERM "$(background_pid terminated)"
    background_ends terminated 130
    expect "state" "$(field "$id" .state)" cancelled
}
check "farmctl, interrupted with --cancel-on-interrupt: the build is cancelled" farmctl_cancels

farmctl_times_out ()
{
    local id
    id=$(submit_detached --platform "$native" -t "$REGISTRY/followed:time" "$(slow_context time 4)")
    run 124 farmctl wait --timeout 1 "$id"
    expect_text "$work/err" "the time is up; build $id goes on"
    run 0 farmctl wait -q "$id"
}
check "farmctl wait --timeout: 124, and the build goes on" farmctl_times_out

# -- the registry ------------------------------------------------------------------------------------------------------

registry_restarted ()
{
    local id
    id=$(submit_detached --platform "$native" -t "$REGISTRY/killed:registry" "$(slow_context registry 2)")
    wait_said "$id" "slow begins"
    kill -STOP "$(farm_pid registry)"       # it accepts connections, and says nothing
    wait_for 20 is_state_of_job "$id" pushing
    sleep 0.5
    farm_kill registry
    devfarm start registry
    wait_state "$id" published
    expect "attempts" "$(field "$id" '.jobs[0].attempts | length')" 1
    has_tag killed registry
}
check "the registry, killed while an image is pushed: the push is tried again" registry_restarted

# -- over all ----------------------------------------------------------------------------------------------------------

published_once ()
{
    devfarm stop coordinator
    farm_sql "SELECT builds.id, state, count (events.id) FROM builds LEFT JOIN events ON events.build = builds.id
              AND events.to_state = 'published' AND job IS NULL GROUP BY builds.id
              HAVING count (events.id) <> (state = 'published')" > "$work/odd"
    expect "builds that were published twice, or without an event" "$(cat "$work/odd")" ""
    expect "leases and outbox" "$(farm_sql "SELECT (SELECT count (*) FROM outbox), (SELECT count (*) FROM attempts WHERE ended_ms IS NULL)")" "0|0"
}
check "every published build was published once" published_once

farm_end
