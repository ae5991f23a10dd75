#!/bin/bash
# bad_farm.sh - registries that are down, refuse or talk nonsense; disks that are full.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/registries.sh"
farm_up
registry_with_login_start
fake_registry_start '{"rules": [{"raw": "what do you want\r\n\r\n"}]}'
farm_set coordinator retry/delay-ms 300
farm_trust "$LOGIN_REGISTRY" "$FAKE_REGISTRY"
plain=$(context plain <<< $'FROM %BASE%\nRUN echo plain > /plain')

last_build ()
{
    farmctl ls --json | jq '.builds[0].id'
}

# -- registries --------------------------------------------------------------------------------------------------------

registry_down ()
{
    devfarm stop registry
    run 5 timeout 120 farmctl submit -t "$REGISTRY/down:1" "$plain"
    expect_text "$work/err" "a base image cannot be looked up" "$REGISTRY" "nothing was published"
    run 5 timeout 120 farmctl submit -t "$REGISTRY/down:1" "$(context bare <<< $'FROM scratch\nCOPY Dockerfile /')"
    expect_text "$work/err" "$REGISTRY" "nothing was published"
    run 5 farmctl imagetools inspect "$REGISTRY/base"
    expect_text "$work/err" "$REGISTRY"
    devfarm start registry
    expect "attempts" "$(field "$(last_build)" '.jobs[0].attempts | length')" 3
    run 0 farmctl submit -q -t "$REGISTRY/down:1" "$plain"
}
check "a registry that is down: three attempts, exit code 5, and it works once it is back" registry_down

registry_away_for_a_moment ()
{
    local id
    id=$(submit_detached --platform "$native" -t "$REGISTRY/moment:1" "$(slow_context moment 2)")
    wait_said "$id" "slow begins"
    devfarm stop registry
    wait_for 20 is_pushing "$id"
    devfarm start registry
    wait_state "$id" published
}
is_pushing () { [ "$(field "$1" '.jobs[0].state')" = pushing ]; }
check "a registry that is away when the push begins" registry_away_for_a_moment

registry_refuses ()
{
    run 5 timeout 120 farmctl submit -t "$LOGIN_REGISTRY/team/app:1" "$plain"
    expect_text "$work/err" "$LOGIN_REGISTRY" "nothing was published"
    expect "code" "$(field "$(last_build)" .code)" registry-denied
    expect "attempts: its no is final" "$(field "$(last_build)" '.jobs[0].attempts | length')" 1
    run 5 farmctl imagetools inspect "$LOGIN_REGISTRY/team/app:1"
}
check "a registry that refuses: exit code 5 at once" registry_refuses

registry_talks_nonsense ()
{
    run 5 timeout 120 farmctl submit -t "$FAKE_REGISTRY/team/app:1" "$plain"
    expect_text "$work/err" "$FAKE_REGISTRY" "nothing was published"
    run 5 farmctl imagetools inspect "$FAKE_REGISTRY/team/app:1"
}
check "a registry that talks nonsense: exit code 5" registry_talks_nonsense

# -- disks -------------------------------------------------------------------------------------------------------------

worker_disk_full ()
{
    local id folder
    mkdir -p "$work/small"
    mount -t tmpfs -o size=48m small "$work/small" || skip "no tmpfs can be mounted"
    folder=$(context large <<< $'FROM %BASE%\nRUN echo large begins; head -c 60000000 /dev/urandom > /large')
    devfarm stop "worker-$native_name"
    worker_add worker-small "$work/small/state" --disk-free-floor=0
    id=$(submit_detached --platform "$native" -t "$REGISTRY/large:1" "$folder")
    wait_for 60 has_attempt "$id" "worker-small failed full"
    run 0 farmctl worker pause worker-small     # else all three tries may be over before the other is there
    devfarm start "worker-$native_name"
    wait_state "$id" published 240          # a slow disk takes its time for 60 MB, three times over
    run 0 farmctl submit -q -t "$REGISTRY/large:2" "$plain"
    background_end worker-small
    unmount_below "$work/small"
    umount "$work/small"
}
has_attempt () { field "$1" '.jobs[0].attempts[] | "\(.worker) \(.state) \(.code)"' | grep -qx "$2"; }
check "a worker whose disk is full: the job goes to another" worker_disk_full

# The state folder moves to a disk of 40 MB.
coordinator_disk_full ()
{
    local folder id before
    devfarm stop coordinator
    mv "$farm/coordinator" "$work/coordinator-before"
    mkdir -m 700 "$farm/coordinator"
    mount -t tmpfs -o size=40m,mode=700 small "$farm/coordinator" || { mv -T "$work/coordinator-before" "$farm/coordinator"; devfarm start coordinator; skip "no tmpfs can be mounted"; }
    cp -a "$work/coordinator-before/." "$farm/coordinator/"
    farm_set coordinator depot/free-floor 8M
    devfarm start coordinator
    folder=$(context heavy <<< $'FROM %BASE%\nCOPY heavy /')
    head -c 100000000 /dev/urandom > "$folder/heavy"
    before=$(farmctl ls --all --json | jq '.builds | length')
    run 1 farmctl submit -t "$REGISTRY/heavy:1" "$folder"
    expect_text "$work/err" "send the context"
    grep -qiE 'full|space' "$work/err"
    expect "builds" "$(farmctl ls --all --json | jq '.builds | length')" "$before"
    wait_for 60 has_worker "worker-$native_name"
    run 0 farmctl submit -q -t "$REGISTRY/light:1" "$plain"
}
check "the coordinator's disk is full: the context is refused, small builds work" coordinator_disk_full

coordinator_disk_full_to_the_last_byte ()
{
    mountpoint -q "$farm/coordinator" || skip "no tmpfs was mounted"
    local id
    dd if=/dev/zero of="$farm/coordinator/filler" bs=4096 status=none || true
    run 1 timeout 90 farmctl submit -t "$REGISTRY/light:2" "$plain"
    grep -qiE 'full|space' "$work/err"
    expect_no_tag light 2
    rm "$farm/coordinator/filler"
    wait_for 30 farm_is_up
    wait_for 60 has_worker "worker-$native_name"
    run 0 farmctl submit -q -t "$REGISTRY/light:3" "$plain"
}
check "the coordinator's disk is full to the last byte: it says so, and goes on once there is room" coordinator_disk_full_to_the_last_byte

disk_full_while_building ()
{
    mountpoint -q "$farm/coordinator" || skip "no tmpfs was mounted"
    local id
    devfarm stop coordinator        # what was sent before has used up all above the floor
    farm_set coordinator depot/free-floor 1M
    devfarm start coordinator
    wait_for 60 has_worker "worker-$native_name"
    id=$(submit_detached --platform "$native" -t "$REGISTRY/light:4" "$(slow_context full 2)")
    wait_said "$id" "slow begins"
    dd if=/dev/zero of="$farm/coordinator/filler" bs=4096 status=none || true
    sleep 6
    rm "$farm/coordinator/filler"
    wait_for 60 farm_is_up
    wait_state "$id" published
}
check "the coordinator's disk fills while a build runs: the build is published once there is room" disk_full_while_building

# -- the limit of a file's size (RLIMIT_FSIZE): here, no byte more ------------------------------------------------------

may_write ()
{
    prlimit --pid "$(farm_pid "$1")" "--fsize=$2:unlimited"
}

coordinator_at_its_limit ()
{
    local pid
    pid=$(farm_pid coordinator)
    may_write coordinator 0
    run 1 timeout 90 farmctl submit -t "$REGISTRY/limit:1" "$(context limit <<< $'FROM %BASE%\nCOPY . /app')"
    grep -qE 'File too large|limit of a file' "$work/err"
    run 0 farmctl ls
    may_write coordinator unlimited
    expect "the coordinator" "$(farm_pid coordinator) $(kill -0 "$pid" && echo lives)" "$pid lives"
    wait_for 60 has_worker "worker-$native_name"
    run 0 farmctl submit -q -t "$REGISTRY/limit:1" "$work/limit"
}
check "a coordinator that may write no larger files says so, and goes on once it may" coordinator_at_its_limit

worker_at_its_limit ()
{
    local pid
    pid=$(farm_pid "worker-$native_name")
    date +%s%N > "$work/limit/stamp"
    may_write "worker-$native_name" 0
    run 1 timeout 90 farmctl submit --platform "$native" -t "$REGISTRY/limit:2" "$work/limit"
    expect "attempts" "$(field "$(last_build)" '.jobs[0].attempts[].code' | tr '\n' ' ')" "full full full "
    may_write "worker-$native_name" unlimited
    expect "the worker" "$(farm_pid "worker-$native_name") $(kill -0 "$pid" && echo lives)" "$pid lives"
    run 0 farmctl worker resume "worker-$native_name"       # three faults in a row have cost it its jobs
    run 0 farmctl submit -q --platform "$native" -t "$REGISTRY/limit:2" "$work/limit"
}
check "a worker that may not fails its attempts, and builds once it may" worker_at_its_limit

# limited COMMAND…: what it says may be written, what it writes may not
limited ()
{
    (ulimit -f 0; "$@") 2>&1 | cat
    return "${PIPESTATUS[0]}"
}

farmctl_at_its_limit ()
{
    run 1 limited bash -c 'farmctl ls --all > "$1"' bash "$work/list"
    expect_text "$work/out" "File too large"
    date +%s%N > "$work/limit/stamp"
    run 0 limited farmctl submit -q -t "$REGISTRY/limit:3" "$work/limit"
}
check "farmctl says so, and does without what it keeps for the next time" farmctl_at_its_limit

farm_end
