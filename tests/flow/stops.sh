#!/bin/bash
# stops.sh - worker and coordinator told to end (SIGTERM): what they have may end, nothing new is begun, nothing is lost.
. "${top_srcdir:-.}/tests/lib/farm.sh"
farm_up

# -- a worker ----------------------------------------------------------------------------------------------------------

# submit_to ROOM SECONDS: a slow build for the worker with this label; prints its number
submit_to ()
{
    submit_detached --platform "$native" --require "room=$1" -t "$REGISTRY/stops:$1" "$(slow_context "$1" "$2")"
}

attempts_of ()
{
    field "$1" '[.jobs[0].attempts[] | "\(.worker) \(.state) \(.code // "")"] | join (", ")'
}

worker_lets_end ()
{
    local id late
    worker_add patient "$work/patient" --stop-ms=60000 --labels=room=attic
    id=$(submit_to attic 4)
    wait_said "$id" "slow begins"
    kill -TERM "$(background_pid patient)"
    wait_for 5 has_worker patient stopping
    run 0 farmctl worker inspect patient
    expect_text "$work/out" "it was told to end; what it has may go on for"
    late=$(submit_to attic 0)
    wait_for 10 waits_for "$late" "patient is stopping (it was told to end"
    background_ends patient 0
    wait_state "$id" published
    expect "attempts" "$(attempts_of "$id")" "patient done "
    worker_add patient "$work/patient" --labels=room=attic
    wait_state "$late" published
    expect "attempts of what came meanwhile" "$(attempts_of "$late")" "patient done "
    background_end patient
}
waits_for () { field "$1" '.jobs[0].waiting' | grep -F -- "$2"; }
check "a worker, told to end: its build ends, it takes no other, and after its next start it does" worker_lets_end

worker_gives_back ()
{
    local id
    worker_add hasty "$work/hasty" --stop-ms=500 --labels=room=hall
    id=$(submit_to hall 6)
    wait_said "$id" "slow begins"
    kill -TERM "$(background_pid hasty)"
    background_ends hasty 0
    wait_for 5 is_state_of_job "$id" queued
    worker_add hasty "$work/hasty" --labels=room=hall
    wait_state "$id" published
    expect "attempts" "$(attempts_of "$id")" "hasty failed interrupted, hasty done "
    expect "processes" "$(processes_below "$work/hasty")" ""
    background_end hasty
}
is_state_of_job () { [ "$(field "$1" '.jobs[0].state')" = "$2" ]; }
check "a worker whose time to end is over: the build is given back, and does not count" worker_gives_back

worker_told_twice ()
{
    local id begun=$SECONDS
    worker_add twice "$work/twice" --stop-ms=60000 --labels=room=cellar
    id=$(submit_to cellar 60)
    wait_said "$id" "slow begins"
    kill -TERM "$(background_pid twice)"
    wait_for 5 has_worker twice stopping
    kill -TERM "$(background_pid twice)"
    background_ends twice 0
    expect "attempts" "$(attempts_of "$id")" "twice failed interrupted"
    farmctl cancel "$id"
    [ $((SECONDS - begun)) -lt 40 ]
}
check "a worker, told twice: at once" worker_told_twice

# -- the coordinator ---------------------------------------------------------------------------------------------------

# In the foreground of the test, so that its exit status is seen
coordinator_start ()
{
    background coordinator farm-coordinator -c "$farm/coordinator.conf" "$@"
    wait_for 20 grep -q ' main: ready$' "$work/coordinator.log"
}

follow_slow ()
{
    background "$1" farmctl submit --platform "$native" -t "$REGISTRY/stops:$1" "$(slow_context "$1" "$2")"
    wait_for 20 grep -q "^build [0-9]* queued" "$work/$1.log"
    id=$(sed -n 's/^build \([0-9]*\) queued/\1/p' "$work/$1.log")
    wait_said "$id" "slow begins"
}

followed_on ()
{
    local id begun
    coordinator_start
    follow_slow followed 4
    begun=$SECONDS
    kill -TERM "$(background_pid coordinator)"
    background_ends coordinator 0
    [ $((SECONDS - begun)) -lt 3 ]
    coordinator_start
    background_ends followed 0
    expect_text "$work/followed.log" "the coordinator is being stopped; the build is safe" "the coordinator is back"
    expect_no_text "$work/followed.log" "does not answer"
    expect "attempts" "$(field "$id" '.jobs[0].attempts | length')" 1
    background_end coordinator
}

# in_verification: leaves the build $id there, for the registry says nothing. Reports wait until the registry hangs.
in_verification ()
{
    follow_slow "$1" 1
    kill -STOP "$(background_pid coordinator)"
    wait_for 20 pushed_by_worker
    kill -STOP "$(farm_pid registry)"
    kill -CONT "$(background_pid coordinator)"
    wait_for 10 is_state_of_job "$id" verifying
}
pushed_by_worker () { tail -n 1 "$farm/worker-$native_name.log" | grep -F ": pushed sha256:"; }

verification_ends ()
{
    local id
    coordinator_start --stop-ms=60000
    in_verification verified
    kill -TERM "$(background_pid coordinator)"
    wait_for 5 grep -q "told to end" "$work/coordinator.log"
    background meanwhile farmctl submit --platform "$native" -t "$REGISTRY/stops:meanwhile" "$(slow_context meanwhile 0)"
    sleep 1
    expect_no_text "$work/meanwhile.log" "queued"
    kill -CONT "$(farm_pid registry)"
    background_ends coordinator 0
    coordinator_start
    background_ends meanwhile 0
    background_ends verified 0
    expect "tags" "$(registry_tags | tr ' ' '\n' | grep -cE 'stops:(verified|meanwhile)')" 2
    farmctl inspect "$id" --json | jq -e '.jobs[0].attempts | length == 1'
    background_end coordinator
}

time_is_over ()
{
    local id begun
    coordinator_start --stop-ms=1000
    in_verification hanging
    begun=$SECONDS
    kill -TERM "$(background_pid coordinator)"
    background_ends coordinator 0
    [ $((SECONDS - begun)) -lt 4 ]
    coordinator_start --stop-ms=60000           # it is verified again
    begun=$SECONDS
    kill -TERM "$(background_pid coordinator)"
    wait_for 5 grep -q "told to end" "$work/coordinator.log"
    kill -TERM "$(background_pid coordinator)"
    background_ends coordinator 0
    [ $((SECONDS - begun)) -lt 4 ]
    kill -CONT "$(farm_pid registry)"
    coordinator_start
    background_ends hanging 0
    background_end coordinator
}

devfarm stop coordinator > "$work/stop.log" 2>&1
check "the coordinator, told to end: who follows a build is told, and goes on" followed_on
check "what is being verified ends first; a submit meanwhile waits for the next coordinator" verification_ends
check "a registry that hangs, and a second signal: it is not waited for, and nothing is lost" time_is_over

farm_end
