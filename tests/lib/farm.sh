# farm.sh - for flow tests: a farm of their own in a temporary folder, and what they ask of it.
#
#     . "${top_srcdir:-.}/tests/lib/farm.sh"
#     farm_up
#     check …
#     farm_end
#
# Each file of tests has one farm, on free ports, and a folder $work that goes with it. What a test starts itself it starts
# through `background`: that, the farm, and nothing else is ended at the exit. FARM_KEEP=1 keeps the folder of a failed file.
# shellcheck shell=bash
top_srcdir=${top_srcdir:-$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")}
top_builddir=${top_builddir:-$top_srcdir}
export FARM_BUILD=$top_builddir
. "$top_srcdir/tests/lib/tap.sh"
. "$top_srcdir/tests/lib/process.sh"
farm=$work/farm
# The base image is kept from run to run, what farmctl remembers of contexts is not.
export FARM_CACHE=${FARM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/archfarm}
export XDG_CACHE_HOME=$work/cache
mkdir "$work/pids"

farm_need ()
{
    local program
    [ "$(id -u)" = 0 ] || skip_all "flow tests build images and kill daemons: run them as root"
    for program in buildah skopeo docker-registry jq curl python3; do
        command -v "$program" > /dev/null || skip_all "$program is not installed"
    done
}

farm_up ()
{
    farm_need
    trap farm_cleanup EXIT
    trap 'exit 1' INT TERM
    devfarm up > "$work/up.log" 2>&1 || { echo "Bail out! contrib/devfarm up fails"; tap_diagnose "$work/up.log"; exit 1; }
    . "$farm/env"
    case $(uname -m) in
        aarch64) native_name=arm64 foreign_name=amd64 ;;
        *) native_name=amd64 foreign_name=arm64 ;;
    esac
    native=linux/$native_name foreign=linux/$foreign_name
    base=$REGISTRY/base:latest
}

devfarm ()
{
    local verb=$1
    shift
    "$top_srcdir/contrib/devfarm" "$verb" "$farm" "$@"
}

farm_cleanup ()
{
    local status=$? file
    if [ $status != 0 ]; then
        for file in "$farm"/coordinator.log "$farm"/worker-*.log; do
            [ -e "$file" ] && echo "# -- ${file##*/}" && tap_diagnose "$file" 15
        done
    fi
    background_end_all
    if [ $status != 0 ] && [ "${FARM_KEEP:-}" ]; then
        echo "# kept: $work"
        exit $status
    fi
    devfarm down > "$work/down.log" 2>&1 || tap_diagnose "$work/down.log"
    unmount_below "$work"
    rm -rf --one-file-system "$work" || status=1
    exit $status
}

farm_end ()
{
    tap_end
}

need_both ()
{
    [ -e "$farm/worker-$foreign_name.pid" ] || skip "no worker for $foreign: binfmt_misc or qemu-user-static is not to be had"
}

# -- programs of the farm ----------------------------------------------------------------------------------------------

farm_pid ()
{
    cat "$farm/$1.pid"
}

# As a power cut would: no word of goodbye
farm_kill ()
{
    local pid
    pid=$(farm_pid "$1")
    kill -KILL "$pid"
    wait_for 10 is_dead "$pid"
}

farm_is_up ()
{
    farmctl ls > /dev/null
}

worker_state ()
{
    farmctl worker ls --json | jq -r --arg name "$1" '.workers[] | select (.name == $name) | .state'
}

has_worker ()
{
    [ "$(worker_state "$1")" = "${2:-online}" ]
}

is_connected ()
{
    [ "$(farmctl worker inspect "$1" --json | jq .connected)" = true ]
}

# place_of STATE HOST/PATH: the folder in which a worker's builder keeps its images and layers of a repository
place_of ()
{
    local note
    note=$(grep -lx "$2" "$1"/builder/*/repository) && dirname "$note"
}

# worker_add NAME [FOLDER [OPTION…]]: another worker like the native one, with its state in FOLDER; ended with the test
worker_add ()
{
    local name=$1 state=${2:-$work/$1} conf=$work/$1.conf
    sed -e "s|^state = .*|state = \"$state\"|" -e "s|^name = .*|name = \"$name\"|" "$farm/worker-$native_name.conf" > "$conf"
    farm-worker join "$(cat "$farm/coordinator/join")" -c "$conf" > "$work/$name-join.log"
    background "$name" farm-worker -c "$conf" "${@:3}"
    wait_for 60 is_connected "$name"
}

# vault_of STATE: where the worker with that state folder has secrets: in memory, under a name made of the folder's
vault_of ()
{
    echo "/dev/shm/archfarm-$(python3 -c 'import hashlib, os, sys; print (hashlib.blake2b (os.path.realpath (sys.argv [1]).encode (), digest_size=16).hexdigest () [:16])' "$1")"
}

# -- builds ------------------------------------------------------------------------------------------------------------

# context NAME < Dockerfile: a folder $work/NAME; prints it. %BASE% becomes the base image.
context ()
{
    local folder=$work/$1
    mkdir -p "$folder"
    sed "s|%BASE%|$base|g" > "$folder/Dockerfile"
    echo "$folder"
}

# slow_context NAME SECONDS: says `slow begins` in its only step, and takes so long. Its file makes it never cached.
slow_context ()
{
    local folder
    folder=$(context "$1" <<END
FROM %BASE%
COPY stamp /stamp
RUN echo "slow begins"; i=0; while [ \$i -lt $(($2 * 10)) ]; do sleep 0.1; i=\$((i + 1)); done; echo "slow ends"
END
    )
    date +%s%N > "$folder/stamp"
    echo "$folder"
}

# run STATUS COMMAND...: it has to end with that status; its output is then in $work/out and $work/err
run ()
{
    local wanted=$1 status=0
    shift
    "$@" > "$work/out" 2> "$work/err" || status=$?
    [ "$status" = "$wanted" ] && return
    echo "$*: exit status $status instead of $wanted"
    sed 's/^/  /' "$work/out" "$work/err"
    return 1
}

# submit_detached OPTIONS… CONTEXT: prints the build's number
submit_detached ()
{
    farmctl submit -q --detach --emulation allow "$@"
}

field ()
{
    farmctl inspect "$1" --json | jq -r "$2"
}

is_state ()
{
    [ "$(field "$1" .state)" = "$2" ]
}

wait_state ()
{
    wait_for "${3:-60}" is_state "$1" "$2"
}

has_said ()
{
    farmctl logs "$1" | grep -qF -- "$2"
}

# wait_said BUILD TEXT [SECONDS]
wait_said ()
{
    wait_for "${3:-60}" has_said "$1" "$2"
}

# A statement for the queue's database, which the coordinator must not have open
farm_sql ()
{
    python3 - "$farm/coordinator/farm.db" "$1" <<'END'
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as queue:
    for row in queue.execute(sys.argv[2]):
        print("|".join(str(value) for value in row))
END
}

# schedule_set_due NAME [CONDITION]: now, as if its time had come while the coordinator was started again, which it must not be yet. Prints a line if it was done.
schedule_set_due ()
{
    farm_sql "UPDATE schedules SET next_ms = CAST ((julianday ('now') - 2440587.5) * 86400000 AS INTEGER) WHERE name = '$1' AND ${2:-true} RETURNING 1"
}

# schedule_is_due NAME: it fires, and nobody has to wait for a full minute
schedule_is_due ()
{
    devfarm stop coordinator
    expect "schedules" "$(schedule_set_due "$1")" 1
    devfarm start coordinator
    wait_for 20 farm_is_up
}

# expect_json NAME < document: as schema/output.json has it
expect_json ()
{
    python3 "$top_srcdir/tests/lib/check_json.py" "$top_srcdir/schema/output.json" "$1"
}

# -- the registry ------------------------------------------------------------------------------------------------------

registry_get ()
{
    curl -sSf "http://$REGISTRY/v2/$1" -H 'Accept: application/vnd.oci.image.index.v1+json' \
         -H 'Accept: application/vnd.docker.distribution.manifest.list.v2+json'
}

# All tags of all repositories but the base image's: "app:1.0 app:latest"
registry_tags ()
{
    local repository
    for repository in $(registry_get '_catalog?n=1000' | jq -r '.repositories[]'); do
        [ "$repository" = base ] && continue
        curl -sS "http://$REGISTRY/v2/$repository/tags/list" | jq -r --arg name "$repository" '.tags // [] | .[] | "\($name):\(.)"'
    done | sort | tr '\n' ' ' | sed 's/ $//'
}

has_tag ()
{
    registry_get "$1/manifests/$2" > /dev/null 2>&1
}

expect_no_tag ()
{
    ! has_tag "$1" "$2" || { echo "there is a tag $1:$2"; return 1; }
}

# platforms_of REPOSITORY REFERENCE: in the order of the index: "linux/amd64 linux/arm64"
platforms_of ()
{
    registry_get "$1/manifests/$2" | jq -r '[.manifests[].platform | "\(.os)/\(.architecture)"] | join (" ")'
}
