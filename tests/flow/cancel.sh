#!/bin/bash
# cancel.sh - a build that is cancelled leaves nothing behind: no process, container, mount or folder.
. "${top_srcdir:-.}/tests/lib/farm.sh"

# A buildah that dies while it removes containers, once for each "dies" in its folder of temporary files
mkdir -p "$work/bin"
cat > "$work/bin/buildah" <<END
#!/bin/sh
for word; do
    [ "\$word" != rm ] || ! rm "\$TMPDIR/dies" 2> /dev/null || kill -KILL \$\$
done
exec $(command -v buildah) "\$@"
END
chmod +x "$work/bin/buildah"
PATH=$work/bin:$PATH
farm_up
state=$farm/worker-$native_name

# What a worker holds beside its caches
holds ()
{
    processes_below "$farm" | sed 's/^/process /'
    mounts_below "$farm" | sed 's/^/mount /'
    find "$state" \( -path '*/overlay-containers/*' -o -path '*/vfs-containers/*' \) -type d -prune -printf 'container %P\n'
    find "$state" -mindepth 1 \( -name 'storage-*' -o -name depot -o -name data -o -name checkouts \) -prune -o -path "$state/attempts" -o -path "$state/builder/*/run/overlay*" -prune -o -path "$state/builder/*/own/.config" -prune -o -print | sort
}

# What the worker keeps in any case stands there after a first build.
warm_up ()
{
    run 0 farmctl submit -q --platform "$native" -t "$REGISTRY/cancelled:warm" "$(slow_context warm 0)"
    holds > "$work/before"
}
check "a first build" warm_up
place=$(place_of "$state" "$REGISTRY/cancelled")

is_as_before ()
{
    holds > "$work/now"         # to its end: a diff that cannot begin would leave one behind at each try
    diff "$work/before" "$work/now"
}

cancelled_while_building ()
{
    local id
    id=$(submit_detached --platform "$native" -t "$REGISTRY/cancelled:building" "$(slow_context building 60)")
    wait_said "$id" "slow begins"
    run 0 farmctl cancel "$id"
    expect "state" "$(field "$id" .state)" cancelled
    wait_for 20 is_as_before
    run 3 farmctl wait "$id"
    expect_text "$work/err" "cancelled by admin"
    expect_no_tag cancelled building
}
check "cancelled while building" cancelled_while_building

# A shell that goes on when what it waits for is killed: a builder that is there to see that keeps the step for later builds.
cancelled_is_not_done ()
{
    local folder id
    folder=$(context half <<'END'
FROM %BASE%
COPY stamp /stamp
RUN echo "half"" begins"; sleep 4; echo "the whole"" of it"
END
    )
    date +%s%N > "$folder/stamp"
    id=$(submit_detached --platform "$native" -t "$REGISTRY/cancelled:half" "$folder")
    wait_said "$id" "half begins"
    run 0 farmctl cancel "$id"
    wait_for 20 is_as_before
    id=$(submit_detached --platform "$native" -t "$REGISTRY/cancelled:half" "$folder")
    wait_state "$id" published
    has_said "$id" "the whole of it" || { echo "the step was taken from the cancelled build:"; farmctl logs "$id"; return 1; }
}
check "a step that was cancelled is not taken for done by the next build" cancelled_is_not_done

# What a runtime has made for a step outside of the worker's folder: groups of whatever kind, and notes
has_no_groups_of ()
{
    local name
    for name in $(farmctl logs "$1" | grep -oE 'buildah-buildah[0-9]+' | sort -u); do
        [ -z "$(find /sys/fs/cgroup /run/runc /run/crun -name "$name" 2> /dev/null)" ] || return 1
    done
}

# buildah mounts its store onto itself, and unmounts it at its end; one that is killed at the wrong moment does not, and those after it
# take that for somebody else's.
mount_left ()
{
    mount --bind "$place/own/tmp" "$place/own/tmp"
    run 0 farmctl submit -q --no-cache --platform "$native" -t "$REGISTRY/cancelled:mount" "$(slow_context mount 0)"
    wait_for 20 has_no_mounts
}
has_no_mounts () { [ -z "$(mounts_below "$farm")" ]; }
check "what a builder left mounted goes when the next build has ended" mount_left

# Killed before it has written down whose container it is, before that has a folder, and while it removed it
container_left ()
{
    local root driver containers list all name
    root=$(echo "$place"/storage-*)
    driver=${root##*storage-}
    containers=$root/$driver-containers
    list=$containers/containers.json
    for name in whole listed unlisted; do
        buildah --root "$root" --runroot "$work/runroot" --storage-driver "$driver" from --name "$name" scratch
    done
    all=$(cat "$list")
    rm -r "${containers:?}/$(jq -r '.[] | select (.names == ["listed"]) | .id' <<< "$all")"
    jq -c 'map (select (.names != ["unlisted"]))' <<< "$all" > "$list"
    expect "containers before" "$(jq length "$list")" 2
    chown -R --from=0:0 "$(stat -c %u:%g "$root")" "$root"         # as the builder would have it
    run 0 farmctl submit -q --no-cache --platform "$native" -t "$REGISTRY/cancelled:container" "$(slow_context container 0)"
    wait_for 20 has_no_containers
    expect "containers after" "$(cat "$list")" "[]"
}
has_no_containers () { ! holds | grep '^container'; }
check "a container that a builder left goes when the next build has ended" container_left

removal_dies ()
{
    local id
    id=$(submit_detached --platform "$native" -t "$REGISTRY/cancelled:removal" "$(slow_context removal 60)")
    wait_said "$id" "slow begins"
    install -o "$(stat -c %u "$place/own/tmp")" /dev/null "$place/own/tmp/dies"
    run 0 farmctl cancel "$id"
    wait_for 20 is_as_before
    expect_text "$farm/worker-$native_name.log" "working containers: exit status 137; it is tried again"
}
check "a builder that is killed while it removes the container is started again" removal_dies

# A step that starts processes which leave their group and ignore signals
cancelled_stubborn ()
{
    local id
    id=$(submit_detached --platform "$native" -t "$REGISTRY/cancelled:stubborn" "$(context stubborn <<END
FROM %BASE%
RUN cat /proc/self/cgroup; trap '' TERM INT HUP; (setsid sleep $sleeper &) ; echo "stubborn begins"; while :; do sleep 1; done
END
    )")
    wait_said "$id" "stubborn begins"
    run 0 farmctl cancel "$id"
    wait_for 20 is_as_before
    wait_for 5 has_no_sleeper
    wait_for 5 has_no_groups_of "$id"
}
sleeper=$((1000000 + $$))
has_no_sleeper () { ! pgrep -f "sleep $sleeper\$"; }
check "cancelled, with processes that do not want to end" cancelled_stubborn

cancelled_in_the_queue ()
{
    local first second
    first=$(submit_detached --platform "$native" -t "$REGISTRY/cancelled:first" "$(slow_context first 60)")
    wait_said "$first" "slow begins"
    second=$(submit_detached --platform "$native" -t "$REGISTRY/cancelled:second" "$(slow_context second 60)")
    wait_for 20 is_waiting "$second"
    run 0 farmctl cancel "$second"
    run 0 farmctl cancel "$first"
    wait_for 20 is_as_before
    expect "attempts of the one in the queue" "$(field "$second" '.jobs[0].attempts | length')" 0
}
# Before that its base images are looked up.
is_waiting () { [ "$(field "$1" '.jobs[0].waiting')" = "no free worker for $native" ]; }
check "cancelled in the queue, which says what it waits for" cancelled_in_the_queue

cancelled_twice ()
{
    local id
    id=$(farmctl ls --json | jq '.builds[0].id')
    run 2 farmctl cancel "$id"
    expect_text "$work/err" "is cancelled already"
    run 2 farmctl cancel 4711
    expect_text "$work/err" "4711"
    run 2 farmctl cancel 1
    expect_text "$work/err" "is published already"
}
check "what has ended cannot be cancelled" cancelled_twice

killed_and_started ()
{
    local id
    id=$(submit_detached --platform "$native" -t "$REGISTRY/cancelled:killed" "$(slow_context killed 60)")
    wait_said "$id" "slow begins"
    farm_kill "worker-$native_name"
    farmctl cancel "$id"
    devfarm start "worker-$native_name"
    wait_for 20 is_as_before
}
check "a worker that was killed while building has cleared up once it is started again" killed_and_started

next_build_works ()
{
    run 0 farmctl submit -q --platform "$native" -t "$REGISTRY/cancelled:next" "$(slow_context next 0)"
    is_as_before
}
check "the next build works" next_build_works

farm_end
