#!/bin/bash
# secrets.sh - what a build is given in confidence: it arrives where a RUN step reads it, and is found nowhere else, neither while the build runs nor
# afterwards. Each secret is a canary: a random word that nothing else has.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/images.sh"
farm_up
vault=$(vault_of "$farm/worker-$native_name")

canary ()
{
    printf 'canary-%s' "$(od -An -N 12 -tx1 /dev/urandom | tr -d ' \n')"
}
file_canary=$(canary)
export FARM_TEST_TOKEN
FARM_TEST_TOKEN=$(canary)
printf '%s\n' "$file_canary" > "$work/npmrc"
printf '%s\n' "$file_canary" "$FARM_TEST_TOKEN" > "$work/canaries"

# reads NAME ID: a build whose RUN step looks at a secret, and notes in the image what it was without saying it
secret_context ()
{
    context "$1" <<'END'
FROM %BASE%
RUN --mount=type=secret,id=npm --mount=type=secret,id=token cat /run/secrets/npm /run/secrets/token | sha256sum > /sum
RUN --mount=type=secret,id=token,target=/etc/token,mode=0444 ls -l /etc/token; wc -c < /etc/token > /size; stat -c %a /etc/token > /mode
END
}

# found FOLDER…: files there that have a canary
found ()
{
    grep -rlaF --devices=skip -f "$work/canaries" "$@" 2> /dev/null || true
}

reaches_the_step ()
{
    run 0 farmctl submit --secret id=npm,src="$work/npmrc" --secret id=token,env=FARM_TEST_TOKEN --platform "$native" -t "$REGISTRY/secret:1" \
        "$(secret_context first)"
    store_pull "$native" "$REGISTRY/secret:1"
    expect "what the step read" "$(store_file sum | cut -d ' ' -f 1)" "$({ cat "$work/npmrc"; printf %s "$FARM_TEST_TOKEN"; } | sha256sum | cut -d ' ' -f 1)"
    expect "the size" "$(store_file size)" "${#FARM_TEST_TOKEN}"
    expect "the mode" "$(store_file mode)" 444
}
check "a RUN step reads secrets of a file and of the environment" reaches_the_step

not_a_byte_is_left ()
{
    expect "found" "$(found "$farm" "$work"/*.log "$work/out" "$work/err" "$work/store")" ""
    expect "vault" "$(find "$vault" -mindepth 1)" ""
}
check "afterwards it is in no file of the farm, the registry and the image" not_a_byte_is_left

# The coordinator has the database; its log is empty just after secrets went, so the file alone tells
rows_of_secrets ()
{
    python3 - "$farm/coordinator/farm.db" <<'END'
import sqlite3, sys
print(sqlite3.connect(f"file:{sys.argv[1]}?immutable=1", uri=True).execute("SELECT count (*) FROM secrets").fetchone()[0])
END
}

rows_are_overwritten ()
{
    run 0 farmctl submit --secret id=npm-under-seal,src="$work/npmrc" --platform "$native" -t "$REGISTRY/seal:1" "$(context seal <<'END'
FROM %BASE%
RUN --mount=type=secret,id=npm-under-seal wc -c < /run/secrets/npm-under-seal
END
    )"
    expect "rows" "$(rows_of_secrets)" 0
}
check "its row is gone with the end of the build" rows_are_overwritten

# -- while it runs ----------------------------------------------------------------------------------------------------

mark=holding-$(od -An -N 8 -tx1 /dev/urandom | tr -d ' \n')
holding_context ()
{
    context "$1" <<END
FROM %BASE%
RUN --mount=type=secret,id=npm --mount=type=secret,id=token cat /run/secrets/npm /run/secrets/token > /dev/null; echo "it" "holds"; i=0; while [ ! -e /$mark ] && [ \$i -lt 600 ]; do sleep 0.1; i=\$((i + 1)); done
END
}

# hold NAME: a build whose step has read its secrets and does not end; its number in $work/held
hold ()
{
    submit_detached --secret id=npm,src="$work/npmrc" --secret id=token,env=FARM_TEST_TOKEN --no-cache --platform "$native" -t "$REGISTRY/$1:1" \
        "$(holding_context "$1")" > "$work/build"
    wait_said "$(cat "$work/build")" "it holds"
}

# Processes of the farm and of the step whose environment or command line has a canary
search_processes ()
{
    local pid
    for pid in /proc/[0-9]*; do
        case $({ tr '\0' ' ' < "$pid/cmdline"; } 2> /dev/null) in
            *farm-*|*buildah*|*runc*|*crun*|*"$mark"*)
                { tr '\0' '\n' < "$pid/environ"; } 2> /dev/null | grep -qF -f "$work/canaries" && echo "$pid/environ"
                { tr '\0' '\n' < "$pid/cmdline"; } 2> /dev/null | grep -qF -f "$work/canaries" && echo "$pid/cmdline"
                ;;
        esac
    done
    true
}

nothing_while_it_runs ()
{
    hold held
    expect "files with it" "$(found "$farm")" ""
    expect "processes with it" "$(unset FARM_TEST_TOKEN; search_processes)" ""
    expect "who may look into the vault" "$(find "$vault" -type d -printf '%m\n' | sort -u)" 700
    expect "copies of the step, in memory" "$(found "$vault" | wc -l)" 2
}
check "while its step runs it is in memory alone: in no file on a disk, no environment and no command line" nothing_while_it_runs

core_limit ()
{
    awk '/Max core file size/ { print $5 $6 }' "/proc/$1/limits"
}

no_core_file ()
{
    local name pid
    for name in coordinator "worker-$native_name"; do
        expect "core limit of $name" "$(core_limit "$(farm_pid "$name")")" 00
    done
    pid=$(pgrep -f "while .* -e /$mark" | head -n 1)
    expect "core limit of the step" "$(core_limit "$pid")" 00
}
check "neither a daemon nor the step may leave a core file" no_core_file

vault_is_empty ()
{
    [ -z "$(find "$vault" -mindepth 1)" ]
}

cancel_takes_it_away ()
{
    run 0 farmctl cancel "$(cat "$work/build")"
    wait_for 20 vault_is_empty
    expect "files with it" "$(found "$farm")" ""
}
check "a cancelled build leaves nothing" cancel_takes_it_away

holds_again ()
{
    [ "$(farmctl logs "$1" | grep -c "it holds")" -ge 2 ]
}

killed_worker_leaves_nothing ()
{
    hold killed
    farm_kill "worker-$native_name"
    expect "files with it" "$(found "$farm")" ""
    devfarm start "worker-$native_name" > "$work/start.log"
    wait_for 60 holds_again "$(cat "$work/build")"
    run 0 farmctl cancel "$(cat "$work/build")"
    wait_for 20 vault_is_empty
    expect "files with it" "$(found "$farm")" ""
}
check "a killed worker's secrets are removed, and the next attempt has them again" killed_worker_leaves_nothing

restart_keeps_them ()
{
    farmctl worker pause "worker-$native_name" > "$work/pause.log" 2>&1
    run 0 farmctl submit --detach --secret id=npm,src="$work/npmrc" --secret id=token,env=FARM_TEST_TOKEN --no-cache --platform "$native" \
        -t "$REGISTRY/restart:1" "$(secret_context restart)"
    expect "files with it" "$(found "$farm")" ""
    farm_kill coordinator
    expect "files with it" "$(found "$farm")" ""
    devfarm start coordinator > "$work/start.log"
    farmctl worker resume "worker-$native_name" > "$work/resume.log" 2>&1
    run 0 farmctl wait "$(cat "$work/out")"
    store_pull "$native" "$REGISTRY/restart:1"
    expect "what the step read" "$(store_file sum | cut -d ' ' -f 1)" "$({ cat "$work/npmrc"; printf %s "$FARM_TEST_TOKEN"; } | sha256sum | cut -d ' ' -f 1)"
}
check "a queued build keeps its secrets, sealed, when the coordinator is killed" restart_keeps_them

# -- what is not secret ------------------------------------------------------------------------------------------------

output_is_blotted ()
{
    run 3 farmctl submit --secret id=npm,src="$work/npmrc" --platform "$native" -t "$REGISTRY/chatty:1" "$(context chatty <<'END'
FROM %BASE%
RUN --mount=type=secret,id=npm echo "it is <$(cat /run/secrets/npm)>"; cat /run/secrets/npm >&2; exit 7
END
    )"
    expect_text "$work/err" "it is <***>" "exit status 7"
    expect "files with it" "$(found "$farm" "$work/out" "$work/err")" ""
    farmctl inspect "$(farmctl ls --json | jq '.builds[0].id')" > "$work/inspect"
    expect "shown with it" "$(found "$work/inspect")" ""
}
check "a step that prints its secret is blotted out of log and message" output_is_blotted

retry_asks_again ()
{
    local id
    id=$(farmctl ls --json | jq '.builds[0].id')
    run 2 farmctl retry "$id"
    expect_text "$work/err" "had a secret npm, which is not kept: give it again, with --secret id=npm,src=FILE"
    run 3 farmctl retry --secret id=npm,src="$work/npmrc" "$id"
    expect_text "$work/err" "it is <***>"
}
check "retry asks for the secrets again" retry_asks_again

# pieces FILE…: each 32 bytes of their lines, to search for
pieces ()
{
    python3 -c 'import sys
for name in sys.argv [1:]:
    for line in open (name).read ().splitlines ():
        print (*(line [at:at + 32] for at in range (len (line) - 31)), sep="\n")' "$@" | sort -u
}

large_output_is_blotted ()
{
    local id
    python3 -c 'import secrets
print (*(f"{i:03d}" + secrets.token_hex (24) for i in range (1, 301)), sep="\n")' > "$work/lines.secret"
    python3 -c 'import secrets
print (secrets.token_hex (20000), end="")' > "$work/line.secret"
    pieces "$work/lines.secret" "$work/line.secret" > "$work/pieces"
    run 3 farmctl submit --secret id=lines,src="$work/lines.secret" --secret id=line,src="$work/line.secret" --platform "$native" -t "$REGISTRY/large-output:1" \
        "$(context large-output <<'END'
FROM %BASE%
RUN --mount=type=secret,id=lines --mount=type=secret,id=line cd /run/secrets; cat lines; echo "one <$(cat line)>"; echo "all" $(cat lines); tail -c 20001 line; echo; head -c 10000 line; echo; cat line; echo
RUN --mount=type=secret,id=line { cat /run/secrets/line; echo; } & { cat /run/secrets/line; echo; } >&2; wait; exit 7
END
    )"
    expect_text "$work/err" "one <***>" "all *** ***" "exit status 7"
    id=$(farmctl ls --json | jq '.builds[0].id')
    farmctl logs "$id" > "$work/large-output.log"
    farmctl inspect "$id" > "$work/large-output.inspect"
    [ "$(grep -cx '\*\*\*' "$work/large-output.log")" -ge 303 ]
    expect "files with pieces of it" "$(grep -rlaF --devices=skip -f "$work/pieces" "$farm" "$work/out" "$work/err" "$work"/large-output.* 2> /dev/null || true)" ""
}
check "what a step prints of a secret of 300 lines, and of a line of 40,000 bytes, cut or not, is blotted out" large_output_is_blotted

largest_fits ()
{
    head -c 512000 /dev/urandom > "$work/large.secret"
    run 0 farmctl submit --secret id=large,src="$work/large.secret" --platform "$native" -t "$REGISTRY/large:1" "$(context large <<'END'
FROM %BASE%
RUN --mount=type=secret,id=large sha256sum < /run/secrets/large > /sum
END
    )"
    store_pull "$native" "$REGISTRY/large:1"
    expect "what the step read" "$(store_file sum)" "$(sha256sum < "$work/large.secret")"
    echo >> "$work/large.secret"
    run 2 farmctl submit --secret id=large,src="$work/large.secret" -t "$REGISTRY/large:1" "$work/large"
    expect_text "$work/err" "512000 at most"
}
check "a secret may have 500 KiB, and no byte more" largest_fits

is_no_result ()
{
    run 0 farmctl submit --secret id=npm,src="$work/npmrc" --secret id=token,env=FARM_TEST_TOKEN --platform "$native" -t "$REGISTRY/secret:1" "$work/first"
    if grep -q unchanged "$work/err"; then return 1; fi
}
check "its image stands for no other build's" is_no_result

# Each attempt's containers bear a mark, as a secret of the farm's own: a Dockerfile that knew it could have it mounted, and the secrets beside it have no place then.
marks_are_not_guessed ()
{
    local i marks=
    for ((i = 1; i < 60; i++)); do
        marks+=" --mount=type=secret,id=farm-attempt-$i-1"
    done
    run 0 farmctl submit --secret id=npm,src="$work/npmrc" --platform "$native" -t "$REGISTRY/secret:marks" "$(context marks <<< "FROM %BASE%
RUN$marks --mount=type=secret,id=npm wc -c < /run/secrets/npm")"
    expect "attempts" "$(field "$(farmctl ls --limit 1 --json | jq '.builds[0].id')" '.jobs[0].attempts | length')" 1
    expect "faults of workers" "$(farmctl worker ls --json | jq '[.workers[].faults] | add')" 0
}
check "a Dockerfile that guesses at the marks of attempts spoils none" marks_are_not_guessed

farm_end
