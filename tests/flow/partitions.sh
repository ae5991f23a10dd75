#!/bin/bash
# partitions.sh - coordinator, workers and farmctl on hosts of their own, whose cables are cut and mended, and whose processes stand still.
# A lease is 6 s here, a heartbeat comes every half second.
. "${top_srcdir:-.}/tests/lib/net.sh"
# shellcheck disable=SC2015
[ -n "${NET_ENTERED:-}" ] || "${top_srcdir:-.}/contrib/lib/base-image" > /dev/null 2>&1 || true     # it may need the network outside
net_enter "$@"
export FARM_ADDRESS=10.9.0.1
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/indexes.sh"
farm_up
lease=6

shorten_lease ()
{
    devfarm stop coordinator
    cat >> "$farm/coordinator.conf" <<END
lease
    heartbeat-ms = 500
    duration-ms = ${lease}000
    gone-grace-ms = 2000
worker
    quarantine-ms = 0
END
    devfarm start coordinator
}
shorten_lease > "$work/shorten.log" 2>&1

# board NAME NUMBER LABELS SLOTS: a worker on a host of its own
board ()
{
    net_host "$1" "$2"
    sed -e "s|^state = .*|state = \"$work/$1\"|" -e "s|^name = .*|name = \"$1\"|" "$farm/worker-$native_name.conf" > "$work/$1.conf"
    farm-worker join "$(cat "$farm/coordinator/join")" -c "$work/$1.conf" --labels="$3" --slots="$4" > "$work/$1-join.log"
    background "$1" nsenter --target "$(background_pid "host-$1")" --net -- farm-worker -c "$work/$1.conf"
}

ports ()
{
    sed -n 's/^    \(control\|objects\) = "tcp:.*:\([0-9]*\)"/\2/p' "$farm/coordinator/admin.conf"
}

net_host desk 20
for i in 1 2 3; do
    board "board$i" $((10 + i)) "on$i=yes" 2
done
board spare 14 on1=yes,on2=yes,on3=yes 4
for i in board1 board2 board3 spare; do
    wait_for 60 is_connected "$i" || { echo "Bail out! $i is not there"; exit 1; }
done

# submit NUMBER NAME SECONDS [COMMAND…]: a build for boardNUMBER, or the spare one
submit ()
{
    background "$2" "${@:4}" farmctl submit --platform "$native" --require "on$1" -t "$REGISTRY/parted:$2" "$(slow_context "$2" "$3")"
}
from_desk () { exec nsenter --target "$(background_pid host-desk)" --net -- "$@"; }

# begun NAME: wait until it builds; its number in $id
begun ()
{
    wait_for 20 grep -q "^build [0-9]* queued" "$work/$1.log"
    id=$(sed -n 's/^build \([0-9]*\) queued/\1/p' "$work/$1.log")
    wait_for 60 grep -q "slow begins" "$work/$1.log"
}

# begin_all NAME SECONDS: one on each board, none on the spare; their numbers in $one, $two, $three
begin_all ()
{
    farmctl worker pause spare > "$work/pause.log"
    submit 1 "$1-one" "$2" from_desk
    submit 2 "$1-two" "$2"
    submit 3 "$1-three" "$2"
    begun "$1-one"; one=$id
    begun "$1-two"; two=$id
    begun "$1-three"; three=$id
    farmctl worker resume spare > "$work/resume.log"
}

attempts_of ()
{
    field "$1" '[.jobs[0].attempts[] | "\(.worker) \(.state)"] | join (", ")'
}

# expect_attempts WHAT BUILD ATTEMPTS: and if not, why each of them ended, and what the workers said
expect_attempts ()
{
    expect "$1" "$(attempts_of "$2")" "$3" && return
    farmctl inspect "$2"
    tail -n 20 "$work"/board[123].log "$work/spare.log"
    return 1
}

is_on ()
{
    [ "$(field "$1" '.jobs[0].worker')" = "$2" ]
}

all_end ()
{
    local name
    for name in one two three; do
        background_ends "$1-$name" 0
        has_tag parted "$1-$name"
    done
    grep -qE '^sha256:[0-9a-f]{64}$' "$work/$1-one.log"
}

# -- for less than a lease ---------------------------------------------------------------------------------------------

# Two thirds of it: TCP would try again after more than a lease, so the worker has to dial anew.
cut_short ()
{
    local one two three
    begin_all short 6
    net_pull board1
    net_unplug board2
    net_unplug desk
    kill -STOP "$(background_pid board3)"
    sleep $((lease - 2))
    net_mend board1
    net_mend board2
    net_mend desk
    kill -CONT "$(background_pid board3)"
    all_end short
    expect_attempts "cable pulled" "$one" "board1 done"
    expect_attempts "cable cut" "$two" "board2 done"
    expect_attempts "stopped" "$three" "board3 done"
}
check "cut off, or stopped, for less than the lease: the worker carries on, and farmctl follows" cut_short

# -- for longer --------------------------------------------------------------------------------------------------------

# What board1 says is not heard, nor does it hear anything; board2 does not hear; board3 stands still. All of them build on, and push:
# the registry's port is open.
cut_long ()
{
    local one two three all
    mapfile -t all < <(ports)
    begin_all long 7
    net_drop board1 input "${all[@]}"
    net_drop board1 output "${all[@]}"
    net_drop board2 input "${all[@]}"
    kill -STOP "$(background_pid board3)"
    wait_for 20 is_on "$one" spare
    wait_for 20 is_on "$two" spare
    wait_for 20 is_on "$three" spare
    wait_for 20 grep -q ": pushed sha256:" "$work/board1.log"
    net_mend board1
    net_mend board2
    kill -CONT "$(background_pid board3)"
    all_end long
    expect_attempts "no word either way" "$one" "board1 failed, spare done"
    expect_attempts "no word to it" "$two" "board2 failed, spare done"
    expect_attempts "stopped" "$three" "board3 failed, spare done"
    for i in 1 2 3; do
        wait_for 30 has_slots_free "board$i"
        grep -E "attempt 1 is (not wanted any more|stopped: it is not wanted)" "$work/board$i.log"
    done
}
has_slots_free () { [ "$(farmctl worker inspect "$1" --json | jq '[.busy, .connected] == [0, true]')" = true ]; }
check "for longer: the job ends on another worker, and what the first one made changes nothing" cut_long

# What the coordinator hears, and answers into the void, renews a lease until the worker gives the connection up.
deaf_and_dumb ()
{
    local one two three all
    mapfile -t all < <(ports)
    begin_all dumb 3
    net_drop board1 output "${all[@]}"
    net_drop board2 input "${all[@]}"
    sleep 1.5
    net_mend board1
    net_mend board2
    all_end dumb
    expect_attempts "not heard" "$one" "board1 done"
    expect_attempts "not hearing" "$two" "board2 done"
}
check "in one direction, for less than the lease: nothing is lost" deaf_and_dumb

# -- the coordinator, and all of it ------------------------------------------------------------------------------------

coordinator_stands_still ()
{
    local one two three
    begin_all still $((lease + 3))
    kill -STOP "$(farm_pid coordinator)"
    sleep $((lease + 2))
    kill -CONT "$(farm_pid coordinator)"
    all_end still
    expect_attempts "first" "$one" "board1 done"
    expect_attempts "second" "$two" "board2 done"
    expect_attempts "third" "$three" "board3 done"
}
check "a coordinator that stands still for longer than a lease costs no attempt" coordinator_stands_still

farmctl_stands_still ()
{
    local one two three
    begin_all desk 2
    kill -STOP "$(background_pid desk-one)"
    wait_state "$one" published
    kill -CONT "$(background_pid desk-one)"
    all_end desk
    expect_text "$work/desk-one.log" "$(field "$one" .digest)"
}
check "farmctl, stopped while its build ends: it ends rightly when it goes on" farmctl_stands_still

# Whoever wins, an older build does not move the tag back.
tag_stays ()
{
    local id newer
    farmctl worker pause spare > "$work/pause.log"
    submit 1 tag 7
    begun tag
    newer=$(submit_detached --platform "$native" --require on2 -t "$REGISTRY/parted:tag" "$(slow_context newer 0)")
    farmctl worker resume spare > "$work/resume.log"
    net_unplug board1
    wait_state "$newer" published
    wait_for 20 is_on "$id" spare
    net_mend board1
    background_ends tag 0
    expect_text "$work/tag.log" "superseded by $newer"
    run 0 farmctl inspect "$id"
    grep -qE "^note +superseded by $newer$" "$work/out"
    expect "the tag" "sha256:$(registry_get parted/manifests/tag | sha256sum | sed 's/ .*//')" "$(field "$newer" .digest)"
}
check "a build that was held up by a cut does not move its tag back" tag_stays

# -- over all ----------------------------------------------------------------------------------------------------------

published_once ()
{
    devfarm stop coordinator
    farm_sql "SELECT builds.id, state, count (events.id) FROM builds LEFT JOIN events ON events.build = builds.id
              AND events.to_state = 'published' AND job IS NULL GROUP BY builds.id HAVING count (events.id) <> 1" > "$work/odd"
    expect "builds that were not published once" "$(cat "$work/odd")" ""
    expect "leases and outbox" "$(farm_sql "SELECT (SELECT count (*) FROM outbox), (SELECT count (*) FROM attempts WHERE ended_ms IS NULL)")" "0|0"
}
check "every build was published, and once" published_once

farm_end
