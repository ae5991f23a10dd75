#!/bin/bash
# retention.sh - what is kept, and what goes: prune says before what it takes away, why other things stay, and what was removed is named.
. "${top_srcdir:-.}/tests/lib/farm.sh"
farm_up

# restart_with LINE…: the coordinator with these settings beside its own
cp "$farm/coordinator.conf" "$work/coordinator.conf"
restart_with ()
{
    devfarm stop coordinator
    { cat "$work/coordinator.conf"; printf '%s\n' "$@"; } > "$farm/coordinator.conf"
    devfarm start coordinator
    wait_for 20 farm_is_up
}

small_build ()
{
    local folder
    folder=$(context "$1" <<< $'FROM %BASE%\nCOPY . /here\nRUN echo "said by it"')
    echo "$1" > "$folder/own"
    head -c 300000 /dev/urandom > "$folder/big"
    farmctl submit --platform "$native" -t "$REGISTRY/kept/app:1" "$folder" 2> "$work/$1.log"
    sed -n 's/^build \([0-9]*\) queued.*/\1/p' "$work/$1.log" > "$work/$1.id"
}

id_of ()
{
    cat "$work/$1.id"
}

prune_json ()
{
    farmctl prune --json "$@" > "$work/pruned.json"
    expect_json pruned < "$work/pruned.json"
    jq -c 'del (.dry_run, .young_until_ms)' "$work/pruned.json"
}

stored ()
{
    farmctl du --json | jq -c '[.objects, .bytes]'
}

fresh_things_stay ()
{
    small_build one
    small_build two
    small_build three
    cp "$farm/coordinator.conf" "$work/coordinator.conf"        # with its ports
    run 0 farmctl prune --dry-run
    expect "a dry prune of what is kept" "$(cat "$work/out")" "nothing would be taken away"
    run 0 farmctl prune
    expect "a prune of what is kept" "$(cat "$work/out")" "nothing was taken away"
    restart_with retention '    context-ms = 1'
    run 0 farmctl prune
    expect_text "$work/out" "nothing was taken away"
    expect_text "$work/out" "more that no build needs"
    expect_text "$work/out" "stay for now"
}
check "prune takes nothing that is kept or too young, and says why" fresh_things_stay

dry_is_exact ()
{
    local before after would did
    restart_with retention '    context-ms = 1' '    build-ms = 1' depot '    grace-ms = 1'
    small_build fourth                  # takes the tag from the third; the others were forgotten at the start
    before=$(stored)
    would=$(prune_json --dry-run)
    expect "stored after a dry prune" "$(stored)" "$before"
    run 2 farmctl inspect "$(id_of one)"
    run 0 farmctl inspect "$(id_of three)"
    expect "builds" "$(jq .builds "$work/pruned.json")" 1
    expect "logs" "$(jq .logs "$work/pruned.json")" 1
    expect "contexts" "$(jq .contexts "$work/pruned.json")" 4
    did=$(prune_json)
    expect "what went, beside what would" "$did" "$would"
    after=$(stored)
    expect "the difference of what is stored" \
        "$(jq -cn --argjson a "$before" --argjson b "$after" '[$a [0] - $b [0], $a [1] - $b [1]]')" \
        "$(jq -c '[.objects, .bytes]' "$work/pruned.json")"
    expect "a second prune" "$(prune_json | jq -c '[.builds, .logs, .contexts, .objects]')" "[0,0,0,0]"
    run 2 farmctl inspect "$(id_of three)"
    run 0 farmctl inspect "$(id_of fourth)"
    expect "logs that are left" "$(find "$farm/coordinator/logs" -name '*.log' | wc -l)" 1
}
check "a prune takes just what a dry one said before" dry_is_exact

by_size ()
{
    restart_with retention '    context-total = 400K' depot '    grace-ms = 1'
    small_build older
    small_build newer
    prune_json --dry-run > "$work/would"
    expect "contexts" "$(jq .contexts "$work/pruned.json")" 1
    expect "what went" "$(prune_json)" "$(cat "$work/would")"
    run 2 farmctl retry --detach "$(id_of older)"
    run 0 farmctl retry -q "$(id_of newer)"
}
check "above its size the depot forgets the context of the oldest build" by_size

removed_logs ()
{
    local id
    id=$(id_of newer)
    run 0 farmctl logs "$id"
    expect_text "$work/out" "said by it"
    restart_with retention '    log-total = 1'
    run 0 farmctl prune
    run 2 farmctl logs "$id"
    expect_text "$work/err" "was removed on $(date +%Y-)"
    farmctl inspect "$id" > "$work/shown"
    expect_text "$work/shown" "its log was removed"
    run 2 farmctl logs -f "$id"
    expect_text "$work/err" "was removed on"
    expect "when" "$(farmctl inspect "$id" --json | jq '.jobs [0].attempts [0].log_removed_ms > 0')" true
}
check "a log that was removed is named, with the date" removed_logs

farm_end
