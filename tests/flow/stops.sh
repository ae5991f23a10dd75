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

farm_end
