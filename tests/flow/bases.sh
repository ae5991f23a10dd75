#!/bin/bash
# bases.sh - base images in another registry than the farm's: it is silent, goes away, and comes back with another image.
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

stale_base ()
{
    background_end other
    echo second > "$app/file"
    submit_app
    run 0 farmctl logs "$(last_build)"
    expect_text "$work/out" "a base image may not be the newest"
    other_start
    other_put "$REGISTRY/bases:app"
    submit_app
    expect "attempts" "$(field "$(last_build)" '.jobs[0].attempts | length')" 1
}
check "what was built on an old base is built again" stale_base

farm_end
