#!/bin/bash
# restore.sh - a context that was damaged on the coordinator's disk comes back from the worker that has it.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/images.sh"
farm_up

# flip FILE [PROGRAM FOLDER]: one bit of its content, wherever that program's depot (the coordinator's) has it. Noise is stored as
# it is.
flip ()
{
    devfarm stop "${2:-coordinator}"
    python3 - "$1" "$farm/${3:-coordinator/depot}" <<'END'
import pathlib, sys
content, found = pathlib.Path(sys.argv[1]).read_bytes(), 0
for at in range(0, len(content) - 32, 32):          # a page of the store may part it
    for path in pathlib.Path(sys.argv[2]).rglob('*'):
        data = path.read_bytes() if path.is_file() else b''
        place = data.find(content[at:at + 32])
        if place >= 0:
            with open(path, 'r+b') as file:
                file.seek(place)
                file.write(bytes([data[place] ^ 1]))
            found += 1
    if found:
        sys.exit(0)
sys.exit('the content is not in the depot')
END
    devfarm start "${2:-coordinator}"
}

# noise NAME: a context that a file of noise is copied from, and that file beside folders
noise ()
{
    local folder
    folder=$(context "$1" <<< $'FROM %BASE%\nCOPY files /made')
    mkdir -p "$folder/files/deep/er"
    head -c 5000 /dev/urandom > "$folder/files/deep/er/noise"
    date > "$folder/files/beside"
    echo "$folder"
}

comes_back ()
{
    local folder id
    folder=$(noise app)
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/app:1" "$folder"
    worker_add fresh
    flip "$folder/files/deep/er/noise"
    wait_for 20 has_worker fresh
    wait_for 20 has_worker "worker-$native_name"
    run 0 farmctl worker pause "worker-$native_name"
    id=$(submit_detached --platform "$native" --no-result-cache -t "$REGISTRY/app:2" "$folder")
    wait_state "$id" published
    expect "the worker that built it" "$(field "$id" '.jobs[0].worker')" fresh
    expect "attempts" "$(field "$id" '.jobs[0].attempts | length')" 2
    store_pull "$native" "$REGISTRY/app:2"
    store_file made/deep/er/noise | cmp - "$folder/files/deep/er/noise"
    expect_text "$farm/coordinator.log" "came back from worker-$native_name"
}
check "a damaged context comes back from a worker's cache, and is built by another" comes_back

nobody_has_it ()
{
    local folder id
    folder=$(noise lonely)
    run 0 farmctl worker pause fresh
    id=$(submit_detached --platform "$native" -t "$REGISTRY/lonely:1" "$folder")
    flip "$folder/files/deep/er/noise"
    run 0 farmctl worker resume fresh
    wait_state "$id" failed
    expect "code" "$(field "$id" .code)" farm
    field "$id" .reason > "$work/reason"
    expect_text "$work/reason" "no worker that is online has it: submit again"
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/lonely:1" "$folder"
}
check "what no worker has fails, and can be submitted again" nobody_has_it

sent_again ()
{
    local folder id
    folder=$(noise again)
    run 0 farmctl worker pause fresh
    run 0 farmctl worker pause "worker-$native_name"
    id=$(submit_detached --platform "$native" -t "$REGISTRY/again:1" "$folder")
    flip "$folder/files/deep/er/noise"
    run 0 farmctl submit --detach --platform "$native" -t "$REGISTRY/again:2" "$folder"
    run 0 farmctl worker resume fresh
    wait_state "$id" failed
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/again:3" "$folder"
}
check "so does one that was submitted again before the damage was seen" sent_again

cache_is_mended ()
{
    local folder id worker=worker-$native_name
    folder=$(noise mended)
    run 0 farmctl worker resume "$worker"
    run 0 farmctl worker pause fresh
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/mended:1" "$folder"
    flip "$folder/files/deep/er/noise" "$worker" "$worker/cache"
    rm -rf "$farm/$worker/checkouts/"*          # a checkout that was kept would not have to be read
    wait_for 60 is_connected "$worker"
    id=$(submit_detached --platform "$native" --no-result-cache -t "$REGISTRY/mended:2" "$folder")
    wait_state "$id" published
    expect "attempts" "$(field "$id" '.jobs[0].attempts | length')" 1
    store_pull "$native" "$REGISTRY/mended:2"
    store_file made/deep/er/noise | cmp - "$folder/files/deep/er/noise"
    expect_text "$farm/$worker.log" "was damaged"
}
check "what a worker's cache lost is fetched again in the same attempt" cache_is_mended

farm_end
