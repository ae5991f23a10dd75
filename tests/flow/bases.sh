#!/bin/bash
# bases.sh - base images in another registry than the farm's: it is silent, is down, is not there, and its tags move while a build is under way.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/registries.sh"
farm_up

# Always at one address, with what it had.
OTHER=127.0.0.1:$(python3 -c 'import socket; s = socket.socket (); s.bind (("127.0.0.1", 0)); print (s.getsockname () [1])')
cat > "$work/other.yml" <<END
version: 0.1
log: {accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: '$work/other'}}
http: {addr: '$OTHER'}
END

other_start ()
{
    background other docker-registry serve "$work/other.yml"
    wait_for 20 curl -fs -o "$work/other-answer" "http://$OTHER/v2/"
}

other_put ()
{
    skopeo copy -q --all --src-tls-verify=false --dest-tls-verify=false "docker://$1" "docker://$OTHER/base:1"
}

submit_app ()
{
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/bases:app" "$app"
}

last_build ()
{
    farmctl ls --limit 1 --json | jq '.builds[0].id'
}

other_start
other_put "$base"
farm_trust "$OTHER"
app=$work/app
mkdir "$app"
printf 'FROM %s/base:1\nCOPY file /file\n' "$OTHER" > "$app/Dockerfile"
echo first > "$app/file"

same_base ()
{
    submit_app
    submit_app
    expect_text "$work/err" "unchanged, from build"
}
check "what stands on a base of another registry is not built again" same_base

silent_base ()
{
    local own=$work/own pid start took
    mkdir "$own"
    printf 'FROM %s\n' "$base" > "$own/Dockerfile"
    run 0 farmctl submit -q --platform "$native" -t "$REGISTRY/bases:own" "$own"
    pid=$(background_pid other)
    kill -STOP "$pid"
    for _ in 1 2 3; do
        run 0 farmctl submit -q --detach --platform "$native" -t "$REGISTRY/bases:app" "$app"
    done
    start=$(date +%s)
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/bases:own" "$own"
    took=$(($(date +%s) - start))
    kill -CONT "$pid"
    expect_text "$work/err" "unchanged, from build"
    echo "it took $took s"
    [ "$took" -lt 5 ]
}
check "a base's registry that is silent does not hold up others" silent_base

says_why ()
{
    field "$1" '.jobs[0].waiting' | grep -q "being looked up, try 2"
}

base_that_is_down ()
{
    local id
    background_end other
    echo second > "$app/file"
    id=$(submit_detached --platform "$native" -t "$REGISTRY/bases:app" "$app")
    wait_for 20 says_why "$id"
    other_start
    run 0 farmctl wait "$id"
    expect "attempts" "$(field "$id" '.jobs[0].attempts | length')" 1
}
check "a base's registry that is down is waited for, and the build says why" base_that_is_down

# -- one digest for all of a build

digest_of ()
{
    skopeo inspect --raw --tls-verify=false "docker://$1" | sha256sum | sed 's/^\([0-9a-f]*\).*/sha256:\1/'
}

has_base ()
{
    [ "$(field "$1" '.bases[0].digest // ""')" != "" ]
}

base_that_moves ()
{
    local id before
    echo "mark" > "$work/mark"
    mkdir "$work/marked"
    printf 'FROM %s\nCOPY mark /mark\n' "$base" > "$work/marked/Dockerfile"
    cp "$work/mark" "$work/marked/mark"
    run 0 farmctl submit -q --platform "$native,$foreign" --emulation allow -t "$REGISTRY/bases:marked" "$work/marked"
    before=$(digest_of "$OTHER/base:1")
    printf 'FROM %s/base:1\nCOPY file /file\nRUN test ! -e /mark\n' "$OTHER" > "$app/Dockerfile"
    run 0 farmctl worker pause "worker-$native_name"
    id=$(submit_detached --platform "$native" -t "$REGISTRY/bases:moves" "$app")
    wait_for 20 has_base "$id"
    expect "what was looked up" "$(field "$id" '.bases | tojson')" "[{\"reference\":\"$OTHER/base:1\",\"digest\":\"$before\"}]"
    other_put "$REGISTRY/bases:marked"
    run 0 farmctl worker resume "worker-$native_name"
    run 0 farmctl wait "$id"
    run 0 farmctl inspect "$id"
    expect_text "$work/out" "$OTHER/base:1 $before"
    farmctl inspect "$id" --json | expect_json build
    expect "annotations" "$(registry_get bases/manifests/moves | jq -c .annotations)" \
        "{\"org.opencontainers.image.base.name\":\"$OTHER/base:1\",\"org.opencontainers.image.base.digest\":\"$before\"}"
    other_put "$base"
}
check "a tag that moves before the build begins changes nothing" base_that_moves

# stands_on_one FROM: the base moves when one platform is built, and the other is not
stands_on_one ()
{
    local id before
    need_both
    other_put "$base"
    before=$(digest_of "$OTHER/base:1")
    printf 'FROM %s\nCOPY file /file\nRUN test ! -e /mark\n' "$1" > "$app/Dockerfile"
    date +%s%N > "$app/file"
    run 0 farmctl worker pause "worker-$foreign_name"
    id=$(submit_detached --platform "$native,$foreign" -t "$REGISTRY/bases:both" "$app")
    wait_for 60 is_done "$id"
    other_put "$REGISTRY/bases:marked"
    run 0 farmctl worker resume "worker-$foreign_name"
    run 0 farmctl wait "$id"
    expect "bases" "$(field "$id" '.bases | tojson')" "[{\"reference\":\"$OTHER/base:1\",\"digest\":\"$before\"}]"
}

is_done ()
{
    [ "$(field "$1" '.jobs[0].state')" = done ]
}

both_platforms ()
{
    stands_on_one "$OTHER/base:1"
}
check "all platforms stand on one base, though its tag moves between them" both_platforms

# Nobody but the builder knows what that is: the first worker asks
unknown_name ()
{
    stands_on_one "\${NO_SUCH_ARG:-$OTHER/base:1}"
}
check "so they do when only the builder can tell the name" unknown_name

no_such_base ()
{
    local id
    printf 'FROM %s/none:1\n' "$OTHER" > "$app/Dockerfile"
    run 3 farmctl submit --platform "$native" -t "$REGISTRY/bases:none" "$app"
    expect_text "$work/err" "there is no image $OTHER/none:1"
    run 0 farmctl submit -q --platform "$native" -t "$REGISTRY/bases:native" "$work/marked"
    printf 'FROM %s/bases:native\n' "$REGISTRY" > "$app/Dockerfile"
    run 3 farmctl submit --platform "$native,$foreign" --emulation allow -t "$REGISTRY/bases:none" "$app"
    expect_text "$work/err" "is not there for $foreign, only for $native"
    id=$(farmctl ls --limit 1 --json | jq '.builds[0].id')
    expect "attempts" "$(field "$id" '[.jobs[].attempts | length] | add')" 0
    run 3 farmctl submit --platform linux/riscv64 -t "$REGISTRY/bases:none" "$app"
    expect_text "$work/err" "is not there for linux/riscv64, only for $native"
    run 4 farmctl submit --platform linux/riscv64 --queue-timeout 0 -t "$REGISTRY/bases:none" "$app"
    expect_text "$work/err" "no worker for linux/riscv64"
}
check "a base that is not there, or not for a platform, fails the build at once" no_such_base

farm_end
