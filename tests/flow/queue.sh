#!/bin/bash
# queue.sh - what the people at a queue see of it: turns among users, workers that have built the same before, and workers that are not well.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/registries.sh"
. "$top_srcdir/tests/lib/users.sh"
farm_up
crowd=${QUEUE_BUILDS:-60}                       # builds of the user who has many

coordinator_restart worker/quarantine-ms 6000 lease/heartbeat-ms 500 > "$work/set-up.log" 2>&1

worker_field ()
{
    farmctl worker inspect "$1" --json | jq -r "$2"
}

built_by ()
{
    field "$1" '.jobs[0].worker'
}

# once NAME OPTION…: a build that nobody has built before; its number
once ()
{
    submit_detached --platform "$native" --no-result-cache -t "$REGISTRY/queue:$1" "${@:2}" "$(slow_context "$1" "${seconds:-0}")"
}

# -- users -------------------------------------------------------------------------------------------------------------

submit_many ()
{
    local folder
    folder=$(slow_context many 1)
    seq "$crowd" | FARM_CONFIG=$work/$1/farmctl.conf xargs -P 2 -I '{}' \
        farmctl submit -q --detach --platform "$native" --no-result-cache --require "name=worker-$native_name" -t "$REGISTRY/many:{}" "$folder"
}

count_of ()
{
    as "$1" ls --limit 1000 --json | jq "[.builds[] | select (.jobs[0].state $2)] | length"
}

# How many the worker has begun between the time when this one was accepted and when it was begun: none, or one while its base image was looked up
begun_before ()
{
    local accepted
    accepted=$(sed -n "s/^\([^ ]*\) .*: build $1 accepted.*/\1/p" "$farm/coordinator.log")
    awk -v from="$accepted" -v mine="build $1:" '$1 > from && / link: build / { if (index ($0, mine)) { print count + 0; exit } count++ }' \
        "$farm/worker-$native_name.log"
}

turns ()
{
    local id
    user_add many && user_add few
    farmctl worker pause "worker-$native_name"
    submit_many many > "$work/many.ids"
    expect "queued builds of the one" "$(count_of many '== "queued"')" "$crowd"
    farmctl worker resume "worker-$native_name"
    wait_for 30 has_begun many
    id=$(as few submit -q --detach --platform "$native" --require "name=worker-$native_name" -t "$REGISTRY/few:1" "$(slow_context few 0)")
    wait_state "$id" published
    [ "$(begun_before "$id")" -le 1 ] || { echo "after it was accepted $(begun_before "$id") of the other's builds were begun before it"; return 1; }
    farmctl worker pause "worker-$native_name"
}
has_begun () { [ "$(count_of "$1" '!= "queued"')" -ge 1 ]; }
check "of $crowd builds of one user and one of another, that one comes next" turns

# -- homes -------------------------------------------------------------------------------------------------------------

home_first ()
{
    local home i
    worker_add left "$work/left" --labels=pair=yes
    worker_add right "$work/right" --labels=pair=yes
    i=$(once home --require pair=yes)
    wait_state "$i" published
    home=$(built_by "$i")
    for i in 1 2 3; do
        i=$(once home --require pair=yes)
        wait_state "$i" published
        expect "built by" "$(built_by "$i")" "$home"
    done
    echo "$home" > "$work/where"
}
check "a repository is built where it was built last" home_first

home_is_busy ()
{
    local home busy id waited
    home=$(cat "$work/where")
    busy=$(seconds=40 once busy --require "name=$home")
    wait_said "$busy" "slow begins"
    id=$(once home --require pair=yes)
    wait_state "$id" published
    [ "$(built_by "$id")" != "$home" ] || { echo "$home was waited for"; return 1; }
    waited=$(field "$id" '.jobs[0].attempts[0].assigned_ms - .created_ms')
    echo "waited $waited ms"
    [ "$waited" -ge 3000 ]
    is_state "$busy" running
    farmctl cancel "$busy"
}
check "where that worker is busy, another has it after a while" home_is_busy

# -- workers that are not well -----------------------------------------------------------------------------------------

# The admin says of a worker that it gives the host's network, which its settings do not allow: it is the farm's fault what comes of that.
quarantine ()
{
    local id
    worker_add lame "$work/lame" --labels=lame
    farmctl worker label lame network-host
    id=$(once lame --require lame --network host)
    wait_state "$id" failed 60
    expect "attempts" "$(field "$id" '[.jobs[0].attempts[] | "\(.worker) \(.state)"] | join (", ")')" "lame failed, lame failed, lame failed"
    expect "state" "$(worker_state lame)" quarantined
    id=$(once lame --require lame --network host)
    wait_for 6 waits_for "$id" "lame is quarantined (its last 3 attempts failed through the farm's fault)"
    wait_for 30 has_faults 4
    farmctl cancel "$id"
    farmctl worker resume lame
    expect "state" "$(worker_state lame)" online
    expect_text "$farm/coordinator.log" "worker lame is quarantined for 6 s: its last 3 attempts" "worker lame is quarantined for 12 s: its last 4 attempts"
}
has_faults () { [ "$(worker_field lame .faults)" = "$1" ]; }
waits_for () { field "$1" '.jobs[0].waiting' | grep -qF -- "$2"; }
check "three faults of the farm's in a row: quarantine, for a time that doubles" quarantine

# strained: a worker on a host whose kernel says what stands in these files
strained ()
{
    mkdir -p "$work/thermal/thermal_zone0"
    echo 61500 > "$work/thermal/thermal_zone0/temp"
    pressure 42.17
    sed -e "s|^state = .*|state = \"$work/strained\"|" -e 's|^name = .*|name = "strained"|' "$farm/worker-$native_name.conf" > "$work/strained.conf"
    farm-worker join "$(cat "$farm/coordinator/join")" -c "$work/strained.conf" > "$work/strained-join.log"
    # shellcheck disable=SC2016
    background strained unshare --mount sh -c 'mount --bind "$1/thermal" /sys/class/thermal && mount --bind "$1/pressure" /proc/pressure/memory &&
        exec farm-worker -c "$1/strained.conf" --labels=strained' sh "$work"
    wait_for 30 has_worker strained unfit
}

pressure ()
{
    printf 'some avg10=%s avg60=0.00 avg300=0.00 total=0\nfull avg10=%s avg60=0.00 avg300=0.00 total=0\n' "$1" "$1" > "$work/pressure"
}

not_well ()
{
    local id
    [ -e /proc/pressure/memory ] && [ -e /sys/class/thermal ] || { skip "this kernel tells neither memory pressure nor temperatures"; return 0; }
    strained
    run 0 farmctl worker inspect strained
    expect_text "$work/out" "it waits for memory 42 % of the time" "memory/pressure-max" "61 °C"
    id=$(once strained --require strained)
    wait_for 10 waits_for "$id" "strained is unfit (it waits for memory 42 % of the time"
    pressure 0.00
    wait_state "$id" published
    expect "built by" "$(built_by "$id")" strained
}
check "a worker that waits for memory takes nothing, says why, and goes on when it does not any more" not_well

farm_end
