# drivers.sh - builders other than buildah, behind the same door: what they build, what they say of a build that fails, and what they leave.
# Needs farm.sh, registries.sh, images.sh, agents.sh.
# shellcheck shell=bash

drivers_up ()
{
    farm_up
    registry_with_login_start
    coordinator_has_login
    registry_talking_start
    farm_trust "$LOGIN_REGISTRY" "$TALKING"
    skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$base" "docker://$REGISTRY/tools:1"
    whole=$(context whole <<END
ARG FROM=%BASE%
FROM \$FROM AS tools
RUN --mount=type=secret,id=word sha256sum < /run/secrets/word | cut -d ' ' -f 1 > /sum; echo "password: \$(cat /auth.json /run/secrets/*.json 2>&1)"
FROM %BASE%
ARG GREETING=none
COPY --from=tools /sum /sum
COPY --from=$REGISTRY/tools:1 /bin/sh /shell
COPY greeting /greeting
RUN echo "\$GREETING" > /argument
CMD ["/bin/sh"]
END
    )
    echo hello > "$whole/greeting"
    canary=canary-$(od -An -N 12 -tx1 /dev/urandom | tr -d ' \n')
    mkdir "$work/canaries"
    printf %s "$canary" > "$work/canaries/word"
    od -An -N 12 -tx1 /dev/urandom | tr -d ' \n' > "$work/canaries/surroundings"
}

# build STATUS NAME OPTION… CONTEXT: by the driver's worker
build ()
{
    run "$1" farmctl submit --no-result-cache --require "driver=$worker" --platform "$native" -t "${to:-$REGISTRY}/$worker/$2:1" "${@:3}"
}

# The worker's own environment has a canary too, which is not to reach what it starts.
starts ()
{
    SURROUNDINGS=$(cat "$work/canaries/surroundings") worker_add "$worker" "$work/$worker" --builder-driver="$driver" --builder-program="$program" --labels="driver=$worker" "$@"
    expect_text "$work/$worker.log" "$driver $("$program" --version | grep -oE '[0-9]+[.][0-9]+[.][0-9]+' | head -n 1)"
}

builds ()
{
    build 0 whole --secret id=word,src="$work/canaries/word" --build-arg GREETING=moin --label org.example.of=drivers "$whole"
    store_pull "$native" "$REGISTRY/$worker/whole:1"
    expect "the secret's sum, of another stage" "$(store_file sum)" "$(printf %s "$canary" | sha256sum | cut -d ' ' -f 1)"
    expect "the file of another image" "$(store_file shell | sha256sum)" "$(store_file bin/busybox | sha256sum)"
    expect "the file of the context" "$(store_file greeting)" hello
    expect "the build argument" "$(store_file argument)" moin
    expect "the label" "$(store_label org.example.of)" drivers
    expect "platform" "$(skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/$worker/whole:1" | jq -r '.manifests[].platform | "\(.os)/\(.architecture)"')" "$native"
    local id
    id=$(farmctl ls --limit 1 --json | jq '.builds[0].id')
    expect "the worker" "$(field "$id" '.jobs[0].attempts[-1].worker')" "$worker"
    expect "base images" "$(field "$id" '[.bases[].reference] | unique | length')" 2
}

fails ()
{
    local id
    build 3 failing "$(context failing <<'END'
FROM %BASE%
RUN echo "these are"" the last words"; exit 7
END
    )"
    expect_text "$work/err" "exit 7" "these are the last words"
    id=$(farmctl ls --limit 1 --json | jq '.builds[0].id')
    expect "exit status" "$(field "$id" '.jobs[0].exit_status')" 7
    expect_no_tag "$worker/failing" 1
    build 3 copying "$(context copying <<< $'FROM %BASE%\nCOPY nofile /')"
    expect_text "$work/err" "nofile"
}

# The first of its builds: where a worker has a base image from, it mounts its layers from.
layers ()
{
    local app
    skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$base" "docker://$TALKING/base:1"
    app=$(context "layers-$worker" <<< "FROM $TALKING/base:1
COPY file /file")
    head -c 100000 /dev/urandom > "$app/file"
    mark
    to=$TALKING build 0 layers "$app"
    expect "uploads of the first push: its layer and its config" "$(requests PUT '/blobs/uploads/')" 2
    mark
    to=$TALKING build 0 layers "$app"
    expect "uploads of an unchanged rebuild" "$(requests PUT '/blobs/uploads/')" 0
}

# All that a RUN step can see of environments, command lines and files
hides ()
{
    local id seen
    id=$(submit_detached --require "driver=$worker" --platform "$native" -t "$LOGIN_REGISTRY/$worker/curious:1" "$(context "curious-$worker" <<'END'
FROM %BASE%
RUN env; for p in /proc/[0-9]*; do tr '\0' ' ' < $p/environ; tr '\0' ' ' < $p/cmdline; done 2> /dev/null; find / -xdev -name auth.json; find / -xdev -name config.json; echo "curious"" begins"; sleep 3
END
    )")
    wait_said "$id" "curious begins"
    for seen in /proc/[0-9]*; do
        { tr '\0' '\n' < "$seen/environ"; tr '\0' '\n' < "$seen/cmdline"; } 2> /dev/null
    done | grep -F -f "$work/secrets" > "$work/seen" || true
    expect "the registry's password in environments and command lines" "$(cat "$work/seen")" ""
    expect "and in the worker's files" "$(grep -rlaF --devices=skip -f "$work/secrets" "$work/$worker" "$work/$worker.log" || true)" ""
    wait_state "$id" published
    farmctl logs "$id" > "$work/log"
    expect_no_text "$work/log" "/auth.json"
    expect_no_text "$work/log" "$LOGIN_PASSWORD"
}

# hunt RULES: the secret, and the canary of the worker's environment; for the search is in everything that was written, and in all processes
hunt ()
{
    python3 -B "$top_srcdir/tests/lib/canary" --secrets "$work/canaries" --known "$work/known-clean" --allow "$1" --processes --pid "$(background_pid "$worker")" \
        "$work" "$(vault_of "$work/$worker")" /var/tmp
}

# What `builds` has published is among what is searched. in_memory: a pattern for where else the driver has it, on a tmpfs of its own
keeps_secrets ()
{
    local id folder vault
    vault=$(vault_of "$work/$worker")
    printf 'must surroundings %s:/proc/*/environ - the worker was started with it\n' farm-worker > "$work/rules"
    { cat "$work/rules"; printf 'must word %s - what the step reads, in memory\n' "$vault/*" ${in_memory:+"$in_memory"}; } > "$work/rules-meanwhile"
    folder=$(context "holding-$worker" <<'END'
FROM %BASE%
RUN --mount=type=secret,id=word cat /run/secrets/word > /dev/null; echo "it"" holds"; i=0; while [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done
END
    )
    id=$(submit_detached --secret id=word,src="$work/canaries/word" --require "driver=$worker" --platform "$native" -t "$REGISTRY/$worker/holding:1" "$folder")
    wait_said "$id" "it holds"
    hunt "$work/rules-meanwhile"
    # shellcheck disable=SC2086
    [ -z "${in_memory:-}" ] || expect "what the driver has it on" "$(stat -f -c %T $in_memory)" tmpfs
    run 0 farmctl cancel "$id"
    wait_for 20 holds_nothing
    hunt "$work/rules"
}

asks_the_agent ()
{
    local folder
    [ -S "$work/agent.sock" ] || agent_start
    folder=$(context "asking-$worker" <<END
FROM %BASE%
$(agent_steps)
RUN --mount=type=ssh /tools/ssh-add -l > /keys
END
    )
    agent_tools "$folder"
    build 0 asking --ssh "default=$work/agent.sock" "$folder"
    store_pull "$native" "$REGISTRY/$worker/asking:1"
    store_file keys > "$work/keys"
    expect_text "$work/keys" "of the laptop"
}
# Its Dockerfile names one image; that one wants another.
keeps_to_its_images ()
{
    store_pull "$native" "$base"
    store config --onbuild "COPY --from=$REGISTRY/tools:1 /bin/sh /tool" probe
    store commit -q --format docker --tls-verify=false probe "docker://$REGISTRY/wants:1" > /dev/null
    build 5 unnamed "$(context unnamed <<< "FROM $REGISTRY/wants:1")"
    expect_text "$work/err" "$REGISTRY/tools is no image that the Dockerfile names"
    expect_no_tag "$worker/unnamed" 1
    build 3 archive "$(context archive <<< $'FROM oci-archive:/etc/image.tar\nRUN true')"
    expect_text "$work/err" "a base image comes from a registry"
}

# What its worker holds beside its caches
holds ()
{
    processes_below "$work/$worker" | sed 's/^/process /'
    mounts_below "$work/$worker" | sed 's/^/mount /'
    find "$work/$worker" \( -path '*/overlay-containers/*' -o -path '*/vfs-containers/*' \) -type d -prune -printf 'container %P\n'
    find "$work/$worker/attempts" "$work/$worker"/builder/*/runtime -mindepth 1
}

holds_nothing () { [ -z "$(holds)" ]; }

cancels ()
{
    local id folder
    folder=$(context "slow-$worker" <<< 'FROM %BASE%
RUN echo "slow"" begins"; i=0; while [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done; echo "slow"" ends"')
    id=$(submit_detached --require "driver=$worker" --platform "$native" -t "$REGISTRY/$worker/slow:1" "$folder")
    wait_said "$id" "slow begins"
    [ "$(holds | wc -l)" -gt 1 ]
    run 0 farmctl cancel "$id"
    wait_for 20 holds_nothing || { holds; return 1; }
    expect_no_tag "$worker/slow" 1
}

# Debian's own before one that somebody has put into /usr/local: another docker may lack buildx
driver_program ()
{
    if [ -x "/usr/bin/$1" ]; then
        echo "/usr/bin/$1"
    else
        command -v "$1" || true
    fi
}

# drives WORKER DRIVER [OPTION…]
drives ()
{
    worker=$1 driver=$2 program=$(driver_program "$2")
    if [ -z "$program" ]; then
        driver_is_missing () { skip "$driver is not installed"; }
        check "$worker" driver_is_missing
        return
    fi
    check "$worker: it is started, and says what it builds with" starts "${@:3}"
    check "$worker: an unchanged rebuild pushes no layer" layers
    check "$worker: builds stages on several images, with arguments, labels and a secret" builds
    check "$worker: a failed step is told with its exit status and last words" fails
    check "$worker: a secret is in memory alone while a step has it, and nowhere afterwards" keeps_secrets
    check "$worker: neither builder nor step sees the registry's password" hides
    check "$worker: a RUN step asks the submitter's ssh agent" asks_the_agent
    check "$worker: no image comes in but those that the Dockerfile names" keeps_to_its_images
    check "$worker: a build that is cancelled leaves nothing" cancels
}
