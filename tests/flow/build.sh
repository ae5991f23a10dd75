#!/bin/bash
# build.sh - the whole job on two platforms, and what other people's tools make of the result.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/images.sh"
farm_up

hello=$(context hello <<'END'
FROM %BASE%
ARG GREETING=none
COPY greeting /greeting
RUN mkdir -p /app && uname -m > /app/architecture.txt && echo "$GREETING" > /app/argument.txt
CMD ["cat", "/app/architecture.txt"]
END
)
echo hello > "$hello/greeting"

machine_of ()
{
    case $1 in
        linux/amd64) echo x86_64 ;;
        linux/arm64) echo aarch64 ;;
    esac
}

# -- one submit --------------------------------------------------------------------------------------------------------

submit_both ()
{
    need_both
    run 0 farmctl submit --platform "$native,$foreign" --emulation allow -t "$REGISTRY/team/hello:1.0" \
        -t "$REGISTRY/team/hello" -t "$REGISTRY/mirror/hello:stable" --build-arg GREETING=moin --label org.example.of=flow "$hello"
    grep -qE '^sha256:[0-9a-f]{64}$' "$work/out"
    expect "lines on standard output" "$(wc -l < "$work/out")" 1
    expect_text "$work/err" "$native  STEP 4/6: RUN" "$foreign  STEP 4/6: RUN" "published in"
    cp "$work/out" "$work/digest"
}
check "submit builds for two platforms and prints the index digest" submit_both

both_are_there ()
{
    need_both
    [ -s "$work/digest" ]
}

index_is_whole ()
{
    both_are_there
    expect "platforms of the index" "$(platforms_of team/hello 1.0)" "$native $foreign"
    expect "digest under the tag" "$(registry_get team/hello/manifests/1.0 | sha256sum | sed 's/ .*//')" "$(sed 's/sha256://' "$work/digest")"
}
check "the index names the two platforms in the order asked" index_is_whole

all_tags_are_there ()
{
    both_are_there
    expect "tags in the registry" "$(registry_tags)" "mirror/hello:stable team/hello:1.0 team/hello:latest"
    local tag
    for tag in team/hello/manifests/latest mirror/hello/manifests/stable; do
        registry_get "$tag" > "$work/index"
        expect "$tag" "sha256:$(sha256sum < "$work/index" | sed 's/ .*//')" "$(cat "$work/digest")"
    done
}
check "several tags in several repositories, and no other, show one index" all_tags_are_there

machines_differ ()
{
    both_are_there
    local platform
    for platform in $native $foreign; do
        store_pull "$platform" "$REGISTRY/$1"
        expect "architecture in the config" "$(store_architecture)" "${platform#linux/}"
        expect "what uname -m said while it was built" "$(store_file app/architecture.txt)" "$(machine_of "$platform")"
        expect "the file that was copied" "$(store_file greeting)" hello
        expect "the build argument" "$(store_file app/argument.txt)" moin
        expect "what uname -m says in it" "$(store_run sh -c 'uname -m > /tmp/machine'; store_file tmp/machine)" "$(machine_of "$platform")"
        expect "the label" "$(store_label org.example.of)" flow
    done
}
check "buildah pulls and runs each image" machines_differ team/hello:1.0
check "and from the other repository" machines_differ mirror/hello:stable

skopeo_sees ()
{
    both_are_there
    local platform
    for platform in $native $foreign; do
        expect "skopeo, $platform" "$(skopeo inspect --tls-verify=false --override-os linux --override-arch "${platform#linux/}" \
            "docker://$REGISTRY/team/hello:1.0" | jq -r '"\(.Os)/\(.Architecture)"')" "$platform"
        skopeo copy -q --src-tls-verify=false --override-os linux --override-arch "${platform#linux/}" \
            "docker://$REGISTRY/team/hello:1.0" "dir:$work/copy"
    done
    skopeo copy -q --all --src-tls-verify=false "docker://$REGISTRY/team/hello:1.0" "oci:$work/whole"
}
check "skopeo inspects and copies each image, and the whole" skopeo_sees

podman_pulls ()
{
    both_are_there
    command -v podman > /dev/null || skip "podman is not installed"
    local platform podman=(podman --root "$work/podman" --runroot "$work/podman-run" --storage-driver vfs)
    for platform in $native $foreign; do
        "${podman[@]}" pull -q --tls-verify=false --platform "$platform" "$REGISTRY/team/hello:1.0"
        expect "podman, $platform" "$("${podman[@]}" image inspect "$REGISTRY/team/hello:1.0" | jq -r '.[0].Architecture')" "${platform#linux/}"
    done
}
check "podman pulls each image" podman_pulls

docker_pulls ()
{
    both_are_there
    docker_start
    local platform
    for platform in $native $foreign; do
        docker -H "unix://$work/docker.sock" pull -q --platform "$platform" "$REGISTRY/team/hello:1.0"
        expect "docker, $platform" "$(docker -H "unix://$work/docker.sock" image inspect "$REGISTRY/team/hello:1.0" \
            | jq -r '.[0].Architecture')" "${platform#linux/}"
    done
}
check "docker pulls each image" docker_pulls

containerd_pulls ()
{
    both_are_there
    containerd_start
    local platform
    for platform in $native $foreign; do
        ctr -a "$work/containerd.sock" images pull --plain-http --snapshotter native --platform "$platform" "$REGISTRY/team/hello:1.0"
        ctr -a "$work/containerd.sock" images check | grep -F "$REGISTRY/team/hello:1.0"
    done
}
check "containerd pulls each image" containerd_pulls

raw_is_exact ()
{
    both_are_there
    run 0 farmctl imagetools inspect "$REGISTRY/team/hello:1.0"
    expect_text "$work/out" "$(cat "$work/digest")" "$native" "$foreign"
    farmctl imagetools inspect --raw "$REGISTRY/team/hello:1.0" > "$work/raw"
    registry_get team/hello/manifests/1.0 | cmp - "$work/raw"
    expect "its digest" "$(farmctl imagetools inspect --json "$REGISTRY/team/hello:1.0" | jq -r .digest)" "$(cat "$work/digest")"
}
check "imagetools inspect shows the index, --raw its bytes" raw_is_exact

# It takes longer to load than an unchanged context to be submitted.
starts_light ()
{
    ! ldd "$(command -v farmctl)" | grep -E 'libcurl|libcrypto|libsqlite'
}
check "farmctl itself loads nothing that speaks to registries" starts_light

other_order ()
{
    need_both
    run 0 farmctl submit -q --platform "$foreign" --platform "$native" --emulation allow -t "$REGISTRY/order:1" "$hello"
    expect "platforms of the index" "$(platforms_of order 1)" "$foreign $native"
}
check "the other order gives an index in the other order" other_order

# -- options -----------------------------------------------------------------------------------------------------------

stages=$(context stages <<'END'
FROM %BASE% AS first
RUN echo first > /which
FROM first AS second
RUN echo second > /which && date +%s%N > /when
END
)

# published TAG: pull the native image
published ()
{
    store_pull "$native" "$REGISTRY/options:$1"
}

target_is_built ()
{
    run 0 farmctl submit -q --target first -t "$REGISTRY/options:target" "$stages"
    published target
    expect "the stage" "$(store_file which)" first
    run 0 farmctl submit --no-result-cache -t "$REGISTRY/options:followed" "$stages"
    expect_text "$work/err" "$native  [1/2] STEP 1/" "$native  [2/2] STEP 1/"
    run 3 farmctl submit -q --target third -t "$REGISTRY/options:nothing" "$stages"
    expect_no_tag options nothing
}
check "--target builds a stage; one that is not there is the user's fault" target_is_built

when_built ()
{
    run 0 farmctl submit -q "$@" -t "$REGISTRY/options:when" "$stages"
    published when
    store_file when
}

no_cache_builds_anew ()
{
    local first
    first=$(when_built)
    expect "with the cache" "$(when_built)" "$first"
    [ "$(when_built --no-cache)" != "$first" ]
}
check "an unchanged step is cached, --no-cache builds it anew" no_cache_builds_anew

pull_takes_the_new_base ()
{
    local folder moving=$REGISTRY/moving:1 step
    for step in one two; do
        folder=$(context moving <<END
FROM %BASE%
RUN echo $step > /step
END
        )
        run 0 farmctl submit -q -t "$moving" "$folder"
        folder=$(context on-moving <<END
FROM $moving
END
        )
        run 0 farmctl submit -q --pull -t "$REGISTRY/options:pull" "$folder"
        published pull
        expect "the base image" "$(store_file step)" $step
    done
}
check "--pull takes a base image that has moved" pull_takes_the_new_base

other_file ()
{
    mkdir -p "$work/elsewhere" "$stages/sub"
    printf 'FROM %s\nRUN echo elsewhere > /which\n' "$base" | tee "$stages/sub/Other" > "$work/elsewhere/Own"
    run 0 farmctl submit -q -f "$stages/sub/Other" -t "$REGISTRY/options:f1" "$stages"
    run 0 farmctl submit -q -f "$work/elsewhere/Own" -t "$REGISTRY/options:f2" "$stages"
    published f2
    expect "which Dockerfile" "$(store_file which)" elsewhere
    farmctl submit -q -f - -t "$REGISTRY/options:f3" "$stages" < "$work/elsewhere/Own"
}
check "-f names a Dockerfile in the context, outside of it, or standard input" other_file

argument_of_environment ()
{
    GREETING=ahoy run 0 farmctl submit -q --build-arg GREETING -t "$REGISTRY/options:environment" "$hello"
    published environment
    expect "the argument" "$(store_file app/argument.txt)" ahoy
}
check "--build-arg NAME takes its value from the environment" argument_of_environment

quiet_says_one_line ()
{
    run 0 farmctl submit -q --push -t "$REGISTRY/options:quiet" "$hello"
    grep -qE '^sha256:[0-9a-f]{64}$' "$work/out"
    expect "lines on standard output" "$(wc -l < "$work/out")" 1
    expect "what stands on standard error" "$(cat "$work/err")" ""
}
check "-q prints the digest and nothing else" quiet_says_one_line

detached_and_waited_for ()
{
    local id digest
    id=$(farmctl submit -q --detach -t "$REGISTRY/options:detach" "$hello")
    [[ $id =~ ^[0-9]+$ ]]
    digest=$(farmctl wait -q "$id")
    expect "the digest" "$(field "$id" .digest)" "$digest"
    run 0 farmctl wait "$id"
    expect "the digest again" "$(cat "$work/out")" "$digest"
}
check "--detach prints the build's number, wait its digest" detached_and_waited_for

# -- --json ------------------------------------------------------------------------------------------------------------

documents_fit ()
{
    local id
    farmctl submit --json --detach -t "$REGISTRY/json:1" "$hello" > "$work/submitted"
    expect_json submitted < "$work/submitted"
    id=$(jq .build "$work/submitted")
    farmctl wait --json "$id" | expect_json build
    farmctl submit --json -t "$REGISTRY/json:2" "$hello" | expect_json build
    farmctl inspect --json "$id" | expect_json build
    farmctl ls --json | expect_json builds
    farmctl logs --json "$id" | tee "$work/logs" | expect_json logs
    jq -e '[.lines[].text] | any (startswith ("STEP 1/"))' "$work/logs"
    farmctl worker ls --json | expect_json workers
    farmctl du --json | expect_json depot
    farmctl version --json | expect_json version
    farmctl imagetools inspect --json "$REGISTRY/json:1" | expect_json image
    FARM_CONFIG=$work/joined/farmctl.conf farmctl join --json "$(cat "$farm/coordinator/join")" --name flow-json | expect_json joined
}
check "--json of every verb is as schema/output.json says" documents_fit

errors_fit ()
{
    local id
    id=$(submit_detached --platform "$native" -t "$REGISTRY/json:3" "$(slow_context json-slow 60)")
    farmctl cancel --json "$id" | expect_json build
    run 2 farmctl cancel --json "$id"
    expect_json error < "$work/out"
    run 2 farmctl inspect --json 999999
    expect_json error < "$work/out"
    run 3 farmctl wait --json "$id"
    expect_json error < "$work/out"
    jq -e '.build.state == "cancelled"' "$work/out"
}
check "--json of an error too" errors_fit

took='[0-9][0-9. min]* m?s'
people_can_read ()
{
    run 0 farmctl ls
    expect_text "$work/out" "published" "$native"
    run 0 farmctl worker ls
    expect_text "$work/out" "worker-$native_name" "$native"
    run 0 farmctl inspect 1
    expect_text "$work/out" "published" "      pushed $(field 1 '.jobs[0].attempts[0].digest')"
    grep -qE "^      queued $took, fetching $took, building $took, pushing $took, verifying $took, all $took\$" "$work/out"
    run 0 farmctl logs 1
    expect_text "$work/out" "STEP 1/"
    run 0 farmctl logs -f --platform "$native" 1
    run 0 farmctl du
    run 0 farmctl version
}
check "the same verbs for people" people_can_read

emulation_is_said ()
{
    need_both
    run 0 farmctl worker ls
    expect_text "$work/out" "$foreign (emulated)"
    run 0 farmctl wait 1
    grep -qE "^$native *done sha256:" "$work/err"
    grep -qE "^$foreign *done \(emulated\) sha256:" "$work/err"
    run 0 farmctl inspect 1
    expect_text "$work/out" "attempt 1 on worker-$foreign_name (emulated): done"
    run 0 farmctl logs 1
    expect_text "$work/out" "worker-$foreign_name builds $foreign (emulated) with" "worker-$native_name builds $native with"
}
check "the result and the logs say which job was emulated" emulation_is_said

farm_end
