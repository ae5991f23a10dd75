#!/bin/bash
# tokens.sh - a registry over TLS with a token service: workers get tokens for what an attempt needs, and never see the password.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/registries.sh"
farm_up
registry_with_tokens_start
login=$(printf 'ann:s3' | base64)
printf '{"auths": {"%s": {"auth": "%s"}}}\n' "$TOKEN_REGISTRY" "$login" > "$work/config.json"
chmod 600 "$work/config.json"
farm_set coordinator registry/auth-file "$work/config.json"
for name in coordinator worker-amd64 worker-arm64; do
    [ -e "$farm/$name.pid" ] || continue
    devfarm stop "$name"
    farm_set "$name" registry/certs "$work/certs.d"
    devfarm start "$name"
done > "$work/restart.log" 2>&1
mkdir "$work/tls-client"
cp "$work/tls/ca.crt" "$work/tls-client/"
skopeo --insecure-policy copy -q --src-tls-verify=false --dest-cert-dir "$work/tls-client" --dest-creds ann:s3 "docker://$base" \
    "docker://$TOKEN_REGISTRY/private/base:1" > "$work/skopeo.log" 2>&1 || skip_all "skopeo cannot push to the registry: $(tail -n 1 "$work/skopeo.log")"
: > "$work/tls/token.log"
wait_for 60 has_worker "worker-$native_name"

with_private_base ()
{
    mkdir -p "$work/$1"
    printf 'FROM %s/private/base:1\nRUN echo %s > /name\n' "$TOKEN_REGISTRY" "$1" > "$work/$1/Dockerfile"
    echo "$work/$1"
}

token_of ()
{
    curl -sSf --cacert "$work/tls/ca.crt" -u ann:s3 "$(sed -n "s|.*realm: '\([^']*\)'.*|\1|p" "$work/tokens.yml")?service=farm-test&scope=repository:$1:pull" | jq -r .token
}

manifest_of ()
{
    curl -sSf --cacert "$work/tls/ca.crt" -H "Authorization: Bearer $(token_of "$1")" -H 'Accept: application/vnd.oci.image.index.v1+json' \
        "https://$TOKEN_REGISTRY/v2/$1/manifests/$2"
}

builds_from_a_private_base ()
{
    run 0 farmctl submit --platform "$native" -t "$TOKEN_REGISTRY/team/app:1" "$(with_private_base first)"
    expect "digest under the tag" "sha256:$(manifest_of team/app 1 | sha256sum | cut -d ' ' -f 1)" "$(cat "$work/out")"
}
check "a private base image is read, and the result pushed" builds_from_a_private_base

narrow_scopes ()
{
    expect_text "$work/tls/token.log" "repository:team/app:pull,push" "repository:private/base:pull"
    expect "to push asked for elsewhere" "$(grep push "$work/tls/token.log" | sort -u)" "repository:team/app:pull,push"
}
check "tokens are asked for the one repository to push to, and to read the base" narrow_scopes

never_sees_the_password ()
{
    [ -s "$work/out" ]
    expect "the worker's memory has its name" "$(memory_of "$(farm_pid "worker-$native_name")" "worker-$native_name")" "worker-$native_name"
    expect "the worker's memory has the password" "$(memory_of "$(farm_pid "worker-$native_name")" "$login")" ""
    expect "files of the worker with it" "$(grep -rlaF "$login" "$farm/worker-$native_name" "$farm/worker-$native_name.log" "$farm/coordinator" "$farm/coordinator.log" || true)" ""
}
check "no worker has the password, not even in its memory" never_sees_the_password

# Before it sends a layer of its own the worker asks for it: the registry notes that it is not there, and with which token it was asked.
token_of_the_push ()
{
    tail -n +"$mark" "$work/token-registry.log" | grep 'blob unknown.*http.request.method=HEAD .*/v2/team/slow/blobs/' | grep -o 'auth.user.name=token-[0-9]*' | head -n 1 | cut -d = -f 2
}

# The base is in the repository that is pushed to, so the pull has a token of the same scope, which the coordinator asks for only for the worker, and to publish
# at last. The step takes longer than that is good for.
renewed ()
{
    local folder first second
    skopeo --insecure-policy copy -q --src-tls-verify=false --dest-cert-dir "$work/tls-client" --dest-creds ann:s3 "docker://$base" "docker://$TOKEN_REGISTRY/team/slow:base"
    folder=$(context slow <<< "FROM $TOKEN_REGISTRY/team/slow:base"$'\nRUN sleep 8; date > /late')
    echo 6 > "$work/tls/seconds"
    : > "$work/tls/given.log"
    mark=$(wc -l < "$work/token-registry.log")
    run 0 farmctl submit --platform "$native" -t "$TOKEN_REGISTRY/team/slow:1" "$folder"
    rm "$work/tls/seconds"
    expect "attempts" "$(field "$(farmctl ls --limit 1 --json | jq '.builds[0].id')" '.jobs[0].attempts | length')" 1
    grep repository:team/slow:pull,push "$work/tls/given.log" > "$work/given"
    first=$(head -n 1 "$work/given") second=$(grep -w "$(token_of_the_push)" "$work/given")
    echo "first: $first; of the push: $second"
    [ $(($(cut -d ' ' -f 2 <<< "$second") - $(cut -d ' ' -f 2 <<< "$first"))) -ge 6 ]
}
check "a token that expires while a step runs is renewed for the push" renewed

staged ()
{
    devfarm stop coordinator
    farm_set coordinator registry/staging staging
    devfarm start coordinator
    wait_for 60 has_worker "worker-$native_name"
    : > "$work/tls/token.log"
    run 0 farmctl submit --platform "$native" -t "$TOKEN_REGISTRY/team/app:2" "$(with_private_base second)"
    expect "digest under the tag" "sha256:$(manifest_of team/app 2 | sha256sum | cut -d ' ' -f 1)" "$(cat "$work/out")"
    manifest_of staging/team/app "$(cat "$work/out")" > "$work/staged"
    # The worker was there before anything was asked for the released repository
    expect_text "$work/tls/token.log" "repository:staging/team/app:pull,push"
    grep -n push "$work/tls/token.log" | head -n 1 | grep -q staging
}
check "with registry/staging workers push there, and the coordinator copies" staged

staged_again ()
{
    run 0 farmctl submit --platform "$native" -t "$TOKEN_REGISTRY/team/app:3" "$work/second"
    expect_text "$work/err" "unchanged, from build"
    expect "digest under the tag" "sha256:$(manifest_of team/app 3 | sha256sum | cut -d ' ' -f 1)" "$(cat "$work/out")"
}
check "and what was built before is found there" staged_again

# begins_push REPOSITORY < TOKENS: what the registry says to each, once
begins_push ()
{
    local token
    while read -r token; do
        curl -sS --cacert "$work/tls/ca.crt" -H "Authorization: Bearer $token" -X POST -o /dev/null -w '%{http_code}\n' "https://$TOKEN_REGISTRY/v2/$1/blobs/uploads/"
    done | sort -u
}

# The base is in the repository that is pushed to, so the worker has the token for that while the step runs.
no_right_on_the_released ()
{
    local folder build
    skopeo --insecure-policy copy -q --src-tls-verify=false --dest-cert-dir "$work/tls-client" --dest-creds ann:s3 "docker://$base" \
        "docker://$TOKEN_REGISTRY/staging/team/held:base"
    folder=$(context held <<< "FROM $TOKEN_REGISTRY/staging/team/held:base"$'\nRUN echo "slow begins"; sleep 600')
    build=$(submit_detached --no-cache --platform "$native" -t "$TOKEN_REGISTRY/team/held:1" "$folder")
    wait_said "$build" 'slow begins'
    memory_of "$(farm_pid "worker-$native_name")" 'eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+' > "$work/held-tokens"
    farmctl cancel "$build" > "$work/out"
    begins_push staging/team/held < "$work/held-tokens" > "$work/said"
    expect_text "$work/said" 202
    expect "the released repository says" "$(begins_push team/held < "$work/held-tokens")" 401
}
check "what a worker has in its memory pushes to the staging folder, and not beyond" no_right_on_the_released

# nosy_worker SETTING VALUE… < COMMANDS: the worker starts again, with a builder that does these before it builds: `ask METHOD PATH` asks the door, as if it were the worker
nosy_worker ()
{
    cat > "$work/nosy-buildah" <<END
#!/bin/bash
ask () { curl -s --noproxy '*' -H "Authorization: Basic \$login" -H 'Accept: application/vnd.oci.image.manifest.v1+json' -X "\$1" -w "\\n%{http_code} to \$1 \$2\\n" "http://\$door/v2/${TOKEN_REGISTRY/:/__}/\$2" >&2; }
if [[ " \$* " = *" build "* ]]; then
    read -r door login <<< "\$(sed 's/.*{"\(.*\)": {"auth": "\(.*\)".*/\1 \2/' "\$(sed 's/.*--authfile=\([^ ]*\) .*/\1/' <<< "\$*")")"
    $(cat)
fi
exec buildah "\$@"
END
    chmod +x "$work/nosy-buildah"
    devfarm stop "worker-$native_name"
    farm_set "worker-$native_name" builder/program "$work/nosy-buildah"
    while [ $# -gt 0 ]; do
        farm_set "worker-$native_name" "$1" "$2"
        shift 2
    done
    devfarm start "worker-$native_name"
}

# It begins to push, to the staging folder and to where the image is to be released.
pushes_past_the_staging_folder ()
{
    nosy_worker <<< 'ask POST staging/team/hasty/blobs/uploads/; ask POST team/hasty/blobs/uploads/'
    run 0 farmctl submit --no-cache --platform "$native" -t "$TOKEN_REGISTRY/team/hasty:1" "$(with_private_base hasty)"
    farmctl logs "$(farmctl ls --limit 1 --json | jq '.builds[0].id')" > "$work/said"
    expect_text "$work/said" "202 to POST staging/team/hasty/" "403 to POST team/hasty/" "this attempt may only write to $TOKEN_REGISTRY/staging/team/hasty"
}
check "the worker's door lets no push to the released repository through" pushes_past_the_staging_folder

# The door of a worker that lies lets through what its own settings say; the coordinator gives nothing for what the build does not name.
is_audited ()
{
    farmctl audit show --json | jq -e --arg text "$1" '[.rows[] | select (.act == "want-token" and .outcome == "denied" and (.detail | contains ($text)))] | length > 0' > /dev/null
}

asks_for_another_image ()
{
    run 0 farmctl submit --no-cache --platform "$native" -t "$TOKEN_REGISTRY/team/liar:1" "$(with_private_base liar)"
    farmctl logs "$(farmctl ls --limit 1 --json | jq '.builds[0].id')" > "$work/said"
    expect_text "$work/said" "200 to GET private/base/manifests/$digest" "$1 to GET private/secret/manifests/$digest"
}

reads_another_private_image ()
{
    local digest
    skopeo --insecure-policy copy -q --src-tls-verify=false --dest-cert-dir "$work/tls-client" --dest-creds ann:s3 "docker://$base" "docker://$TOKEN_REGISTRY/private/secret:1"
    digest=sha256:$(skopeo inspect --raw --cert-dir "$work/tls-client" --creds ann:s3 "docker://$TOKEN_REGISTRY/private/secret:1" | sha256sum | cut -d ' ' -f 1)
    nosy_worker registry/bases "$TOKEN_REGISTRY/*" <<< "ask GET private/base/manifests/$digest; ask GET private/secret/manifests/$digest"
    : > "$work/tls/token.log"
    asks_for_another_image 403
    expect_text "$work/said" "$TOKEN_REGISTRY/private/secret is no base image" "registry/bases of the coordinator"
    expect_no_text "$work/tls/token.log" private/secret
    expect_text "$work/tls/token.log" repository:private/base:pull
    wait_for 10 is_audited "$TOKEN_REGISTRY/private/secret is no base image"
    coordinator_restart registry/bases "$TOKEN_REGISTRY/private/sec*"
    asks_for_another_image 200
}
check "a worker gets no token for an image that the build does not name, but where the coordinator's settings list it" reads_another_private_image

unknown_to_the_coordinator ()
{
    local folder
    folder=$(context unknown <<< "FROM \${NO_SUCH_ARG:-$TOKEN_REGISTRY/private/base:1}"$'\nRUN date > /unknown')
    run 5 farmctl submit --platform "$native" -t "$TOKEN_REGISTRY/team/unknown:1" "$folder"
    expect_text "$work/err" "$TOKEN_REGISTRY/private/base is no base image" "registry/bases of the coordinator"
    coordinator_restart registry/bases "$TOKEN_REGISTRY/private/base"
    run 0 farmctl submit --platform "$native" -t "$TOKEN_REGISTRY/team/unknown:1" "$folder"
}
check "nor for one whose name only the builder can tell, but there" unknown_to_the_coordinator

farm_end
