#!/bin/bash
# bad_input.sh - input that cannot be used: a clear message, the right exit code, and nothing left behind.
. "${top_srcdir:-.}/tests/lib/farm.sh"
farm_up
plain=$(context plain <<< 'FROM %BASE%')

# Builds and tags: nothing of it may change through anything below.
trace ()
{
    farmctl ls --all --json | jq '.builds | length'
    registry_tags
}
trace > "$work/before"

# refused STATUS TEXT COMMAND...
refused ()
{
    local status=$1 text=$2
    shift 2
    run "$status" "$@"
    expect "standard output" "$(cat "$work/out")" ""
    expect_text "$work/err" "$text"
    expect "lines of the message" "$(grep -c '^farmctl: ' "$work/err")" 1
    diff "$work/before" <(trace)
}

submit () { refused "$1" "$2" farmctl submit "${@:3}"; }

# -- the context -------------------------------------------------------------------------------------------------------

no_dockerfile ()
{
    mkdir -p "$work/empty"
    submit 2 "no Dockerfile: there is no $work/empty/Dockerfile; name another with -f" -t "$REGISTRY/bad:1" "$work/empty"
    submit 2 "$work/plain/Missing" -t "$REGISTRY/bad:1" -f "$work/plain/Missing" "$plain"
    submit 2 "" -t "$REGISTRY/bad:1" -f "$work" "$plain"
    : > "$work/empty/Empty"
    submit 2 "is empty" -t "$REGISTRY/bad:1" -f "$work/empty/Empty" "$plain"
    head -c 300000 /dev/zero > "$work/empty/Long"
    submit 2 "$work/empty/Long" -t "$REGISTRY/bad:1" -f "$work/empty/Long" "$plain"
}
check "no Dockerfile, or one that cannot be one" no_dockerfile

no_context ()
{
    submit 2 "$work/nowhere" -t "$REGISTRY/bad:1" "$work/nowhere"
    submit 2 "not a folder" -t "$REGISTRY/bad:1" "$plain/Dockerfile"
    submit 2 "sha256" -t "$REGISTRY/bad:1" https://example.org/app.tar.gz
    submit 2 "password" -t "$REGISTRY/bad:1" https://me:secret@example.org/app.git
    submit 2 "CONTEXT" -t "$REGISTRY/bad:1"
}
check "no context" no_context

# Root may read everything, so another user submits.
unreadable ()
{
    local folder=$work/home as
    mkdir -p "$folder/context/sub"
    printf 'FROM %s\nCOPY sub /sub\n' "$base" > "$folder/context/Dockerfile"
    echo secret > "$folder/context/sub/secret"
    chown -R 65534:65534 "$folder"
    chmod 711 "$work"
    cp "$top_builddir/farmctl/farmctl" "$work/home/"      # where it is built they may not look
    as=(env -i ${TSAN_OPTIONS:+"TSAN_OPTIONS=$TSAN_OPTIONS"} "HOME=$folder" "FARM_CONFIG=$folder/farmctl.conf" setpriv --reuid 65534 --regid 65534 --clear-groups "$folder/farmctl")
    "${as[@]}" --version > /dev/null || skip "another user cannot run programs below $work"
    "${as[@]}" join "$(cat "$farm/coordinator/join")" --name somebody
    chown 0:0 "$folder/context/sub/secret"
    chmod 600 "$folder/context/sub/secret"
    refused 2 "sub/secret cannot be read" "${as[@]}" submit -t "$REGISTRY/bad:1" "$folder/context"
    expect_text "$work/err" "let this user read it, or leave it out by a line in .dockerignore"
    chmod 700 "$folder/context/sub"
    chown 0:0 "$folder/context/sub"
    refused 2 "context/sub cannot be read" "${as[@]}" submit -t "$REGISTRY/bad:1" "$folder/context"
}
check "a file or a folder in the context that cannot be read" unreadable

# -- options -----------------------------------------------------------------------------------------------------------

bad_reference ()
{
    local reference
    for reference in "$REGISTRY/Team/App:1" "$REGISTRY/app:" "$REGISTRY/app:white space" "$REGISTRY/" ":1" "$REGISTRY/app:-1" "$REGISTRY/app@sha256:12" \
        "$REGISTRY/a//b:1" "http://$REGISTRY/app:1"; do
        submit 2 "--tag" -t "$reference" "$plain"
    done
    submit 2 "a digest cannot be chosen" -t "$REGISTRY/app@sha256:$(printf '%064d' 0)" "$plain"
    submit 2 "all tags of a build are in one registry" -t "$REGISTRY/app:1" -t registry.example/app:1 "$plain"
    submit 2 "no tag: say where to publish with --tag" "$plain"
    refused 2 "" farmctl imagetools inspect "$REGISTRY/Team:1"
}
check "a malformed reference" bad_reference

bad_platform ()
{
    local platform
    for platform in "" linux linux/ /amd64 linux/amd64/v1/x "linux/amd64," "linux/am d64" linux/../etc; do
        submit 2 "--platform" -t "$REGISTRY/bad:1" --platform "$platform" "$plain"
    done
}
check "a malformed platform" bad_platform

bad_pairs ()
{
    submit 2 '--build-arg "1=x"' -t "$REGISTRY/bad:1" --build-arg 1=x "$plain"
    submit 2 '--build-arg "=x"' -t "$REGISTRY/bad:1" --build-arg =x "$plain"
    submit 2 '--build-arg "A B=x"' -t "$REGISTRY/bad:1" --build-arg "A B=x" "$plain"
    submit 2 "its value is not UTF-8" -t "$REGISTRY/bad:1" --build-arg $'A=\xff' "$plain"
    submit 2 "longer than" -t "$REGISTRY/bad:1" --build-arg "A=$(head -c 40000 /dev/zero | tr '\0' x)" "$plain"
    submit 2 '--label "=x"' -t "$REGISTRY/bad:1" --label =x "$plain"
}
check "a malformed build argument or label" bad_pairs

bad_options ()
{
    submit 2 "--tga" --tga "$REGISTRY/bad:1" "$plain"
    submit 2 "a build is always published" -t "$REGISTRY/bad:1" --push=no "$plain"
    submit 2 "--emulation is deny or allow" -t "$REGISTRY/bad:1" --emulation maybe "$plain"
    submit 2 "--timeout" -t "$REGISTRY/bad:1" --timeout soon "$plain"
    submit 2 "--target" -t "$REGISTRY/bad:1" --target "" "$plain"
    refused 2 'did you mean "submit"' farmctl sumbit .
    refused 2 "farmctl help" farmctl
    refused 2 "" farmctl inspect twelve
    refused 2 "999" farmctl inspect 999
    refused 2 "" farmctl logs 999
    refused 2 "" farmctl wait 999
    refused 2 "imagetools" farmctl imagetools create "$REGISTRY/x:1"
}
check "options and verbs that are not there" bad_options

nothing_was_sent ()
{
    expect "objects in the depot" "$(farmctl du --json | jq .objects)" 0
}

no_worker ()
{
    submit 4 "no worker for linux/riscv64; the workers run $native" -t "$REGISTRY/bad:1" --queue-timeout 0 --platform linux/riscv64 "$plain"
    expect_text "$work/err" "none could emulate it"
    submit 4 "no worker for linux/riscv64" -t "$REGISTRY/bad:1" --queue-timeout 0 --platform "$native,linux/riscv64" --emulation allow "$plain"
}
check "a platform that no worker has: which there are" no_worker

not_emulated_unasked ()
{
    need_both
    submit 4 "no worker for $foreign; the workers run $native; with --emulation allow it could be emulated by worker-$foreign_name" \
        -t "$REGISTRY/bad:1" --queue-timeout 0 --platform "$foreign" "$plain"
}
check "a platform that could be emulated is not, unasked" not_emulated_unasked
check "of all that, nothing was sent" nothing_was_sent

# -- who is there ------------------------------------------------------------------------------------------------------

nobody_there ()
{
    local start=$SECONDS
    sed 's|tcp://127.0.0.1:[0-9]*|tcp://127.0.0.1:9|' "$farm/coordinator/admin.conf" > "$work/nobody.conf"
    FARM_CONFIG=$work/nobody.conf background nobody-submit farmctl submit -t "$REGISTRY/bad:1" "$plain"
    FARM_CONFIG=$work/nobody.conf background nobody-du farmctl du
    background_ends nobody-submit 1
    background_ends nobody-du 1
    [ $((SECONDS - start)) -le 5 ] || { echo "it took $((SECONDS - start)) s"; return 1; }
    expect_text "$work/nobody-submit.log" "coordinator tcp://127.0.0.1:9 refuses the connection" "is it running"
    expect_text "$work/nobody-du.log" "refuses the connection"
    FARM_CONFIG=$work/nowhere.conf run 2 farmctl ls
    expect_text "$work/err" "$work/nowhere.conf"
}
check "no coordinator: exit code 1, soon" nobody_there

second_coordinator ()
{
    run 1 timeout 20 farm-coordinator -c "$farm/coordinator.conf" '--control-bind=tcp://127.0.0.1:*' '--objects-bind=tcp://127.0.0.1:*' --http-bind=127.0.0.1:0
    expect_text "$work/err" "$farm/coordinator"
    farm_is_up
}
check "a second coordinator on one state folder ends, the first goes on" second_coordinator

second_worker ()
{
    run 1 timeout 30 farm-worker -c "$farm/worker-$native_name.conf"
    expect_text "$work/err" "$farm/worker-$native_name"
    has_worker "worker-$native_name"
}
check "a second worker on one state folder ends, the first goes on" second_worker

stranger ()
{
    local who
    background stranger farm-coordinator "--state=$work/stranger-farm" '--control-bind=tcp://127.0.0.1:*' '--objects-bind=tcp://127.0.0.1:*' --http-bind=127.0.0.1:0
    wait_for 20 test -e "$work/stranger-farm/admin.conf"
    FARM_CONFIG=$work/stranger-farm/admin.conf farmctl user add late > "$work/stranger-join"
    sed "s|$farm/coordinator/admin.key|$work/stranger-farm/admin.key|" "$farm/coordinator/admin.conf" > "$work/stranger.conf"
    # and a farm that is not the one whose key we have
    sed "s|tcp://[^\"]*|$(sed -n 's/^    control = "\(.*\)"/\1/p' "$work/stranger-farm/admin.conf")|" "$farm/coordinator/admin.conf" > "$work/swapped.conf"
    FARM_CONFIG=$work/stranger.conf background stranger-submit farmctl submit -t "$REGISTRY/bad:1" "$plain"
    FARM_CONFIG=$work/stranger.conf background stranger-du farmctl du
    FARM_CONFIG=$work/swapped.conf background swapped-ls farmctl ls
    for who in stranger-submit stranger-du swapped-ls; do
        background_ends "$who" 1
    done
    expect_text "$work/stranger-submit.log" "does not know this user's key" "join the farm (again)"
    expect_text "$work/stranger-du.log" "does not know this user's key"
    expect_text "$work/swapped-ls.log" "does not answer" "is its key still the one"
    expect_text "$farm/coordinator.log" "refused a connection"
    background_end stranger
    diff "$work/before" <(trace)
}
check "a stranger's key is refused, and so is a strange coordinator" stranger

# A folder that was there keeps its mode; the queue with its build arguments and the depot are for nobody else all the same.
open_state ()
{
    mkdir -m 755 "$work/open-state"
    background open-state farm-coordinator "--state=$work/open-state" '--control-bind=tcp://127.0.0.1:*' '--objects-bind=tcp://127.0.0.1:*' --http-bind=127.0.0.1:0
    wait_for 20 test -e "$work/open-state/admin.conf"
    expect "files that others can read" "$(find "$work/open-state" -type f -perm /077)" ""
    [ -e "$work/open-state/farm.db" ]
    background_end open-state
}
check "a state folder that others may enter: no file in it is theirs to read" open_state

# -- join strings ------------------------------------------------------------------------------------------------------

bad_join ()
{
    local string damaged
    string=$(cat "$farm/coordinator/join")
    for damaged in "" "nonsense" "${string:0:${#string}-4}" "${string}x" "${string:0:20}$([ "${string:20:1}" = A ] && echo B || echo A)${string:21}"; do
        FARM_CONFIG=$work/joining/farmctl.conf run 2 timeout 20 farmctl join "$damaged"
        expect_text "$work/err" "join string"
        [ ! -e "$work/joining" ]
        run 2 timeout 20 farm-worker join "$damaged" "--state=$work/joining" --name=late
        expect_text "$work/err" "join string"
        expect "lines of the message" "$(grep -c '^farm-worker: ' "$work/err")" "$(wc -l < "$work/err")"
        [ ! -e "$work/joining" ]
    done
}
check "a damaged join string" bad_join

worthless_join ()
{
    local string
    string=$(cat "$work/stranger-join")
    FARM_CONFIG=$work/joining/farmctl.conf run 1 timeout 40 farmctl join "$string"
    [ ! -e "$work/joining/farmctl.conf" ]
}
check "a join string of a farm that is not there any more" worthless_join

# -- output ---------------------------------------------------------------------------------------------------------------

# How it ends when the reader of its output has gone before it writes
unread ()
{
    run 0 python3 - <<'END'
import os, signal, subprocess
read_end, write_end = os.pipe()
os.close(read_end)
done = subprocess.run(["farmctl", "help"], stdout=write_end, stderr=subprocess.PIPE)
assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b""), done
END
}
check "nobody reads what farmctl prints" unread

farm_end
