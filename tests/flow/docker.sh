#!/bin/bash
# docker.sh - docker as the builder: BuildKit in a docker daemon of the test's own, on a network of the test's own.
. "${top_srcdir:-.}/tests/lib/net.sh"
net_enter
. "$top_srcdir/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/registries.sh"
. "$top_srcdir/tests/lib/images.sh"
. "$top_srcdir/tests/lib/agents.sh"
. "$top_srcdir/tests/lib/drivers.sh"
drivers_up
command -v dockerd > /dev/null && docker_start --bip=172.29.7.1/24

in_memory=$work/docker/tmp/buildkit-secrets*/*
drives docker docker --builder-docker-host="unix://$work/docker.sock"

docker () { "$program" -H "unix://$work/docker.sock" "$@"; }

# is_told STATUS NAME WORDS… < Dockerfile
is_told ()
{
    build "$1" "$2" "$(context "told-$2")"
    expect_text "$work/err" "${@:3}"
    expect_no_tag "$worker/$2" 1
}

names ()
{
    is_told 3 missing "there is no image $REGISTRY/base:none" <<< "FROM $REGISTRY/base:none"
    is_told 3 unknown "\$BASE: docker gets base images under other names" <<< $'FROM $BASE\nRUN true'
    is_told 3 frontend "$REGISTRY/docker/dockerfile:1: docker builds with no other frontend" <<< "# syntax=$REGISTRY/docker/dockerfile:1"$'\nFROM %BASE%'
    is_told 3 other-frontend "$REGISTRY/evil: docker builds with no other frontend" <<< "# syntax=$REGISTRY/evil"$'\nFROM %BASE%'
}
build_arguments ()
{
    build 3 argument --build-arg "BUILDKIT_SYNTAX=$REGISTRY/evil" "$(context argument <<< 'FROM %BASE%')"
    expect_text "$work/err" "--build-arg BUILDKIT_SYNTAX" "leave it out"
}
check "BuildKit's own build arguments are refused" build_arguments

is_tried_once () { expect "attempts" "$(field "$(farmctl ls --limit 1 --json | jq '.builds[0].id')" '.jobs[0].attempts | length')" 1; }

# Their errors tell the command, whatever it is.
no_fault_of_the_farm ()
{
    local words
    for words in "Cannot connect to the Docker daemon" "rpc error: code = Unavailable" "write: no space left on device"; do
        build 3 forged "$(context forged <<< "FROM %BASE%
RUN false '$words'")"
        is_tried_once
        build 3 forged "$(context forged <<< "FROM %BASE%
RUN [\"/bin/sh\", \"-c\", \"false\\n$words\"]")"
        is_tried_once
        build 3 forged "$(context forged <<< "FROM %BASE%
STOPSIGNAL x: $words")"
        is_tried_once
    done
    expect "the worker" "$(worker_state "$worker")" online
    expect "faults of workers" "$(farmctl worker ls --json | jq '[.workers[].faults] | add')" 0
}
check "a step cannot have its worker blamed" no_fault_of_the_farm

check "names of images that there are not, or that cannot be told" names

pruned ()
{
    local folder
    store_pull "$native" "$base"
    store config --onbuild "COPY . /made" probe
    store commit -q --format docker --tls-verify=false probe "docker://$REGISTRY/trigger:1" > /dev/null
    folder=$(context pruned <<< "FROM $REGISTRY/trigger:1"$'\nCOPY src /src')
    mkdir -p "$folder/src" "$folder/unread"
    echo unread | tee "$folder/src/file" > "$folder/unread/file"
    build 0 pruned "$folder"
    expect_text "$work/err" "has the trigger ONBUILD COPY . /made" "submitting again, with the whole context"
    store_pull "$native" "$REGISTRY/$worker/pruned:1"
    expect "what the trigger copied" "$(store_file made/unread/file)" unread
}
check "what a base image's trigger reads is sent when that is found out" pruned

networks ()
{
    build 0 without-network --network none "$(context without-network <<< $'FROM %BASE%\nRUN [ "$(ls /sys/class/net)" = lo ]')"
    build 4 of-the-host --network host --queue-timeout 0 "$(context of-the-host <<< 'FROM %BASE%')"
    expect_text "$work/err" "builder/allow = network-host"
    build 4 twice --cross-check --queue-timeout 0 "$(context twice <<< 'FROM %BASE%')"
    expect_text "$work/err" "for --cross-check a worker needs another builder than docker"
}
check "a build has the network that it asks for; what docker cannot do goes to no docker" networks

# An attempt's image goes after its build has ended.
has_no_image () { [ -z "$(docker images --format '{{.Repository}}:{{.Tag}}')" ]; }
no_image () { wait_for 20 has_no_image || { docker images; return 1; }; }
check "no image is left in the daemon" no_image

# Images that BuildKit may still make
is_late () { [ -e "$work/$worker/builder/images/late/$1" ]; }
is_forgotten () { ! is_late "$1"; }
made () { tar -c -T /dev/null | docker import - "$(cat "$1")" > /dev/null; }

# BuildKit finishes what its client was killed over.
comes_late ()
{
    local id folder
    folder=$(context late <<< 'FROM %BASE%
RUN echo "late"" begins"; i=0; while [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done')
    id=$(submit_detached --require "driver=$worker" --platform "$native" -t "$REGISTRY/$worker/late:1" "$folder")
    wait_said "$id" "late begins"
    run 0 farmctl cancel "$id"
    wait_for 20 is_late "$id-1"
    made "$work/$worker/builder/images/late/$id-1"
    build 0 after-late "$(context after-late <<< 'FROM %BASE%')"
    no_image
    wait_for 20 is_forgotten "$id-1"
}
check "an image that is made after its build was cancelled is removed by the next attempt" comes_late

# Without a word of goodbye, in the middle of a RUN step
comes_back ()
{
    local id folder notes=$work/$worker/builder/images
    folder=$(context lost <<END
FROM %BASE%
RUN : $canary; echo "lost"" begins"; i=0; while [ \$i -lt 600 ]; do sleep 0.1; i=\$((i + 1)); done
END
    )
    id=$(submit_detached --require "driver=$worker" --platform "$native" -t "$REGISTRY/$worker/lost:1" "$folder")
    wait_said "$id" "lost begins"
    step_goes_on
    background_end "$worker" KILL
    wait_for 20 step_is_gone
    made "$notes/$id-1"
    echo 127.0.0.1:1/registry/not:made > "$notes/0-1"
    run 0 farmctl cancel "$id"
    background "$worker" farm-worker -c "$work/$worker.conf" --builder-driver=docker --builder-program="$program" --labels="driver=$worker" \
        --builder-docker-host="unix://$work/docker.sock"
    wait_for 60 is_connected "$worker"
    expect "notes of images" "$(ls "$notes")" late
    is_late 0-1
    no_image
    touch -d "1 hour ago" "$notes/late/0-1"
    build 0 after-lost "$(context after-lost <<< 'FROM %BASE%')"
    wait_for 20 is_forgotten 0-1
}
step_goes_on () { grep -qsF -f "$work/canaries/word" /proc/[0-9]*/cmdline; }
step_is_gone () { ! step_goes_on; }
check "a worker that is killed leaves no step that goes on, and removes its image when it comes back" comes_back

doctor ()
{
    run 0 farm-worker doctor -c "$work/$worker.conf" --builder-driver=docker --builder-program="$program" --builder-docker-host="unix://$work/docker.sock"
    expect_text "$work/out" "docker $(docker version --format '{{.Server.Version}}')" "docker: RUN steps are root of this host in the docker daemon's containers"
    run 4 farm-worker doctor -c "$work/$worker.conf" --builder-driver=docker --builder-program="$program" --builder-docker-host=unix:///none/docker.sock
    expect_text "$work/out" "the docker daemon cannot be asked; start it (systemctl start docker), or set builder/docker-host"
    run 4 farm-worker doctor -c "$work/$worker.conf" --builder-driver=docker --builder-program="$(command -v buildah)"
    expect_text "$work/out" "is no docker" "apt-get install docker.io"
    run 4 farm-worker doctor -c "$work/$worker.conf" --builder-driver=docker --builder-program="$program" --builder-docker-host=tcp://127.0.0.1:2375
    expect_text "$work/out" "write unix:///PATH"
    run 4 farm-worker doctor -c "$work/$worker.conf" --builder-driver=docker --builder-program="$program" --builder-isolation=chroot
    expect_text "$work/out" "builder/isolation is chroot"
}
check "doctor tells what docker gives, and why a daemon cannot be used" doctor

daemon_is_gone ()
{
    background_end dockerd
    build 1 gone "$(context gone <<< 'FROM %BASE%')"
    expect "attempts" "$(field "$(farmctl ls --limit 1 --json | jq '.builds[0].id')" '[.jobs[0].attempts[].code] | join (" ")')" "farm farm farm"
    expect_text "$work/err" "the docker daemon is gone"
}
check "a daemon that is gone is the farm's fault" daemon_is_gone

farm_end
