#!/bin/bash
# refused.sh - a user, a viewer and a worker who mean ill, with keys of their own: what they say is refused, one by one, nothing of
# what others have is shown to them, no tag moves, and then an honest build passes. tests/hostile has the tables.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/registries.sh"
. "$top_srcdir/tests/lib/users.sh"
farm_up

# Of the section coordinator, which comes first
setting () { sed -n "s/^ *$1 = \"\([^\"]*\)\"$/\1/p" "$FARM_CONFIG" | head -n 1; }

# What an object is called: BLAKE2b-256 of its bytes
object_of () { b2sum -l 256 "$1" | cut -d ' ' -f 1; }

# What ann has is nobody's business: a running build with an argument, and a file.
scene ()
{
    local folder
    fake_registry_start '{}'
    farm_trust "$FAKE_REGISTRY"
    user_add ann
    user_add mallory
    user_add viktor --role viewer
    mkdir -p "$work/mallet"
    farm-worker join "$(farmctl worker invite mallet 2> "$work/mallet-invite")" -c "$work/mallet/worker.conf" --state="$work/mallet" > "$work/mallet-join"
    folder=$(slow_context ann 600)
    echo CANARY-in-a-file > "$folder/stamp"
    other_build=$(as ann submit -q --detach --platform "$native" --build-arg NOTE=CANARY-argument -t "$REGISTRY/team/ann:1" "$folder")
    wait_said "$other_build" "slow begins"
    run 0 as ann schedule add theirs --cron @yearly --platform "$native" --build-arg NOTE=CANARY-argument -t "$REGISTRY/team/ann:yearly" "$folder"
    run 0 as mallory submit -q --platform "$foreign" --emulation allow -t "$REGISTRY/mallory:1" "$(context mallory <<< $'FROM scratch\nCOPY Dockerfile /')"
    own_build=$(as mallory ls --json | jq '.builds[0].id')
    registry_tags > "$work/tags"
}
scene > "$work/scene" 2>&1 || { echo "Bail out! the scene cannot be set"; tap_diagnose "$work/scene"; exit 1; }

coordinator=$(farm_pid coordinator)

told ()
{
    need_both
    # shellcheck disable=SC2046  # words of the form NAME=HEX
    "$top_builddir/tests/hostile/hostile" "$(setting control)" "$(setting objects)" "$(setting key)" "$FAKE_REGISTRY" CANARY \
        "$work/mallory/farmctl.key" "$work/viktor/farmctl.key" "$work/mallet/worker.key" \
        "$top_srcdir/tests/hostile/messages.txt" "$top_srcdir/tests/hostile/images.txt" \
        BUILD="$own_build" CONTEXT="$(as mallory inspect "$own_build" --json | jq -r .context)" DOCKERFILE="$(object_of "$work/mallory/Dockerfile")" \
        OTHERBUILD="$other_build" OTHERJOB="$(field "$other_build" '.jobs[0].id')" OTHERCONTEXT="$(field "$other_build" .context)" \
        OTHEROBJECT="$(object_of "$work/ann/Dockerfile")" OTHER=ann OTHERWORKER="worker-$native_name" OTHERSCHEDULE=theirs REGISTRY="$FAKE_REGISTRY" ZEROS="$(printf '%064d' 0)" \
        ATTEMPTS="$(yes '{"job":1,"attempt":1}' | head -n 1025 | paste -sd ,)" LETTERS="$(printf '%08193d' 0 | tr 0 x)" $(python3 "$top_srcdir/tests/hostile/trees.py") \
        > "$work/told" || { cat "$work/told"; return 1; }
    cat "$work/told"
}
check "all that they say and push is answered as it should be" told
nothing_moved ()
{
    expect "tags" "$(registry_tags)" "$(cat "$work/tags")"
    expect "the coordinator's process" "$(farm_pid coordinator)" "$coordinator"
    wait_state "$other_build" running 1
    expect "builds of others that are listed" "$(as mallory ls --all --json | jq '[.builds[] | select (.user != "mallory")] | length')" 0
    as ann schedule ls --json > "$work/schedules"
    expect "schedules" "$(jq -c '[.schedules[] | [.name, .user, .state]]' "$work/schedules")" '[["theirs","ann","active"]]'
    ! grep -rl CANARY "$work/mallory" "$work/mallet" "$work/viktor" || return
}
check "no tag has moved, the coordinator is the same, and the other's build goes on" nothing_moved

honest ()
{
    run 0 as ann cancel "$other_build"
    run 0 as ann submit -q --platform "$native" --verify deep -t "$REGISTRY/team/ann:2" "$(context honest <<< 'FROM %BASE%')"
    has_tag team/ann 2
}
check "an honest build passes" honest

farm_end
