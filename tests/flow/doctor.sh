#!/bin/bash
# doctor.sh - what farm-worker doctor says of this host, and with which status: beside a worker that runs, and where something is missing.
. "${top_srcdir:-.}/tests/lib/farm.sh"
farm_up
conf=$farm/worker-$native_name.conf

is_fit ()
{
    run 0 farm-worker doctor -c "$conf"
    expect_text "$work/out" "user namespaces" "PID namespaces" "seccomp" "cgroups" "platforms" "$native (native)" "builder's user" "isolation" \
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

farm_end
