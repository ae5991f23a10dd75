#!/bin/bash
# credentials.sh - the registry's password: used by the push, seen by nobody else.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/registries.sh"
farm_up
registry_with_login_start
coordinator_has_login
farm_set coordinator log/level debug
farm_set "worker-$native_name" log/level debug
farm_trust "$LOGIN_REGISTRY"

# The step shows all that a RUN step can see of environments and command lines, its own and others'.
curious=$(context curious <<'END'
FROM %BASE%
RUN env; cat /proc/self/environ | tr '\0' '\n'; for p in /proc/[0-9]*; do tr '\0' ' ' < $p/environ; tr '\0' ' ' < $p/cmdline; done 2> /dev/null; find / -xdev -name 'auth.json' -o -xdev -name 'config.json' | head; echo "curious begins"; sleep 3
END
)

pushed_with_login ()
{
    local id seen
    background curious farmctl submit --platform "$native" -t "$LOGIN_REGISTRY/team/app:1" -t "$LOGIN_REGISTRY/other/app:2" "$curious"
    wait_for 20 grep -q "^build [0-9]* queued" "$work/curious.log"
    id=$(sed -n 's/^build \([0-9]*\) queued/\1/p' "$work/curious.log")
    wait_said "$id" "curious begins"
    # What processes of this machine show meanwhile, beside the registry's and this test's
    for seen in /proc/[0-9]*; do
        { tr '\0' '\n' < "$seen/environ"; tr '\0' '\n' < "$seen/cmdline"; } 2> /dev/null
    done | grep -F -f "$work/secrets" > "$work/seen" || true
    expect "the password in environments and command lines" "$(cat "$work/seen")" ""
    background_ends curious 0
    curl -sSf -u "ann:$LOGIN_PASSWORD" -H 'Accept: application/vnd.oci.image.index.v1+json' "http://$LOGIN_REGISTRY/v2/team/app/manifests/1" > "$work/one"
    curl -sSf -u "ann:$LOGIN_PASSWORD" -H 'Accept: application/vnd.oci.image.index.v1+json' "http://$LOGIN_REGISTRY/v2/other/app/manifests/2" | cmp - "$work/one"
    echo "$id" > "$work/id"
}
check "the push uses the credential of the coordinator's config.json" pushed_with_login

nowhere_in ()
{
    [ -s "$work/id" ]
    devfarm stop coordinator        # all is on disk
    devfarm start coordinator
    wait_for 20 farm_is_up
    local found
    found=$(grep -rlaF -f "$work/secrets" "$@" || true)
    expect "files with the password" "$found" ""
}
check "it is in no file, database or log of the workers" nowhere_in "$farm/worker-$native_name" "$farm/worker-$native_name.log"
check "nor in one of the coordinator" nowhere_in "$farm/coordinator" "$farm/coordinator.log"

not_in_a_step ()
{
    [ -s "$work/id" ]
    farmctl logs "$(cat "$work/id")" > "$work/step.log"
    expect_text "$work/step.log" "curious begins"
    expect_no_text "$work/step.log" "$LOGIN_PASSWORD"
    expect_no_text "$work/step.log" "$LOGIN_BASE64"
    expect_no_text "$work/step.log" "/auth.json"
}
check "nor does a RUN step see it" not_in_a_step

wrong_password ()
{
    printf '{"auths": {"%s": {"auth": "%s"}}}\n' "$LOGIN_REGISTRY" "$(printf 'ann:wrong' | base64)" > "$work/config.json"
    run 5 timeout 60 farmctl submit --platform "$native" -t "$LOGIN_REGISTRY/team/app:3" "$(context next <<< $'FROM %BASE%\nRUN true')"
    expect_text "$work/err" "$LOGIN_REGISTRY" "refuses the user and password in $work/config.json" "docker login $LOGIN_REGISTRY" "nothing was published"
    expect "code" "$(farmctl ls --json | jq -r '.builds[0].code')" registry-denied
}
check "a wrong password: exit code 5, at once" wrong_password

imagetools_logs_in ()
{
    run 5 farmctl imagetools inspect "$LOGIN_REGISTRY/team/app:1"
    printf '{"auths": {"%s": {"auth": "%s"}}}\n' "$LOGIN_REGISTRY" "$LOGIN_BASE64" > "$work/mine.json"
    run 0 farmctl imagetools inspect "$LOGIN_REGISTRY/team/app:1" "--registry-auth-file=$work/mine.json" "--registry-plain-http=$LOGIN_REGISTRY"
    expect_text "$work/out" "$native"
}
check "imagetools inspect uses the user's own" imagetools_logs_in

farm_end
