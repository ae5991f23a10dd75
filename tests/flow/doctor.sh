#!/bin/bash
# doctor.sh - what farm-worker doctor says of this host, and with which status: beside a worker that runs, and where something is missing.
. "${top_srcdir:-.}/tests/lib/farm.sh"
farm_up
conf=$farm/worker-$native_name.conf

is_fit ()
{
    run 0 farm-worker doctor -c "$conf"
    expect_text "$work/out" "user namespaces" "PID namespaces" "seccomp" "cgroups" "secrets" "swap" "platforms" "$native (native)" "builder's user" "isolation" \
        "storage" "clock" "disk" "key" "answers, and knows this worker" "This machine can build"
    expect "standard error" "$(cat "$work/err")" ""
    run 0 farm-worker doctor --json -c "$conf"
    expect_json doctor < "$work/out"
    expect "fit" "$(jq .fit "$work/out")" true
    expect "what stays of it" "$(find "$farm/worker-$native_name" -maxdepth 1 -name 'doctor*')" ""
    expect "the worker meanwhile" "$(worker_state "worker-$native_name")" online
}
check "a worker that builds is fit, and goes on meanwhile" is_fit

# broken CHECK TEXT OPTION...: the check fails, and says so
broken ()
{
    local name=$1 text=$2
    shift 2
    run 4 farm-worker doctor --json -c "$conf" "$@"
    expect "fit" "$(jq .fit "$work/out")" false
    expect "verdict of $name" "$(jq -r --arg name "$name" '.checks[] | select (.name == $name) | .verdict' "$work/out")" fail
    expect_text "$work/out" "$text"
    [ -n "$(jq -r --arg name "$name" '.checks[] | select (.name == $name) | .advice' "$work/out")" ]
    expect_text "$work/err" "to be put right first"
    run 4 farm-worker doctor -c "$conf" "$@"
    expect_text "$work/out" "FAILS" "cannot build for the farm yet"
}
no_farm_there () { broken coordinator "cannot be reached" --coordinator-control=tcp://127.0.0.1:9; }
another_farm () { broken coordinator "or none" "--coordinator-key=$(printf %064d 7)"; }
no_disk () { broken disk "has to keep" --disk-free-floor=900000G; }
no_builder () { broken builder "/no/buildah" --builder-program=/no/buildah; }
open_key ()
{
    chmod 644 "$farm/worker-$native_name/worker.key"
    local rc=0
    broken key "worker.key" || rc=$?
    chmod 600 "$farm/worker-$native_name/worker.key"
    return $rc
}
check "nobody listens where the coordinator should" no_farm_there
check "the coordinator has another key" another_farm
check "too little free disk space" no_disk
check "no builder" no_builder
check "a key that others can read" open_key

# What could be better is said, and no fault
less ()
{
    run 0 farm-worker doctor --json -c "$conf" --builder-user=worker --builder-isolation=chroot
    expect "verdicts" "$(jq -r '[.checks[] | select (.name == "isolation" or .name == "builder'"'"'s user") | .verdict] | join (" ")' "$work/out")" "warn warn"
}
check "less isolation is told, with what to do" less

# -- what the host does not give ---------------------------------------------------------------------------------------

# These runs have no builder, for haste, and so end with 4. It is said what lacks; all that is said is in $work/out.
# lacks COMMAND: in a mount namespace of its own, where COMMAND changes things first
lacks ()
{
    run 4 unshare --mount --propagation private bash -c "$1; exec farm-worker doctor --json -c '$conf' --builder-program=/no/buildah"
}

# says CHECK VERDICT TEXT…
says ()
{
    local name=$1 verdict=$2 text
    shift 2
    expect "verdict of $name" "$(jq -r --arg name "$name" '.checks[] | select (.name == $name) | .verdict' "$work/out")" "$verdict"
    jq -r --arg name "$name" '.checks[] | select (.name == $name) | .text, .advice' "$work/out" > "$work/said"
    for text in "$@"; do
        expect_text "$work/said" "$text"
    done
}

# The kernel counts namespaces for each user namespace, and in one of its own anybody may set the limit. Each kind is asked for by itself.
no_more ()
{
    local kind name
    unshare --user --map-root-user bash -c 'echo 0 > /proc/sys/user/max_net_namespaces' 2> /dev/null || skip "this host lets no user namespace limit its own"
    for kind in user:user mnt:mount pid:PID ipc:IPC net:network; do
        name=${kind#*:}
        run 4 unshare --user --map-root-user bash -c "echo 0 > /proc/sys/user/max_${kind%:*}_namespaces
            exec farm-worker doctor --json -c '$conf' --builder-program=/no/buildah"
        says "$name namespaces" warn "cannot be made: sysctl user.max_${kind%:*}_namespaces allows no more"
        expect "those that can be made beside $name" "$(jq '[.checks[] | select (.name | endswith (" namespaces")) | select (.verdict == "ok")] | length' "$work/out")" 4
    done
}
check "each kind of namespace that cannot be made is named, with why" no_more

# A process without the right that all but user namespaces want
no_right ()
{
    run 4 setpriv --bounding-set -sys_admin --inh-caps -sys_admin farm-worker doctor --json -c "$conf" --builder-program=/no/buildah
    for name in mount PID IPC network; do
        says "$name namespaces" warn "cannot be made: Operation not permitted"
    done
}
check "so are those that it may not make" no_right

# In a group of its own: other workers of this host may come and go beside it.
own_group=doctor-test-$$
groups="mount -t cgroup2 none /sys/fs/cgroup && mkdir -p /sys/fs/cgroup/$own_group && echo \$\$ > /sys/fs/cgroup/$own_group/cgroup.procs"
# As the host sees them, whatever is in them
groups_left ()
{
    unshare --mount --propagation private bash -c "mount -t cgroup2 none /sys/fs/cgroup; cd /sys/fs/cgroup/$own_group; find . -mindepth 1 -type d; cat cgroup.procs"
}

need_groups ()
{
    unshare --mount --propagation private bash -c "$groups" || skip "no cgroup v2 can be mounted"
}

no_groups ()
{
    need_groups
    lacks "mount -t tmpfs none /sys/fs/cgroup"
    says cgroups warn "no v2 at /sys/fs/cgroup"
    lacks "$groups; mount -o remount,bind,ro /sys/fs/cgroup"
    says cgroups warn "can make no groups, and limit jobs by none" "Read-only file system" "Delegate=yes"
    expect "groups left" "$(groups_left)" ""
}
check "groups that cannot be made are told, though v2 is there" no_groups

# What a worker has that is started in the same place
as_the_worker ()
{
    local enforced lacking
    need_groups
    lacks "$groups"
    expect "groups left" "$(groups_left)" ""
    background alike unshare --mount --propagation private bash -c "$groups; exec farm-worker -c '$work/alike.conf'"
    wait_for 60 is_connected alike
    enforced=$(farmctl worker inspect alike --json | jq -r .limits.enforced)
    background_end alike
    case $enforced in
        *"not all controllers"*)
            lacking=$(sed -n "s/.*cannot limit a job's \([^:]*\):.*/\1/p" "$work/out")
            expect "lacking" "$(for what in memory cpus processes; do [[ $enforced != *"$what "* ]] || echo "$what"; done | paste -sd, | sed 's/,/, /g')" "$lacking"
            says cgroups warn "is not given what that takes" ;;
        *) says cgroups ok "can limit memory, cpus and processes" ;;
    esac
}
sed -e "s|^state = .*|state = \"$work/alike\"|" -e "s|^name = .*|name = \"alike\"|" "$farm/worker-$native_name.conf" > "$work/alike.conf"
farm-worker join "$(cat "$farm/coordinator/join")" -c "$work/alike.conf" > "$work/alike-join.log"
check "limits are those that a worker has there" as_the_worker
unshare --mount --propagation private bash -c "mount -t cgroup2 none /sys/fs/cgroup; find /sys/fs/cgroup/$own_group -depth -type d -exec rmdir {} +" 2> /dev/null

no_memory ()
{
    mkdir "$work/memory" "$work/no-memory"
    mount -t tmpfs none "$work/memory"
    lacks "unset RUNTIME_DIRECTORY XDG_RUNTIME_DIR; mount --bind '$work/memory' /dev/shm"
    says secrets ok "can be made in /dev/shm, a tmpfs"
    expect "vaults left" "$(ls -A "$work/memory")" ""
    lacks "unset RUNTIME_DIRECTORY XDG_RUNTIME_DIR; mount --bind '$work/no-memory' /dev/shm; mount --bind '$work/no-memory' /run"
    says secrets warn "no folder in memory for secrets" "--secret"
}
check "a host without a tmpfs is told that it takes no secrets" no_memory

# swaps NAME…: /proc/swaps has these
swaps ()
{
    { echo "Filename Type Size Used Priority"; printf '%s\tfile\t1000\t0\t-2\n' "$@"; } > "$work/swaps"
    lacks "mount --bind '$work/swaps' /proc/swaps"
}

swap_is_on ()
{
    swaps /swapfile /dev/zram0 /dev/nosuch
    says swap warn "secrets of builds" "on a disk in /swapfile, /dev/nosuch" "swapoff -a" "encrypt it"
    swaps /dev/zram0
    says swap ok ""
}
check "swap to a disk is told, with what to do; swap within memory is none" swap_is_on

# Of the file systems some cannot: ramfs never, tmpfs not before Linux 6.3. A worker there does without a room, or each attempt would fail.
no_other_ids ()
{
    mkdir "$work/ram"
    mount -t ramfs -o mode=700 none "$work/ram" || skip "no ramfs can be mounted"
    worker_add ram "$work/ram" --disk-free-floor=0
    run 0 farm-worker doctor --json -c "$work/ram.conf" --disk-free-floor=0
    says "builder's user" warn "worker: " "files of its own (a mount namespace)" "docs/security.md"
    run 0 farmctl submit --no-result-cache --require name=ram --platform "$native" -t "$REGISTRY/ram:1" "$(context ram <<< $'FROM %BASE%\nRUN true')"
}
check "a state folder that cannot be shown under other ids is found out at the start, and its worker builds" no_other_ids

farm_end
