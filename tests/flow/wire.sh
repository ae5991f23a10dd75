#!/bin/bash
# wire.sh - crowds on the wire, before the handshake and behind it: meanwhile honest users are served, memory stays within 64 MiB of what the
# idle coordinator has, and both memory and descriptors go back. tests/hostile/wire.c is the crowd. Prints a table of what was measured.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/users.sh"
farm_need
[ "$(ulimit -Hn)" -ge 12000 ] || skip_all "5,000 connections need 12,000 descriptors: ulimit -Hn"
farm_up

# Of the section coordinator, which comes first
setting () { sed -n "s/^ *$1 = \"\([^\"]*\)\"$/\1/p" "$FARM_CONFIG" | head -n 1; }
port_of () { local endpoint; endpoint=$(setting "$1"); echo "${endpoint##*:}"; }
descriptors () { find "/proc/$coordinator/fd" -mindepth 1 | wc -l; }
memory_kib () { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$coordinator/status"; }

honest=$(context honest <<< 'FROM %BASE%')
coordinator=$(farm_pid coordinator)
farmctl submit -q --platform "$native" -t "$REGISTRY/honest:1" "$honest" > "$work/first" 2>&1
idle_kib=$(memory_kib VmRSS) idle_descriptors=$(descriptors)
limit_kib=65536

# A few more are other farmctls that just end, and files
are_gone ()
{
    [ "$(descriptors)" -le $((idle_descriptors + 8)) ]
}

memory_is_back ()
{
    [ "$(memory_kib VmRSS)" -le $((idle_kib + 24576)) ]
}

milliseconds ()
{
    local from=$EPOCHREALTIME to
    "$@" > "$work/served" 2>&1 || { cat "$work/served" >&2; return 1; }
    to=$EPOCHREALTIME
    echo $(((${to/[.,]/} - ${from/[.,]/}) / 1000))
}

# The slowest of five
slowest_ls ()
{
    local slowest=0 took
    for _ in 1 2 3 4 5; do
        took=$(milliseconds farmctl ls) || return
        [ "$took" -le "$slowest" ] || slowest=$took
    done
    echo "$slowest"
}

stands ()
{
    grep -q '^stands' "$work/crowd"
}

all_are_ended ()
{
    grep -q '^all are ended' "$work/crowd"
}

# From here on the peak counts
peak_begins ()
{
    wait_for 30 are_gone
    wait_for 30 memory_is_back
    echo 5 > "/proc/$coordinator/clear_refs"
}

one_submit ()
{
    milliseconds farmctl submit -q --detach --platform "$native" -t "$REGISTRY/honest:1" "$honest"
}

# What the same takes without a crowd
calm ()
{
    calm_ls=$(slowest_ls) && calm_submit=$(one_submit)
}

times_as_long=40
is_slow ()
{
    { [ "$1" -ge 5000 ] && [ "$1" -ge $((times_as_long * calm_ls)) ]; } || { [ "$2" -ge 3000 ] && [ "$2" -ge $((times_as_long * calm_submit)) ]; }
}

# is_service LS SUBMIT: what waits for all that a crowd sends would wait for ever, so seconds would do; but on a machine that is busy with other things
# they pass without any crowd. So there it counts how many times as long it takes as a moment before, or afterwards: the load may just have come.
is_service ()
{
    is_slow "$@" || return 0
    calm
    is_slow "$@" || return 0
    echo "ls $1 ms and submit $2 ms, and without the crowd $calm_ls and $calm_submit: that is no service"
    return 1
}

# judge HOW COUNT SOCKET LS SUBMIT WORDS: a row of the table
judge ()
{
    local peak
    peak=$(memory_kib VmHWM)
    printf '%-24s %5s on %-8s ls %4s ms, submit %4s ms, memory %3s MiB above idle; %s\n' "$1" "$2" "$3" "$4" "$5" "$(((peak - idle_kib) / 1024))" "$6" |
        tee -a "$work/table"
    [ $((peak - idle_kib)) -le "$limit_kib" ] || { echo "more than $limit_kib KiB above idle"; return 1; }
    is_service "$4" "$5"
}

# crowd HOW COUNT SOCKET [KEY]: while it stands ls and submit are served
crowd ()
{
    local pid ls submit
    calm
    peak_begins
    mkfifo "$work/hold"
    "$top_builddir/tests/hostile/wire" "$(port_of "$3")" "$(setting key)" "$1" "$2" ${4:+"$4"} < "$work/hold" > "$work/crowd" 2>&1 &
    pid=$!
    exec 9> "$work/hold"
    rm "$work/hold"
    wait_for 100 stands || { kill "$pid"; return 1; }
    ls=$(slowest_ls) || return
    [ "$must_end" = no ] || wait_for 30 all_are_ended
    submit=$(one_submit) || return
    expect "processes with the coordinator's number" "$(farm_pid coordinator)" "$coordinator"
    exec 9>&-
    wait "$pid"
    judge "$1" "$2" "$3" "$ls" "$submit" "$(tail -n 1 "$work/crowd")"
}

must_end=no
crowd_ended ()
{
    must_end=yes
    crowd "$@"
    grep -q "ended $2 of $2," "$work/crowd"
}

key=$(dirname "$FARM_CONFIG")/admin.key
for socket in control objects; do
    check "$socket: 5,000 connections that say nothing" crowd idle 5000 $socket
    check "$socket: 5,000 that say a byte now and then, or stop in the middle of CURVE" crowd slow 5000 $socket
    check "$socket: 200 frames of 1 TiB without a key" crowd_ended giant 200 $socket
    check "$socket: 20 frames of 1 TiB with a known key" crowd_ended giant-known 20 $socket "$key"
    check "$socket: 50 that send frames without an end, and have no known key" crowd_ended endless-stranger 50 $socket
    for size in 0 34 300000; do
        check "$socket: a known key with a message that does not end, of $size bytes a frame" crowd_ended "endless $size" 1 $socket "$key"
    done
done
for socket in control objects; do
    check "$socket: one known key, 100 messages that do not end at once" crowd_ended "endless 300000" 100 $socket "$key"
done
check "control: one known key that never reads an answer" crowd silent-reader 5 control "$key"
check "objects: one known key that sends all it can" crowd whole 10 objects "$key"
check "objects: the same over 100 connections" crowd whole 100 objects "$key"
check "objects: the same over 250 connections" crowd whole 250 objects "$key"

# All that one submitter may have, each with as many answers of 256 KiB as libzmq keeps for a connection that does not read:
# that alone would be 128 MiB
silent_askers ()
{
    local loud build job
    user_add ann
    loud=$(context loud <<< 'FROM %BASE%
RUN i=0; while [ $i -lt 9000 ]; do echo "a line of a log that is of more than one part, and nobody reads it: $i"; i=$((i + 1)); done')
    build=$(as ann submit -q --detach --platform "$native" -t "$REGISTRY/loud:1" "$loud")
    wait_state "$build" published
    job=$(field "$build" '.jobs[0].id')
    [ "$(stat -c %s "$farm/coordinator/logs/$job-1.log")" -ge 524288 ]
    crowd "silent-asker $job" 32 objects "$work/ann/farmctl.key"
    grep -q "ended 0 of 32," "$work/crowd"
}
check "objects: one submitter who asks for a log and reads no answer" silent_askers
for socket in control objects; do
    # 300 MB at once: a watchman that has to wait for a processor looks too late for the last of the 64 MiB
    limit_kib=81920
    check "$socket: one known key, 1,000 messages of which all but the end comes" crowd part 1000 $socket "$key"
    limit_kib=65536
    check "$socket: one known key, 1,000 connections that say nothing behind the handshake" crowd known 1000 $socket "$key"
done

# The log has some lines of them and not more, and who floods is ended.
refused ()
{
    local before after
    before=$(grep -c "refused a message of" "$farm/coordinator.log")
    crowd_ended refused 5 "$1" "$key"
    after=$(grep -c "refused a message of" "$farm/coordinator.log")
    echo "$((after - before)) lines"
    [ $((after - before)) -le 10 ]
    grep -q "refused a message of" "$farm/coordinator.log"
    farmctl ls > "$work/ls"
}
for socket in control objects; do
    check "$socket: one known key that sends what is refused, as fast as it can" refused $socket
done

# -- submits -----------------------------------------------------------------------------------------------------------

objects_kept () { farmctl du --json | jq .objects; }
has_more_than () { [ "$(objects_kept)" -gt "$1" ]; }
builds_of () { farmctl ls --json | jq --arg tag "$REGISTRY/$1" '[.builds[] | select (.tags | index ($tag))] | length'; }

# What comes before the long file is sent while that is read, which takes minutes
begun ()
{
    local folder before ls submit pids=()
    folder=$(context long <<< $'FROM scratch\nCOPY . /')
    head -c 3000000 /dev/urandom > "$folder/a"
    truncate -s 1T "$folder/b"
    calm
    before=$(objects_kept)
    peak_begins
    for _ in 1 2 3 4 5 6 7 8; do
        farmctl submit -q --detach --platform "$native" -t "$REGISTRY/begun:1" "$folder" > "$work/begun" 2>&1 &
        pids+=($!)
    done
    wait_for 30 has_more_than "$before" || { kill "${pids[@]}"; cat "$work/begun"; return 1; }
    kill -STOP "${pids[@]}"
    ls=$(slowest_ls) && submit=$(one_submit) || ls=""
    kill -KILL "${pids[@]}"
    wait "${pids[@]}" 2> /dev/null || true
    [ -n "$ls" ] && judge begun 8 both "$ls" "$submit" "$(($(objects_kept) - before)) objects are left"
    [ "$(builds_of honest:1)" -gt 0 ]
    expect "builds of them" "$(builds_of begun:1)" 0
}
check "eight submits that are begun, and stop in the middle" begun

# -- descriptors -------------------------------------------------------------------------------------------------------

few_descriptors ()
{
    prlimit --pid "$coordinator" --nofile=600:
    crowd idle 2000 control
    prlimit --pid "$coordinator" --nofile=12000:
    wait_for 30 are_gone
    grep -q "watchman: ended .* there are too many, and nothing has come over it" "$farm/coordinator.log"
}
check "control: with 600 descriptors, 2,000 connections that say nothing" few_descriptors

# -- afterwards --------------------------------------------------------------------------------------------------------

all_is_back ()
{
    wait_for 30 are_gone
    wait_for 30 memory_is_back
    expect "the coordinator's process" "$(farm_pid coordinator)" "$coordinator"
    wait_for 20 has_worker "worker-$native_name"
    run 0 farmctl submit -q --no-cache --platform "$native" -t "$REGISTRY/honest:2" "$honest"
}
check "memory and descriptors go back, the worker is online, and a build is published" all_is_back
sed 's/^/# /' "$work/table"

farm_end
