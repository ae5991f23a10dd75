#!/bin/bash
# workers.sh - what an admin says of workers, at the command line: labels, drain, pause, resume, forget; and builds that wait for one.
. "${top_srcdir:-.}/tests/lib/farm.sh"
farm_up

worker_field ()
{
    farmctl worker inspect "$1" --json | jq -r "$2"
}

waits_for ()
{
    field "$1" '.jobs[0].waiting' | grep -qF -- "$2"
}

# -- the process that starts builders ------------------------------------------------------------------------------------

# is_after SPAWNER WORKER THREAD: begun later; the numbers go round
is_after ()
{
    local most
    most=$(cat /proc/sys/kernel/pid_max)
    [ $((($3 - $2 + most) % most)) -gt $((($1 - $2 + most) % most)) ]
}

forked_first ()
{
    local worker spawner thread process secret
    worker=$(farm_pid "worker-$native_name")
    spawner=$(pgrep -P "$worker" farm-spawner)
    expect "threads" "$(ls "/proc/$spawner/task")" "$spawner"
    expect "descriptors from 3 on" "$(readlink "/proc/$spawner/fd/"{3..9} | sed 's/:\[[0-9]*\]$//' | tr '\n' ' ')" \
        "socket $farm/worker-$native_name/lock anon_inode:[signalfd] "
    grep -q '^ZMQbg' "/proc/$worker/task/"*/comm
    for thread in "/proc/$worker/task/"*; do
        [ "${thread##*/}" = "$worker" ] || is_after "$spawner" "$worker" "${thread##*/}" || { echo "older: $(cat "$thread/comm")"; return 1; }
    done
    secret=$(sed -n 's/^secret //p' "$farm/worker-$native_name/worker.key" | sed 's/../\\x&/g')
    expect "who has the worker's key in memory" "$(for process in "$worker" "$spawner"; do memory_of "$process" "$secret" | grep -qa . && echo "$process"; done)" "$worker"
}
check "the process that starts builders was there before threads, sockets and keys" forked_first

# -- labels ------------------------------------------------------------------------------------------------------------

own_labels ()
{
    echo 'labels = "room=attic,ssd=no"' >> "$farm/worker-$native_name.conf"      # the other one is made like it
    worker_add attic
    expect "labels" "$(worker_field attic '.labels | [.name, .room, .ssd] | join (" ")')" "attic attic no"
    wait_for 20 is_load_shown
}
is_load_shown () { farmctl worker inspect attic | grep -E '^health +load [0-9]+ % of a cpu, [0-9.]+ [kMG]B of memory free, '; }
check "a worker says its labels" own_labels

given_labels ()
{
    run 0 farmctl worker label attic ssd=yes fast --comment "new disk"
    expect_text "$work/out" "room=attic"
    expect_text "$work/out" "ssd=yes"
    expect "comment" "$(worker_field attic .comment)" "new disk"
    run 0 farmctl worker label attic fast-
    expect "labels" "$(worker_field attic '.labels | keys - ["network-none"] | join (" ")')" "name room ssd"
    run 2 farmctl worker label attic "a b=c"
    run 2 farmctl worker label nobody a=b
    expect_text "$work/err" "there is no worker nobody"
}
check "an admin's labels win over them" given_labels

required ()
{
    local label
    for label in room=attic name=attic ssd!=no; do
        run 0 farmctl submit -q --platform "$native" --no-result-cache --require room --require "$label" -t "$REGISTRY/workers:required" \
            "$(slow_context required 0)"
        expect "built by" "$(farmctl ls --limit 1 --json | jq -r '.builds[0].jobs[0].worker')" attic
    done
    run 4 farmctl submit -q --platform "$native" --queue-timeout 0 --require room=cellar -t "$REGISTRY/workers:required" "$(slow_context required 0)"
    expect_text "$work/err" "no worker for $native with room=cellar"
    run 2 farmctl submit --platform "$native" --require "a b" -t "$REGISTRY/workers:required" "$work/required"
}
check "a build goes to a worker with the labels it requires" required

# -- drain, pause, resume ----------------------------------------------------------------------------------------------

paused ()
{
    local id
    run 0 farmctl worker pause attic --comment "it smells"
    expect "state" "$(worker_state attic)" paused
    farmctl worker ls | grep -qF "it smells"
    id=$(submit_detached --platform "$native" --require room=attic -t "$REGISTRY/workers:paused" "$(slow_context paused 0)")
    wait_for 10 waits_for "$id" "no worker takes jobs for $native with room=attic: attic is paused"
    run 0 farmctl ls
    grep -qE "^$id +queued .* $REGISTRY/workers:paused +no worker takes jobs for $native with room=attic: attic is paused$" "$work/out"
    run 0 farmctl worker resume attic
    wait_state "$id" published
    run 0 farmctl ls
    grep -qE "^$id +published .* $REGISTRY/workers:paused$" "$work/out"
    expect "comment" "$(worker_field attic .comment)" ""
    run 0 farmctl worker resume attic --comment "aired"
    run 0 farmctl worker inspect attic
    grep -qE "^comment +aired$" "$work/out"
}
check "a paused worker gets nothing until it is resumed" paused

drained ()
{
    local id why
    id=$(submit_detached --platform "$native" --require room=attic -t "$REGISTRY/workers:drained" "$(slow_context drained 3)")
    wait_said "$id" "slow begins"
    expect "works on" "$(worker_field attic '.tasks[0].build')" "$id"
    run 0 farmctl worker drain attic --wait --comment "to be moved"
    grep -qx "worker attic is drained" "$work/err"
    expect "slots taken" "$(worker_field attic .busy)" 0
    wait_state "$id" published
    run 4 farmctl submit --platform "$native" --require room=attic --queue-timeout 2 -t "$REGISTRY/workers:drained" "$(context draining <<< 'FROM scratch')"
    why="no worker takes jobs for $native with room=attic: attic is draining"
    expect_text "$work/err" "$native  queued; waiting: $why" "no worker took it within 2s (--queue-timeout): $why"
    background_end attic
    wait_for 20 is_disconnected
    farmctl worker ls | grep -E '^attic +draining, not connected ' | grep -q "to be moved"
    run 0 farmctl worker forget attic --comment "its board is broken"
    run 0 farmctl audit show
    grep -qE " order +done +attic forgotten: its board is broken$" "$work/out"
    run 2 farmctl worker inspect attic
    expect "workers" "$(farmctl worker ls --json | jq -r '[.workers[].name | select (. == "attic")] | length')" 0
}
is_disconnected () { [ "$(worker_field attic .connected)" = false ]; }
check "a drained worker ends what it has, and can be forgotten" drained

unfit ()
{
    local id
    worker_add narrow "$work/narrow" --disk-free-floor=1000000G --labels=room=hall
    wait_for 20 has_worker narrow unfit
    run 0 farmctl worker inspect narrow
    expect_text "$work/out" "of disk are free, and it keeps" "of disk free"
    id=$(submit_detached --platform "$native" --require room=hall -t "$REGISTRY/workers:unfit" "$(slow_context unfit 0)")
    wait_for 10 waits_for "$id" "narrow is unfit"
    run 0 farmctl cancel "$id"
    background_end narrow
}
check "a worker with too little disk takes nothing, and says why" unfit

# -- waiting -----------------------------------------------------------------------------------------------------------

out_of_time ()
{
    local id
    run 4 farmctl submit --platform linux/riscv64 --queue-timeout 2 -t "$REGISTRY/workers:waiting" "$(context waiting <<< 'FROM scratch')"
    expect_text "$work/err" "it will wait for 2.0 s at most: no worker for linux/riscv64"
    expect_text "$work/err" "linux/riscv64  queued; waiting: no worker for linux/riscv64; the workers run" \
        "no worker took it within 2s (--queue-timeout): no worker for linux/riscv64; the workers run"
    [ "$(grep -c "linux/riscv64 *failed" "$work/err")" = 1 ]
    expect_no_text "$work/err" "farmctl logs"
    id=$(submit_detached --platform linux/riscv64 -t "$REGISTRY/workers:waiting" "$work/waiting")
    wait_for 10 waits_for "$id" "no worker for linux/riscv64"
    run 0 farmctl inspect "$id"
    expect_text "$work/out" "waiting: no worker for linux/riscv64; the workers run"
    run 0 farmctl cancel "$id"
}
check "a build that no worker takes says so, and fails after its time" out_of_time

not_for_all ()
{
    run 2 farmctl worker
    expect_text "$work/err" "farmctl worker ls"
    run 2 farmctl worker dran attic
    expect_text "$work/err" 'did you mean "drain"?' "pause NAME"
    run 2 farmctl worker drain
    expect_text "$work/err" "farmctl worker drain NAME"
    run 2 farmctl worker resume attic --coment no
    expect_text "$work/err" "worker resume has no option --coment (did you mean --comment?); farmctl help worker resume lists them"
    run 0 farmctl help worker resume
    expect_text "$work/out" "--comment TEXT"
}
check "the wrong words" not_for_all

farm_end
