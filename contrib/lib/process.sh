# process.sh - daemons in a folder: DIR/NAME.pid, DIR/NAME.log, and DIR/NAME.started, which tells the process from a later one
# with the same number. Needs say.sh.
# shellcheck shell=bash

# State and start (in clock ticks since boot) of a process: "S 123456"; nothing when there is none
process_stat ()
{
    local line
    { read -r line < "/proc/$1/stat"; } 2> /dev/null || return 0
    set -f
    # the name stands in parentheses and may hold anything, so count from the last one
    # shellcheck disable=SC2086
    set -- ${line##*) }
    set +f
    printf '%s %s\n' "$1" "${20}"
}

# Is DIR/NAME.pid the process that was started there? A zombie has ended: nobody may ever collect it in a container.
process_is_running ()
{
    local pid started stat
    { read -r pid < "$1/$2.pid" && read -r started < "$1/$2.started"; } 2> /dev/null || return 1
    stat=$(process_stat "$pid")
    [ -n "$stat" ] && [ "${stat#* }" = "$started" ] && [ "${stat% *}" != Z ]
}

# The process keeps nothing of ours open: not a test's pipe, not a lock.
process_exec ()
{
    local fd
    for fd in /proc/self/fd/*; do
        fd=${fd##*/}
        [ "$fd" -le 2 ] || eval "exec $fd>&-"
    done
    exec setsid -- "$@"
}

# process_start DIR NAME COMMAND...: in a session of its own. log_from is then where its part of the log begins.
process_start ()
{
    local dir=$1 name=$2 pid
    shift 2
    touch -- "$dir/$name.log"
    log_from=$(stat -c %s -- "$dir/$name.log")
    process_exec "$@" < /dev/null >> "$dir/$name.log" 2>&1 &
    pid=$!
    process_stat "$pid" | sed 's/.* //' > "$dir/$name.started"
    printf '%s\n' "$pid" > "$dir/$name.pid"
}

# process_wait_log DIR NAME SECONDS PATTERN: the first line like PATTERN in the log since log_from; fails when the process
# ends, or the time
process_wait_log ()
{
    local pid line
    pid=$(< "$1/$2.pid")
    line=$(timeout "$3" tail -s 0.05 --pid="$pid" -c "+$((log_from + 1))" -f -- "$1/$2.log" | grep -m 1 -E -- "$4") || true
    [ -n "$line" ] && printf '%s\n' "$line"
}

process_wait_end ()
{
    local tries=$(($3 * 20))
    while process_is_running "$1" "$2"; do
        [ $((tries -= 1)) -gt 0 ] || return 1
        sleep 0.05
    done
}

# process_stop DIR NAME SECONDS: SIGTERM, and after so many seconds SIGKILL. Fails when it is not running.
process_stop ()
{
    process_is_running "$1" "$2" || { rm -f -- "$1/$2.pid" "$1/$2.started"; return 1; }
    kill -TERM "$(< "$1/$2.pid")"
    if ! process_wait_end "$1" "$2" "$3"; then
        say "$2 did not end within $3 s of SIGTERM, so it is killed"
        kill -KILL "$(< "$1/$2.pid")"
        process_wait_end "$1" "$2" 10 || die "$2 (process $(< "$1/$2.pid")) cannot be killed"
    fi
    rm -f -- "$1/$2.pid" "$1/$2.started"
}
