# process.sh - processes that a test starts itself, and what a farm must not leave behind. Needs tap.sh.
# shellcheck shell=bash

# background NAME COMMAND...: its output in $work/NAME.log
background ()
{
    local name=$1
    shift
    : > "$work/$name.log"          # at once: an earlier one's words would be taken for its own
    "$@" > "$work/$name.log" 2>&1 < /dev/null &
    echo $! > "$work/pids/$name"
}

background_pid ()
{
    cat "$work/pids/$1"
}

# A zombie is dead: who ought to collect it may be busy.
is_dead ()
{
    local state
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2> /dev/null) || return 0
    [ -z "$state" ] || [ "$state" = Z ]
}

# background_end NAME [SIGNAL]: and wait for its end
background_end ()
{
    local pid
    [ -e "$work/pids/$1" ] || return 0
    pid=$(background_pid "$1")
    rm -f "$work/pids/$1"
    kill "-${2:-TERM}" "$pid" 2> /dev/null || return 0
    wait_for 20 is_dead "$pid" || kill -KILL "$pid"
}

background_end_all ()
{
    local file
    for file in "$work"/pids/*; do
        [ -e "$file" ] && background_end "${file##*/}"
    done
    return 0
}

# background_ends NAME WANTED: by itself, with that exit status. Whoever calls it must have started it: no subshell between.
background_ends ()
{
    local status=0
    wait "$(background_pid "$1")" || status=$?
    rm -f "$work/pids/$1"
    [ $status = "$2" ] && return
    echo "$1: exit status $status instead of $2"
    sed 's/^/  /' "$work/$1.log"
    return 1
}

# processes_below FOLDER: that have it, or something in it, on their command line; not the daemons themselves
processes_below ()
{
    local file
    for file in /proc/[0-9]*/cmdline; do
        { tr '\0' ' ' < "$file"; } 2> /dev/null | grep -F -- "$1/" | sed "s|^|${file//[!0-9]/} |"
    done | grep -vE '^[0-9]+ [^ ]*(farm-worker|farm-coordinator|docker-registry) ' || true
}

mounts_below ()
{
    awk -v folder="$1/" 'index ($5, folder) == 1 { print $5 }' /proc/self/mountinfo
}

unmount_below ()
{
    local target
    mounts_below "$1" | tac | while read -r target; do
        umount "$target" 2> /dev/null || umount -l "$target"
    done
}

# memory_of PROCESS PATTERN: what fits the pattern (of Python; bytes as \xHH) somewhere in its writable memory, each once, one a line
memory_of ()
{
    python3 - "$1" "$2" <<'END'
import re, sys
pattern = re.compile(sys.argv[2].encode())
found = set()
with open(f"/proc/{sys.argv[1]}/maps") as maps, open(f"/proc/{sys.argv[1]}/mem", "rb", 0) as memory:
    for line in maps:
        match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
        if match:
            begin, end = (int(value, 16) for value in match.groups())
            if end - begin > 1 << 36:       # a sanitizer's own
                continue
            try:
                memory.seek(begin)
                found.update(pattern.findall(memory.read(end - begin)))
            except (OSError, OverflowError, ValueError):
                pass
sys.stdout.writelines(text.decode(errors="replace") + "\n" for text in found)
END
}
