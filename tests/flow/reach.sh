#!/bin/bash
# reach.sh - what no instruction of a Dockerfile reads is not sent, and the image is the same.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/images.sh"
farm_up

# submit NAME OPTIONS…: builds $work/NAME anew, as $REGISTRY/NAME:1
submit ()
{
    local name=$1
    shift
    farmctl submit --no-cache --no-result-cache -t "$REGISTRY/$name:1" "$@" "$work/$name"
}

# files_of NAME: what the image has but the base has not: kind, mode, owner, time, size, target; and a sum of each file's content
files_of ()
{
    local mounted
    store_pull "$native" "$REGISTRY/$1:1"
    mounted=$(store mount probe)
    (cd "$mounted/made" && find . \( -type d -printf '%P d %m\n' -o -printf '%P %y %m %U %Ts %s %l\n' \) | sort && find . -type f -exec sha256sum {} + | sort)
    store umount probe > /dev/null
}

# -- the same image ----------------------------------------------------------------------------------------------------

make_various ()
{
    local folder
    folder=$(context various <<'END'
# syntax=docker/dockerfile:1
FROM %BASE% AS one
COPY src/main.c \
# a comment
     ./top*.txt   \
     /made/one/
COPY ["deep/er/", "two.txt", "/made/two words/"]
RUN --mount=type=bind,source=mounted,target=/mnt \
    # an indented comment
    cp -p /mnt/file /made/from-mount && \
    cp -r /mnt/empty /made/empty
FROM scratch AS files
COPY bin/a* /programs/
FROM one
COPY --from=files /programs /made/programs
COPY --chown=7:8 deep/parts/./*.d /made/parts/
ADD hollow /made/hollow
END
    )
    mkdir -p "$folder"/{src,deep/er,deep/parts/x.d,bin,mounted/empty,hollow/empty,unread/below,deep/unread}
    for file in src/main.c top1.txt top2.txt two.txt deep/er/a deep/er/b deep/parts/x.d/y deep/parts/z.d deep/parts/not mounted/file \
                bin/amd64 bin/arm64 unread/file unread/below/file deep/unread/file README; do
        echo "$file" > "$folder/$file"
    done
    ln -s ../unread "$folder/deep/er/link"
    chmod 700 "$folder/deep" "$folder/deep/er"
    find "$folder" -exec touch -h -d '2019-10-11 12:13:14' {} +
}
make_various

same_image ()
{
    run 0 submit various --whole-context --json
    jq -e '.unread == null' "$work/out" > /dev/null || { cat "$work/out"; return 1; }
    files_of various > "$work/whole"
    run 0 submit various --json
    expect_json build < "$work/out"
    expect "what was left out" "$(jq -c .unread "$work/out")" '{"folders":2,"files":2}'
    expect_text "$work/err" "left out 2 folders and 2 files, which no instruction reads"
    files_of various > "$work/pruned"
    diff "$work/whole" "$work/pruned"
    grep -q '^from-mount f' "$work/pruned"
    grep -q '^two words/link l .* ../unread$' "$work/pruned"
}
check "stages, JSON, patterns, mounts, several lines: the image is the same" same_image

not_sent ()
{
    local folder=$work/various before
    head -c 3000000 /dev/urandom > "$folder/unread/big"
    before=$(farmctl du --json | jq .received_bytes)
    run 0 submit various
    [ $(($(farmctl du --json | jq .received_bytes) - before)) -lt 100000 ]
    python3 -c 'import socket, sys; socket.socket (socket.AF_UNIX).bind (sys.argv [1])' "$folder/unread/socket"
    chmod 000 "$folder/unread/file"
    run 0 farmctl submit -t "$REGISTRY/various:2" "$folder"
    run 2 submit various --whole-context
    expect_text "$work/err" "unread/socket is a socket"
    run 2 submit various --context-prune=no
    rm "$folder/unread/socket"
}
check "what is not read is neither sent nor looked at" not_sent

still_unchanged ()
{
    local folder=$work/various
    run 0 farmctl submit -t "$REGISTRY/various:3" "$folder"
    touch "$folder/unread/more" "$folder/more" "$folder/deep/more"
    run 0 farmctl submit -t "$REGISTRY/various:3" "$folder"
    expect_text "$work/err" "unchanged, from build"
    echo more >> "$folder/src/main.c"
    run 0 farmctl submit -t "$REGISTRY/various:3" "$folder"
    expect_no_text "$work/err" "unchanged, from build"
}
check "a change of what is not read is none" still_unchanged

variables ()
{
    local folder
    folder=$(context variables <<< $'FROM scratch\nARG TARGETARCH\nENV FOLDER=src\nCOPY bin/${TARGETARCH} $FOLDER/file /made/')
    mkdir -p "$folder/bin" "$folder/src" "$folder/unread"
    echo src | tee "$folder/src/file" "$folder/bin/amd64" "$folder/bin/arm64" > "$folder/unread/file"
    run 0 submit variables
    expect_text "$work/err" "left out 1 folder"
    store_pull "$native" "$REGISTRY/variables:1"
    expect "a file in a folder that a variable names" "$(store_file made/file)" src
    expect "the platform's file" "$(store_file "made/${native#linux/}")" src
}
check "variables, where no stage stands on an image" variables

# -- in doubt, all -----------------------------------------------------------------------------------------------------

through_a_link ()
{
    local folder
    folder=$(context links <<< $'FROM %BASE%\nCOPY current/file /made/file\nCOPY far /made/far')
    mkdir -p "$folder/releases/5" "$folder/else"
    echo five > "$folder/releases/5/file"
    echo else > "$folder/else/file"
    ln -s releases/5 "$folder/current"
    ln -s else/file "$folder/far"
    run 0 submit links
    expect_no_text "$work/err" "left out"
    store_pull "$native" "$REGISTRY/links:1"
    expect "a file through a link" "$(store_file made/file)" five
    expect "a link" "$(store_file made/far)" else
}
check "what an instruction finds through a link is there" through_a_link

an_argument ()
{
    local folder
    folder=$(context arguments <<< $'FROM %BASE%\nARG PLACE=here\nCOPY $PLACE /made/place')
    mkdir -p "$folder/here" "$folder/there"
    echo here > "$folder/here/file"
    echo there > "$folder/there/file"
    run 0 submit arguments --build-arg PLACE=there
    store_pull "$native" "$REGISTRY/arguments:1"
    expect "the argument's folder" "$(store_file made/place/file)" there
}
check "a source that a base image may decide on" an_argument

# reason_of NAME OPTIONS…: why its build failed
reason_of ()
{
    run 3 submit "$@" --json > /dev/null
    jq -r .error.text "$work/out" | sed 's/build [0-9]* failed//'
}

fails_the_same ()
{
    local folder source
    for source in nothing 'src/*.none' 'none*' src/none none/none 'src/file/none'; do
        folder=$(context failing <<< $'FROM %BASE%\nCOPY '"$source"' /made/')
        mkdir -p "$folder/src" "$folder/unread"
        touch "$folder/src/file" "$folder/unread/file"
        expect "COPY $source" "$(reason_of failing)" "$(reason_of failing --whole-context)"
    done
}
check "a COPY of what is not there fails in the same words" fails_the_same

# -- triggers of a base image ------------------------------------------------------------------------------------------

# push_base NAME < Dockerfile: an image in the registry
push_base ()
{
    mkdir -p "$work/base-$1"
    sed "s|%BASE%|$base|g" > "$work/base-$1/Dockerfile"
    store build -q --format docker --tls-verify=false -t "$REGISTRY/$1:1" "$work/base-$1" > /dev/null
    store push -q --tls-verify=false "$REGISTRY/$1:1" "docker://$REGISTRY/$1:1"
}

triggers ()
{
    local folder id
    push_base trigger <<< $'FROM %BASE%\nONBUILD COPY . /made'
    folder=$(context triggered <<< "FROM $REGISTRY/trigger:1"$'\nCOPY src /made/src\nRUN sleep 20')
    mkdir -p "$folder/src" "$folder/unread"
    echo unread > "$folder/unread/file"
    touch "$folder/src/file"
    id=$(submit_detached --platform "$native" -t "$REGISTRY/triggered:1" "$folder")
    wait_state "$id" failed
    expect "code" "$(field "$id" .code)" pruned
    field "$id" .reason > "$work/reason"
    expect_text "$work/reason" "has the trigger ONBUILD COPY . /made" "submit again with --whole-context"
    expect_no_tag triggered 1
    sed -i /sleep/d "$folder/Dockerfile"
    run 0 submit triggered
    expect_text "$work/err" "has the trigger ONBUILD COPY . /made" "submitting again, with the whole context"
    store_pull "$native" "$REGISTRY/triggered:1"
    expect "what the trigger copied" "$(store_file made/unread/file)" unread
}
check "what a base image's trigger reads is sent when that is found out" triggers

harmless_triggers ()
{
    local folder
    push_base harmless <<< $'FROM %BASE%\nONBUILD RUN mkdir -p /made\nONBUILD COPY src /made/src'
    folder=$(context harmless-triggers <<< "FROM $REGISTRY/harmless:1"$'\nCOPY src /made/again\nRUN echo "STEP 1/1: FROM x"; echo "STEP 3/9: COPY . /"')
    mkdir -p "$folder/src" "$folder/unread"
    echo src > "$folder/src/file"
    touch "$folder/unread/file"
    run 0 submit harmless-triggers
    expect_text "$work/err" "left out 1 folder"
    store_pull "$native" "$REGISTRY/harmless-triggers:1"
    expect "what the trigger copied" "$(store_file made/src/file)" src
}
check "triggers that read no more do not matter, nor what a RUN step prints" harmless_triggers

same_words ()
{
    local folder
    push_base words <<< $'FROM %BASE%\nENV PLACE=here\nONBUILD COPY $PLACE /made/trigger/'
    folder=$(context same-words <<< "FROM $REGISTRY/words:1"$'\nENV PLACE=here/below\nCOPY $PLACE /made/trigger/')
    mkdir -p "$folder/here/below" "$folder/unread"
    echo trigger | tee "$folder/here/only" "$folder/unread/file" > "$folder/here/below/file"
    run 0 submit same-words
    store_pull "$native" "$REGISTRY/same-words:1"
    expect "what the trigger copied" "$(store_file made/trigger/only)" trigger
}
check "a trigger in the words of an instruction, with another value" same_words

farm_end
