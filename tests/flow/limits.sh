#!/bin/bash
# limits.sh - what a job may take: memory, cpus, processes and time; and that nothing of a job is left when it ends, however it does.
#
# Each test runs on each of four workers: one that finds no cgroup v2 and uses rlimits and the process group, and one that finds one
# mounted in a name space of its own; each with the isolation that a runtime gives, where one works here, and with chroot. What the
# host's cgroup v2 has no controller for (a host that has them under v1), a worker says, and is not asked of it.
#
#     limits.sh [WORKER…]       those alone: make check-vm-limits, in a machine that is slow
. "${top_srcdir:-.}/tests/lib/farm.sh"
chosen=("$@")
[ $# -gt 0 ] || chosen=(grouped grouped-chroot plain plain-chroot)
farm_up

# worker_in NAME cgroup2|tmpfs OPTION…: its /sys/fs/cgroup is one of that kind
worker_in ()
{
    local name=$1 kind=$2
    shift 2
    mkdir -p "$work/bin-$name"
    cat > "$work/bin-$name/run" <<END
#!/bin/sh
case \$(stat -f -c %T /sys/fs/cgroup) in $kind*) ;; *) mount -t $kind none /sys/fs/cgroup || exit ;; esac
exec farm-worker "\$@"
END
    chmod +x "$work/bin-$name/run"
    sed -e "s|^state = .*|state = \"$work/$name\"|" -e "s|^name = .*|name = \"$name\"|" "$farm/worker-$native_name.conf" > "$work/$name.conf"
    farm-worker join "$(cat "$farm/coordinator/join")" -c "$work/$name.conf" > "$work/$name-join.log"
    worker_start "$name" "$@"
}

worker_start ()
{
    local name=$1
    shift
    background "$name" unshare --mount --propagation private "$work/bin-$name/run" -c "$work/$name.conf" --limit-pids=64 "$@"
    wait_for 60 is_connected "$name"
}

all=(grouped grouped-chroot plain plain-chroot)
start_all ()
{
    local name kind
    for name in "${chosen[@]}"; do
        case $name in grouped*) kind=cgroup2 ;; *) kind=tmpfs ;; esac
        case $name in *-chroot) worker_in "$name" $kind --builder-isolation=chroot ;; *) worker_in "$name" $kind ;; esac
    done
}
check "workers start with a cgroup v2 and without" start_all

# -- what a worker has -------------------------------------------------------------------------------------------------

limits_of ()
{
    farmctl worker inspect "$1" --json | jq -r ".limits.$2"
}

# has_controller WORKER "memory of"|"cpus by"|processes: it is cgroup v2 that keeps jobs to it
has_controller ()
{
    local how
    how=$(limits_of "$1" enforced)
    case $how in *"without cgroup v2"*) return 1 ;; *"$2"*) return 1 ;; *) return 0 ;; esac
}

# The host sees its groups below its own mount, if it has one.
host_groups=$work/cgroup2
mkdir "$host_groups"
mount -t cgroup2 none "$host_groups" 2> /dev/null || true

# The folder of a worker's groups as the host sees it
groups_of ()
{
    local folder
    folder=$(limits_of "$1" enforced | grep -o '/sys/fs/cgroup[^ ,]*/farm-worker-[0-9a-f]*') || return 1
    echo "$host_groups${folder#/sys/fs/cgroup}"
}

# What is left of jobs: processes, mounts, containers, what a runtime notes, groups, folders
holds ()
{
    local groups
    processes_below "$work/$1" | grep -v -e unshare -e "$work/bin-$1/run" || true
    nsenter -t "$(background_pid "$1")" -m awk -v folder="$work/$1/" 'index ($5, folder) == 1 { print "mount " $5 }' /proc/self/mountinfo
    find "$work/$1" \( -path '*/overlay-containers/*' -o -path '*/vfs-containers/*' \) -type d -prune -printf 'container %P\n'
    find "$work/$1/attempts" "$work/$1"/builder/*/runtime -mindepth 1 -maxdepth 1 2> /dev/null || true
    ! groups=$(groups_of "$1") || find "$groups/jobs" -mindepth 1 -type d
}
holds_nothing () { [ -z "$(holds "$1")" ]; }
expect_nothing_left ()
{
    wait_for 60 holds_nothing "$1" || { holds "$1"; return 1; }
}

# build WORKER NAME OPTION… CONTEXT
build ()
{
    local worker=$1 name=$2
    shift 2
    run "$wanted" farmctl submit --platform "$native" --require "name=$worker" --no-result-cache --no-cache -t "$REGISTRY/$name:1" "$@"
}
last () { farmctl ls --json --limit 1 | jq '.builds[0].id'; }
expect_one_attempt () { expect "attempts" "$(field "$(last)" '.jobs[0].attempts | length')" 1; }

# on_each WHAT FUNCTION WORKER…
on_each () { local worker; for worker in "${@:3}"; do ! is_chosen "$worker" || check "$worker: $1" "$2" "$worker"; done; }
is_chosen () { [[ " ${chosen[*]} " == *" $1 "* ]]; }

says_how ()
{
    case $1 in
        grouped*) [[ $(limits_of "$1" enforced) == "by cgroup v2, /sys/fs/cgroup"* ]] ;;
        *) expect "how" "$(limits_of "$1" enforced)" "without cgroup v2 (/sys/fs/cgroup is no cgroup v2): memory of each process by RLIMIT_DATA, cpus by affinity, processes by RLIMIT_NPROC in a room of their own, else not at all" ;;
    esac
    expect_text "$work/$1.log" "one job may have " "enforced $(limits_of "$1" enforced)"
    run 0 farmctl worker inspect "$1"
    expect_text "$work/out" "64 processes for one job" "$(limits_of "$1" enforced)"
    expect "a fresh worker" "$(holds "$1")" ""
}
on_each "says how it enforces limits" says_how "${all[@]}"

# Whatever is asked of a group below is asked where its controller is.
by_cgroup ()
{
    local missing="" what
    for what in "memory of" "cpus by" processes; do
        has_controller grouped "$what" || missing+=" ${what%% *}"
    done
    [ -z "$missing" ] || skip "cgroup v2 has no controller here for$missing: make -C tests check-vm-limits has"
}
! is_chosen grouped || check "cgroup v2 keeps jobs to memory, cpus and processes" by_cgroup

# -- limits ------------------------------------------------------------------------------------------------------------

eats ()
{
    wanted=3 build "$1" eats --memory 128M "$(context eats <<< $'FROM %BASE%\nRUN x=$(yes | head -c 300000000); echo ${#x}')"
    local id
    id=$(last)
    ! has_controller "$1" "memory of" || expect_text "$work/err" "job $id/$native was killed at its memory limit of 128M; raise --memory or use less"
    expect "code" "$(field "$id" '.jobs[0].code')" build
    expect_one_attempt
    expect_nothing_left "$1"
    run 0 farmctl inspect "$id"
    expect_text "$work/out" "128M of memory, 1h for each job"
}
on_each "a RUN step that eats memory is stopped, and not tried again" eats "${all[@]}"

fits ()
{
    wanted=0 build "$1" fits --memory 512M --cpus 1 "$(context fits <<< $'FROM %BASE%\nRUN x=$(yes | head -c 30000000); echo ${#x}')"
    expect_nothing_left "$1"
}
on_each "what keeps within its limits is built" fits grouped plain

forks ()
{
    has_controller "$1" processes || skip "nothing limits root's processes here"
    wanted=3 build "$1" forks "$(context forks <<< $'FROM %BASE%\nRUN i=0; while [ $i -lt 200 ]; do sleep 100 & i=$((i + 1)); done')"
    expect_text "$work/err" "as many processes and threads as it may have, 64 (limit/pids of the worker)"
    expect_one_attempt
    expect_nothing_left "$1"
}
on_each "a RUN step that forks is stopped" forks grouped grouped-chroot

# Its groups while it runs, or its affinity
burns ()
{
    local id groups
    id=$(submit_detached --platform "$native" --require "name=$1" --no-cache --no-result-cache --memory 256M --cpus 0.5 -t "$REGISTRY/burns:1" "$(context burns <<'END'
FROM %BASE%
RUN grep Cpus_allowed_list /proc/self/status; echo "burn"" begins"; while :; do :; done
END
    )")
    wait_said "$id" "burn begins"
    if groups=$(groups_of "$1"); then
        groups=$(echo "$groups"/jobs/*/)
        ! has_controller "$1" "cpus by" || wait_for 20 is_throttled "$groups"
        ! has_controller "$1" "memory of" || expect "memory" "$(cat "$groups/memory.max" "$groups/memory.swap.max" "$groups/memory.oom.group" | tr '\n' ' ')" "268435456 0 1 "
        ! has_controller "$1" processes || expect "processes" "$(cat "$groups/pids.max")" 64
        wait_for 10 is_in_group "$groups"
    fi
    has_controller "$1" "cpus by" || farmctl logs "$id" | grep -qE 'Cpus_allowed_list:[[:space:]]*[0-9]+$'
    run 0 farmctl cancel "$id"
    expect_nothing_left "$1"
}
is_throttled () { [ "$(sed -n 's/^nr_throttled //p' "$1/cpu.stat")" -gt 3 ] && [ "$(cat "$1/cpu.max")" = "50000 100000" ]; }
# Nothing of the step has left the group for another.
is_in_group () { find "$1" -name cgroup.procs -exec cat {} + | while read -r pid; do tr '\0' ' ' < "/proc/$pid/cmdline"; done | grep -q "burn.* begins"; }
on_each "a RUN step that burns gets its part of the cpus" burns "${all[@]}"

# -- time --------------------------------------------------------------------------------------------------------------

sleeps ()
{
    wanted=124 build "$1" sleeps --timeout 4 "$(slow_context "sleeps-$1" 60)"
    expect_text "$work/err" "job $(last)/$native was stopped at its time limit of 4s; raise --timeout, or make the build faster"
    expect "code" "$(field "$(last)" '.jobs[0].code')" timeout
    expect_one_attempt
    expect_nothing_left "$1"
}
on_each "a RUN step that sleeps past --timeout is stopped: 124" sleeps grouped plain

following_ends ()
{
    local id
    run 124 farmctl submit --platform "$native" --require "name=${chosen[-1]}" --follow-timeout 1 -t "$REGISTRY/follow:1" "$(slow_context follow 60)"
    id=$(last)
    expect_text "$work/err" "build $id goes on: farmctl wait $id"
    run 0 farmctl cancel "$id"
}
check "--follow-timeout: 124 too, and the build goes on" following_ends

# -- the end -----------------------------------------------------------------------------------------------------------

# Processes that leave their session and their parent, and ignore what they can; the runtime's groups by their name, in whatever kind
stubborn ()
{
    local id name
    id=$(submit_detached --platform "$native" --require "name=$1" --no-cache --no-result-cache -t "$REGISTRY/stubborn:1" "$(context "stubborn-$1" <<END
FROM %BASE%
RUN trap '' TERM INT HUP; cat /proc/self/cgroup; (setsid sh -c 'trap "" TERM INT HUP; (setsid sleep $sleeper &); sleep $sleeper' &) ; echo "stubborn"" begins"; while :; do sleep 1; done
END
    )")
    wait_said "$id" "stubborn begins"
    run 0 farmctl "$2" "$id"
    expect_nothing_left "$1"
    wait_for 5 has_no_sleeper
    for name in $(farmctl logs "$id" | grep -oE '/(buildah-buildah[0-9]+|farm-worker-[0-9a-f]+/jobs/[^/]+).*' | sort -u); do
        expect "groups left" "$(find /sys/fs/cgroup "$host_groups" -path "*$name" 2> /dev/null || true)" ""
    done
}
sleeper=$((2000000 + $$))
has_no_sleeper () { ! pgrep -f "sleep $sleeper\$"; }
cancelled () { stubborn "$1" cancel; }
on_each "cancelled: no process, group, mount, container or folder stays" cancelled "${all[@]}"

killed ()
{
    local id
    id=$(submit_detached --platform "$native" --require "name=$1" --no-cache --no-result-cache -t "$REGISTRY/killed:1" "$(slow_context "killed-$1" 60)")
    wait_said "$id" "slow begins"
    kill -KILL "$(background_pid "$1")"
    wait_for 10 is_dead "$(background_pid "$1")"
    farmctl cancel "$id"
    worker_start "$1"
    expect_nothing_left "$1"
    wanted=0 build "$1" killed "$(slow_context "next-$1" 0)"
}
on_each "killed and started again: what it left is gone, and it builds" killed grouped plain

stopped ()
{
    local groups
    groups=$(groups_of "$1") || skip "it has no groups"
    background_end "$1"
    expect "groups left by a stop" "$(find "$groups/jobs" -type d 2> /dev/null || true)" ""
}
check "a worker that is stopped takes its groups along" stopped grouped

# -- matching ----------------------------------------------------------------------------------------------------------

too_large ()
{
    run 4 farmctl submit --platform "$native" --memory 1024T --queue-timeout 0 -t "$REGISTRY/large:1" "$(slow_context large 0)"
    expect_text "$work/err" "no worker for $native with 1024T of memory: the most that its workers give one job is" "limit/memory"
    local id
    id=$(submit_detached --platform "$native" --cpus 10000 --timeout 2h -t "$REGISTRY/large:1" "$(slow_context large 0)")
    expect "waiting" "$(field "$id" '.jobs[0].waiting' | cut -d: -f1)" "no worker for $native with 10000 cpus"
    run 0 farmctl inspect "$id" --json
    expect_json build < "$work/out"
    expect "limits" "$(jq -c .limits "$work/out")" '{"memory_bytes":null,"cpu_percent":1000000,"timeout_ms":7200000}'
    run 0 farmctl cancel "$id"
    run 0 farmctl retry --detach -q "$id"
    expect "of the retry" "$(field "$(last)" '.limits | tostring')" '{"memory_bytes":null,"cpu_percent":1000000,"timeout_ms":7200000}'
    run 0 farmctl cancel "$(last)"
    run 0 farmctl worker inspect "${chosen[-1]}" --json
    expect_json worker < "$work/out"
}
check "a job that asks for more than anybody gives waits and says so; retry keeps what was asked" too_large

umount "$host_groups" 2> /dev/null || true
farm_end
