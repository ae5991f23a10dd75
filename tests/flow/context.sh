#!/bin/bash
# context.sh - what of a context is sent, and that it arrives as it was.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/images.sh"
. "$top_srcdir/tests/lib/registries.sh"
farm_up

counter ()
{
    farmctl du --json | jq ".$1"
}

# received COMMAND...: the content that the depot received through it, in bytes
received ()
{
    local before
    before=$(counter received_bytes)
    "$@" > "$work/received" 2>&1 || { cat "$work/received"; return 1; }
    echo $(($(counter received_bytes) - before))
}

# -- sent once ---------------------------------------------------------------------------------------------------------

big=$(context big <<'END'
FROM %BASE%
COPY files /files
END
)
mkdir -p "$big/files/deep/er"
head -c 3000000 /dev/urandom > "$big/files/three"
for i in $(seq 100); do head -c 5000 /dev/urandom > "$big/files/deep/er/$i"; done

submit_big ()
{
    farmctl submit -q -t "$REGISTRY/big:${1:-1}" "$big"
}

first_is_sent ()
{
    local bytes
    bytes=$(received submit_big)
    [ "$bytes" -ge 3500000 ] && [ "$bytes" -lt 3600000 ] || { echo "received $bytes bytes of 3.5 MB"; return 1; }
}
check "the first submit sends the context" first_is_sent

second_sends_nothing ()
{
    expect "bytes received for an unchanged context" "$(received submit_big 2)" 0
    has_tag big 2
    rm -rf "$XDG_CACHE_HOME"
    expect "bytes received without farmctl's cache" "$(received submit_big 3)" 0
    cp -a "$big" "$work/copy"
    expect "bytes received from a copy" "$(received farmctl submit -q -t "$REGISTRY/big:4" "$work/copy")" 0
}
check "an unchanged context sends no content" second_sends_nothing

change_sends_the_change ()
{
    local bytes
    printf x | dd of="$big/files/three" bs=1 seek=1500000 conv=notrunc status=none
    bytes=$(received submit_big 5)
    [ "$bytes" -gt 0 ] && [ "$bytes" -lt 600000 ] || { echo "received $bytes bytes for one that changed"; return 1; }
    touch "$big/files/deep/er/7"
    bytes=$(received submit_big 6)
    [ "$bytes" -gt 0 ] && [ "$bytes" -lt 12000 ] || { echo "received $bytes bytes for a time that changed"; return 1; }
    store_pull "$native" "$REGISTRY/big:6"
    store_file files/three | cmp - "$big/files/three"
}
check "a change sends the chunks that changed" change_sends_the_change

# farmctl has noted that the tree was sent, so it is not asked about: the submit is refused, and the tree is sent again.
lost_is_sent_again ()
{
    local bytes
    submit_big 7
    farm_kill coordinator
    rm -rf "$farm"/coordinator/depot*
    devfarm up
    bytes=$(received farmctl submit -t "$REGISTRY/big:8" "$big")
    [ "$bytes" -ge 3500000 ] || { echo "received $bytes bytes of what was lost"; return 1; }
    expect_text "$work/received" "the coordinator did not have all of it: sent 1" "objects, 3.5 MB in"
    has_tag big 8
}
check "what the coordinator has lost is sent again" lost_is_sent_again

# -- as it was ---------------------------------------------------------------------------------------------------------

as_it_was ()
{
    local folder mounted
    folder=$(context faithful <<< $'FROM %BASE%\nCOPY tree /tree')
    mkdir -p "$folder/tree/empty" "$folder/tree/closed" "$folder/tree/deep/$(printf 'd/%.0s' $(seq 60))"
    : > "$folder/tree/nothing"
    printf '#!/bin/sh\n' > "$folder/tree/program"
    chmod 755 "$folder/tree/program"
    echo secret > "$folder/tree/closed/secret"
    chmod 600 "$folder/tree/closed/secret"
    chmod 700 "$folder/tree/closed"
    ln -s program "$folder/tree/link"
    ln -s /etc/../nowhere "$folder/tree/dangling"
    ln -s ../.. "$folder/tree/up"
    ln -s empty "$folder/tree/to-folder"
    echo a > "$folder/tree/two words"
    echo b > "$folder/tree/größe"
    echo c > "$folder/tree/"$'odd\n\tname\\'
    echo d > "$folder/tree/"$'\xff\xfe'
    echo e > "$folder/tree/-rf"
    truncate -s 1000000 "$folder/tree/sparse"
    # An image keeps whole seconds, and none before 1970.
    find "$folder/tree" -exec touch -h -d '2019-10-11 12:13:14' {} +
    touch -d '2001-02-03 04:05:06' "$folder/tree/program" "$folder/tree/nothing"
    touch -d '2038-01-19 03:14:09 UTC' "$folder/tree/two words"
    run 0 farmctl submit -q -t "$REGISTRY/faithful:1" "$folder"
    store_pull "$native" "$REGISTRY/faithful:1"
    mounted=$(store mount probe)
    listed ()
    {
        # a folder's size is its file system's affair, its time and a link's COPY's
        (cd "$1/tree" && find . -mindepth 1 \( -type d -printf '%P|d|%m\0' -o -type l -printf '%P|l|%l\0' \
            -o -printf '%P|%y|%m|%s|%Ts\0' \) | sort -z | tr '\0' '\n')
    }
    diff <(listed "$folder") <(listed "$mounted")
    diff -r --no-dereference "$folder/tree" "$mounted/tree"
    store umount probe > /dev/null
}
check "names, links, modes, times, empty folders and contents arrive as they were" as_it_was

# files_of TAG: what COPY . /all brought
files_of ()
{
    local mounted
    store_pull "$native" "$REGISTRY/$1"
    mounted=$(store mount probe)
    (cd "$mounted/all" && find . -mindepth 1 | sort | tr '\n' ' ')
    store umount probe > /dev/null
}

ignoring ()
{
    local folder
    folder=$(context ignoring <<< $'FROM %BASE%\nCOPY . /all')
    mkdir -p "$folder/logs/old" "$folder/src/gen/keep" "$folder/target"
    touch "$folder"/{a.log,logs/b.log,logs/old/c.log,src/main.c,src/gen/x.c,src/gen/keep/y.c,target/binary,README.md,NEWS.md,tmp-1}
    printf '%s\n' '# a comment' '' '**/*.log' '!logs/old/c.log' 'target/' '*.md' '!README.md' 'src/gen' '!src/gen/keep' 'tmp-?' \
        'Dockerfile' '.dockerignore' > "$folder/.dockerignore"
    run 0 farmctl submit -q -t "$REGISTRY/ignoring:1" "$folder"
    expect "files in the image" "$(files_of ignoring:1)" \
        "./README.md ./logs ./logs/old ./logs/old/c.log ./src ./src/gen ./src/gen/keep ./src/gen/keep/y.c ./src/main.c "
}
check ".dockerignore with **, !, trailing slash and comments; Dockerfile left out, but readable" ignoring

own_ignore_file ()
{
    local folder=$work/ignoring
    cp "$folder/Dockerfile" "$folder/Other"
    printf '%s\n' '*' '!NEWS.md' > "$folder/Other.dockerignore"
    run 0 farmctl submit -q -f "$folder/Other" -t "$REGISTRY/ignoring:2" "$folder"
    expect "files in the image" "$(files_of ignoring:2)" "./NEWS.md "
}
check "<Dockerfile>.dockerignore goes before .dockerignore" own_ignore_file

ignored_is_not_sent ()
{
    local folder=$work/ignoring bytes
    head -c 2000000 /dev/urandom > "$folder/target/big"
    bytes=$(received farmctl submit -q -t "$REGISTRY/ignoring:3" "$folder")
    [ "$bytes" -lt 10000 ] || { echo "received $bytes bytes"; return 1; }
    chmod 000 "$folder/target/big"
    python3 -c 'import socket, sys; socket.socket (socket.AF_UNIX).bind (sys.argv [1])' "$folder/target/socket"
    run 0 farmctl submit -q -t "$REGISTRY/ignoring:4" "$folder"
}
check "what is ignored is neither sent nor looked at" ignored_is_not_sent

# -- what cannot be part of it -----------------------------------------------------------------------------------------

refused ()
{
    local folder=$work/special what=$1
    shift
    mkdir -p "$folder/sub"
    printf 'FROM %s\nCOPY sub /sub\n' "$base" > "$folder/Dockerfile"
    "$@" || skip "$1 cannot be made here"
    run 2 farmctl submit -q -t "$REGISTRY/special:1" "$folder"
    expect_text "$work/err" "special/sub/thing is $what" ".dockerignore"
    rm "$folder/sub/thing"
    expect_no_tag special 1
}
make_socket () { python3 -c 'import socket, sys; socket.socket (socket.AF_UNIX).bind (sys.argv [1])' "$work/special/sub/thing"; }
check "a socket in the context" refused "a socket" make_socket
check "a named pipe in the context" refused "a named pipe" mkfifo "$work/special/sub/thing"
check "a device in the context" refused "a device" mknod "$work/special/sub/thing" c 1 3

# -- the next one is a change to the last ------------------------------------------------------------------------------

kept ()
{
    local folder
    folder=$(context kept <<< $'FROM %BASE%\nRUN --mount=type=bind,rw,target=/ctx echo more >> /ctx/sub/a && echo extra > /ctx/sub/extra')
    mkdir "$folder/sub"
    echo one > "$folder/sub/a"
    echo two > "$folder/sub/b"
    run 0 farmctl submit -q -t "$REGISTRY/kept:1" "$folder"
    context kept <<< $'FROM %BASE%\nCOPY sub /all' > /dev/null
    run 0 farmctl submit -q -t "$REGISTRY/kept:2" "$folder"
    expect "files in the image" "$(files_of kept:2)" "./a ./b "
    store_pull "$native" "$REGISTRY/kept:2"
    expect "what a build wrote to" "$(store_file all/a)" one
}
check "what a build wrote into its context is not in the next" kept

# A bit of setuid comes as it is, and on the worker the file is root's. Whoever could reach it could run it.
closed ()
{
    local state=$farm/worker-$native_name place file found
    for place in "$@"; do
        expect "mode and owner of $place" "$(stat -c '%a %u' "$state/$place")" "700 $(id -u)"
        found=$(find "$state/$place" -name tool -perm -4000)
        [ -n "$found" ] || { echo "no file with setuid is below $place"; return 1; }
        for file in $found; do
            if setpriv --reuid 65534 --regid 65534 --clear-groups -- stat "$file" 2> /dev/null; then return 1; fi
        done
    done
}

setuid ()
{
    local folder id
    folder=$(slow_context setuid 60)
    sed -i 's/^COPY stamp.*/COPY stamp tool \//' "$folder/Dockerfile"
    cp "$(type -P true)" "$folder/tool"
    chmod 4755 "$folder/tool"
    id=$(submit_detached --platform "$native" -t "$REGISTRY/setuid:1" "$folder")
    wait_said "$id" "slow begins"
    closed attempts
    run 0 farmctl cancel "$id"
    folder=$(context setuid <<< $'FROM %BASE%\nCOPY tool /tool')
    run 0 farmctl submit -q --platform "$native" -t "$REGISTRY/setuid:2" "$folder"
    closed checkouts
}
check "a setuid file lies where nobody else can reach it, while it is built and while it is kept" setuid

# -- a context that comes to too much -------------------------------------------------------------------------------------

# limited PROGRAM ENTRIES: with another limit
limited ()
{
    devfarm stop "$1"
    farm_set "$1" context/entries "$2"
    devfarm start "$1"
    wait_for 20 has_worker "worker-$native_name"
}

too_many ()
{
    local folder
    folder=$(context many <<< $'FROM %BASE%\nCOPY . /all')
    touch "$folder"/{a,b,c,d,e}
    limited coordinator 6
    run 2 farmctl submit --platform "$native" -t "$REGISTRY/many:1" "$folder"
    expect_text "$work/err" "7 files and folders" "may have 6 (context/entries of the coordinator)" ".dockerignore"
    limited coordinator 1000000
    limited "worker-$native_name" 5
    run 2 farmctl submit --platform "$native" -t "$REGISTRY/many:1" "$folder"
    expect_text "$work/err" "more than 5 files and folders (context/entries of the worker)"
    expect_no_tag many 1
    limited "worker-$native_name" 6
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/many:1" "$folder"
    expect "files in the image" "$(files_of many:1)" "./Dockerfile ./a ./b ./c ./d ./e "
}
check "a context of more files than the coordinator or a worker allows is refused, with the setting's name" too_many

farm_end
