#!/bin/bash
# /metrics, /healthz and /readyz of the coordinator: what happens is counted, what cannot go on is told, and what the alert rules, the dashboard
# and docs/operations.md name is there.
. "${top_srcdir:-.}/tests/lib/farm.sh"
farm_up

# get PATH: the body on standard output, the status in $work/status
get ()
{
    curl -sS --max-time 10 -o "$work/body" -w '%{http_code}' "$FARM_HTTP$1" "${@:2}" > "$work/status" || return
    cat "$work/body"
}

# value NAME [LABELS]: of a series, 0 where it is not there: value farm_jobs 'platform="linux/amd64",state="queued"'
value ()
{
    local series=$1
    [ -z "${2:-}" ] || series="$1{$2}"
    get /metrics | awk -v series="${series//\"/\\\"}" '$1 == series { found = $2 } END { print found + 0 }'
}

is_value ()
{
    expect "$1 $2" "$(value "$1" "$2")" "$3"
}

answers ()
{
    expect "healthz" "$(get /healthz) $(cat "$work/status")" "ok 200"
    expect "readyz" "$(get /readyz) $(cat "$work/status")" "ready 200"
    get /nothing > /dev/null
    expect "another path" "$(cat "$work/status")" 404
    get /metrics -X POST -d x=1 > /dev/null
    expect "a POST" "$(cat "$work/status")" 405
    expect "HEAD" "$(curl -sSI "$FARM_HTTP/metrics" | head -1 | tr -d '\r')" "HTTP/1.1 200 OK"
}
check "it answers on loopback" answers

# Connections that say nothing whole, for a minute
held ()
{
    cat > "$work/silent.py" <<'END'
import socket, sys, time
host, port = sys.argv[1].split("/")[2].split(":")
held = [socket.create_connection((host, int(port))) for _ in range(50)]
for one in held:
    one.sendall(b"GET /metrics HTT")
print("held", flush=True)
time.sleep(60)
END
    background silent python3 "$work/silent.py" "$FARM_HTTP"
    wait_for 10 grep -q held "$work/silent.log"
    expect "healthz" "$(get /healthz)" ok
    background_end silent
}
check "connections that say nothing hold nobody up" held

parsed ()
{
    command -v promtool > /dev/null || skip "promtool is not installed (package prometheus)"
    get /metrics > "$work/metrics"
    promtool check metrics < "$work/metrics" > "$work/promtool" 2>&1 || { cat "$work/promtool"; return 1; }
    expect "promtool's words" "$(cat "$work/promtool")" ""
}

# -- what happens is counted -------------------------------------------------------------------------------------------

# As the heartbeat tells that comes next
workers_keep_it ()
{
    [ "$(value farm_worker_cache_bytes)" -gt 0 ]
}

counted ()
{
    local platform="platform=\"$native\"" folder phase
    folder=$(context counted <<< $'FROM %BASE%\nRUN echo counted > /counted')
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/metrics/app:1" "$folder"
    is_value farm_builds_total 'outcome="published"' 1
    is_value farm_attempts_total "$platform,outcome=\"done\",code=\"none\"" 1
    is_value farm_job_wait_seconds_count "$platform" 1
    for phase in assigned fetching building pushing verifying; do
        is_value farm_attempt_phase_seconds_count "$platform,phase=\"$phase\"" 1
    done
    is_value farm_build_duration_seconds_bucket 'outcome="published",le="+Inf"' 1
    is_value farm_images_total 'origin="built"' 1
    [ "$(value farm_registry_requests_total 'method="PUT",status="201"')" -ge 2 ]
    [ "$(value farm_depot_asked_objects_total 'result="missing"')" -ge 1 ]
    [ "$(value farm_depot_received_objects_total)" -ge 1 ]
    [ "$(value farm_depot_sent_objects_total)" -ge 1 ]
    [ "$(value farm_depot_bytes)" -gt 0 ]
    wait_for 20 workers_keep_it
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/metrics/app:2" "$folder"
    is_value farm_images_total 'origin="known"' 1
    is_value farm_builds_total 'outcome="published"' 2
}
check "a build, and one that is known already" counted

# Of two files one is another; the other is there
asked ()
{
    local folder before platform="platform=\"$native\"" fetched
    folder=$(context asked <<< $'FROM %BASE%\nCOPY one two /')
    echo one > "$folder/one"; echo two > "$folder/two"
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/metrics/asked:1" "$folder"
    before=$(value farm_depot_asked_objects_total 'result="there"')
    fetched=$(value farm_attempt_context_bytes_total "$platform,origin=\"fetched\"")
    is_value farm_attempt_context_bytes_total "$platform,origin=\"kept\"" 0
    echo three > "$folder/one"
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/metrics/asked:2" "$folder"
    [ "$(value farm_depot_asked_objects_total 'result="there"')" -gt "$before" ]
    is_value farm_attempt_context_bytes_total "$platform,origin=\"fetched\"" $((fetched + 6))
    is_value farm_attempt_context_bytes_total "$platform,origin=\"kept\"" 4
}
check "what of a context was there already, on the coordinator and on a worker" asked

failed ()
{
    local before
    before=$(value farm_attempt_phase_seconds_count "platform=\"$native\",phase=\"building\"")
    run 3 farmctl submit --platform "$native" -t "$REGISTRY/metrics/app:3" "$(context failed <<< $'FROM %BASE%\nRUN exit 7')"
    is_value farm_builds_total 'outcome="failed"' 1
    is_value farm_attempts_total "platform=\"$native\",outcome=\"failed\",code=\"build\"" 1
    is_value farm_attempt_phase_seconds_count "platform=\"$native\",phase=\"building\"" "$before"
}
check "a build that fails, which is no phase of one that was done" failed

under_way ()
{
    local id
    id=$(submit_detached --platform "$native" -t "$REGISTRY/metrics/app:4" "$(slow_context slow 60)")
    wait_said "$id" "slow begins"
    is_value farm_jobs "platform=\"$native\",state=\"building\"" 1
    is_value farm_worker_slots_busy "" 1
    is_value farm_builds_live "" 1
    run 0 farmctl cancel "$id"
    is_value farm_builds_total 'outcome="cancelled"' 1
    wait_for 20 is_value farm_worker_slots_busy "" 0
    is_value farm_builds_live "" 0
}
check "a job at work, until it is cancelled" under_way

# Anybody's words are a platform, but no label
unserved ()
{
    local ids=() i folder
    folder=$(context unserved <<< 'FROM scratch')
    for i in 1 2; do
        ids+=("$(farmctl submit -q --detach --queue-timeout 1h --platform "linux/riscv64,linux/mips$i" -t "$REGISTRY/metrics/other:$i" "$folder")")
    done
    is_value farm_jobs 'platform="other",state="queued"' 4
    is_value farm_jobs_unserved 'platform="other"' 4
    get /metrics > "$work/metrics"
    expect_no_text "$work/metrics" riscv64
    run 0 farmctl cancel "${ids[0]}"
    run 0 farmctl cancel "${ids[1]}"
    is_value farm_jobs 'platform="other",state="queued"' 0
}
check "jobs that no worker takes" unserved
check "promtool finds nothing to complain of" parsed

lost ()
{
    is_value farm_workers 'state="lost"' 0
    farm_kill "worker-$native_name"
    wait_for 20 is_value farm_workers 'state="lost"' 1
    is_value farm_platform_workers "platform=\"$native\",emulated=\"no\"" 0
    devfarm start "worker-$native_name"
    wait_for 20 is_value farm_workers 'state="lost"' 0
}
check "a worker that is lost, and back" lost

scheduled ()
{
    run 0 farmctl schedule add nightly --cron '@daily' --platform "$native" -t "$REGISTRY/metrics/app:nightly" "$work/counted"
    is_value farm_schedules 'state="active"' 1
    run 0 farmctl schedule run nightly
    is_value farm_schedule_firings_total 'outcome="build"' 1
    run 0 farmctl schedule pause nightly
    is_value farm_schedules 'state="paused"' 1
}
check "schedules" scheduled

# -- what cannot go on -------------------------------------------------------------------------------------------------

coordinator_start ()
{
    background coordinator farm-coordinator -c "$farm/coordinator.conf" "$@"
    wait_for 20 grep -q ' main: ready$' "$work/coordinator.log"
}

full ()
{
    devfarm stop coordinator
    coordinator_start --depot-free-floor=999999G
    expect "readyz" "$(get /readyz | cut -c1-24) $(get /readyz > /dev/null; cat "$work/status")" "not ready: the disk of / 503"
    expect "healthz" "$(get /healthz)" ok
    background_end coordinator
}
check "not ready: the depot has no room" full

not_ready ()
{
    get /readyz
    [ "$(cat "$work/status")" = 503 ]
}

# On a disk of its own, that is filled once it runs
unwritable ()
{
    mkdir "$work/small"
    mount -t tmpfs -o size=8m,mode=700 small "$work/small" || skip "no tmpfs can be mounted"
    coordinator_start "--state=$work/small" --depot-free-floor=0
    expect "readyz" "$(get /readyz)" ready
    dd if=/dev/zero of="$work/small/filler" bs=64K status=none 2> /dev/null || true
    wait_for 10 not_ready
    expect_text "$work/body" "full"
    expect "healthz" "$(get /healthz)" ok
    rm "$work/small/filler"
    wait_for 10 is_ready
    background_end coordinator
    umount "$work/small"
}

is_ready ()
{
    [ "$(get /readyz)" = ready ]
}
check "not ready: the queue cannot be written" unwritable

silent ()
{
    coordinator_start --http-bind=off
    if curl -sS --max-time 2 "$FARM_HTTP/healthz" 2> /dev/null; then return 1; fi
    expect_no_text "$work/coordinator.log" "http://"
    background_end coordinator
    run 2 timeout 20 farm-coordinator -c "$farm/coordinator.conf" --http-bind=localhost
    expect_text "$work/err" 'http/bind is "localhost": it has to be an address and a port'
    coordinator_start
    run 1 timeout 20 farm-coordinator "--state=$work/second" '--control-bind=tcp://127.0.0.1:*' '--objects-bind=tcp://127.0.0.1:*' \
        "--http-bind=${FARM_HTTP#http://}"
    expect_text "$work/err" "listen on http/bind ${FARM_HTTP#http://}: Address already in use"
    background_end coordinator
    devfarm start coordinator
}
check "off; and where nobody can listen" silent

# -- what others name --------------------------------------------------------------------------------------------------

known_names ()
{
    sed -n 's/^    { "\(farm_[a-z_]*\)", [A-Z]*, .*/\1/p' "$top_srcdir/coordinator/metrics.c" | sort -u
}

names_in ()
{
    grep -oE 'farm_[a-z_]+' "$1" | sed -E 's/_(bucket|sum|count)$//' | sort -u
}

named ()
{
    local file
    known_names > "$work/known"
    [ "$(wc -l < "$work/known")" -gt 20 ]
    for file in contrib/monitoring/alerts.yml contrib/monitoring/dashboard.json; do
        expect "unknown to the coordinator, in $file" "$(names_in "$top_srcdir/$file" | comm -13 "$work/known" -)" ""
    done
    awk '/^## Monitoring/ { on = 1; next } /^## / { on = 0 } on' "$top_srcdir/docs/operations.md" | sed -n 's/^| `\(farm_[a-z_]*\)`.*/\1/p' | sort -u > "$work/told"
    expect "not alike in docs/operations.md" "$(comm -3 "$work/known" "$work/told")" ""
}
check "the alert rules, the dashboard and docs/operations.md name what there is" named

# An expression each, as a rule file
# shellcheck disable=SC2016
panels ()
{
    echo 'groups: [{name: dashboard, rules: ['
    jq -r '.panels[].targets[].expr' "$top_srcdir/contrib/monitoring/dashboard.json" | sed -e 's/\$__rate_interval/5m/g' -e 's/\$job/archfarm/g' \
        | awk '{ gsub (/\047/, "\047\047"); printf "{record: \"panel:%d\", expr: \047%s\047},\n", NR, $0 }'
    echo ']}]'
}

rules ()
{
    command -v promtool > /dev/null || skip "promtool is not installed (package prometheus)"
    run 0 promtool check rules "$top_srcdir/contrib/monitoring/alerts.yml"
    panels > "$work/panels.yml"
    [ "$(grep -c '^{record' "$work/panels.yml")" -gt 20 ]
    run 0 promtool check rules "$work/panels.yml"
}
check "promtool reads the alert rules, and the dashboard's expressions" rules
farm_end
