#!/bin/bash
# search.sh - the search for canaries (lib/canary) sees each form in which a secret may lie about, in each kind of place; and nothing where none is.
: "${top_srcdir:?}"
. "$top_srcdir/tests/lib/tap.sh"
. "$top_srcdir/tests/lib/process.sh"
for program in basenc jq python3 xxd zstd; do
    command -v $program > /dev/null || skip_all "$program is not installed"
done
trap 'background_end_all; rm -rf "$work"' EXIT
mkdir "$work/pids" "$work/secrets" "$work/clean"
text='pass:word "47\11" /&?= of+some%user'
printf %s "$text" > "$work/secrets/text"
head -c 32 /dev/urandom > "$work/secrets/key"
cp "$(command -v gzip)" "$top_srcdir/README.md" "$work/clean/"
head -c 3000000 /dev/urandom | tee >(base64 > "$work/clean/base64") >(gzip > "$work/clean/gzip") >(zstd -q > "$work/clean/zstd") > "$work/clean/bytes"

hunt ()
{
    python3 -B "$top_srcdir/tests/lib/canary" --secrets "$work/secrets" "$@"
}

# plant NAME FORM < bytes: a file with that secret in that form
plant ()
{
    local file=$work/place/$1-$RANDOM$RANDOM$RANDOM
    cat > "$file"
    echo "$1 in $file ($2)" >> "$work/wanted"
}

anew ()
{
    rm -rf "$work/place" "$work/wanted"
    mkdir "$work/place"
}

# Each that was planted is found as that, and no other secret in its file
all_are_found ()
{
    run_hunt 1 "$work/place"
    expect "not found" "$(grep -vxF -f "$work/out" "$work/wanted" || true)" ""
    expect "found, and not there" "$(sed '$d; s/ (.*//' "$work/out" | sort -u)" "$(sed 's/ (.*//' "$work/wanted" | sort -u)"
}

# run_hunt STATUS OPTION…
run_hunt ()
{
    local wanted=$1 status=0
    shift
    hunt "$@" > "$work/out" 2> "$work/err" || status=$?
    [ $status = "$wanted" ] || { cat "$work/out" "$work/err"; echo "exit status $status instead of $wanted"; return 1; }
}

nothing_where_nothing_is ()
{
    run_hunt 0 "$work/clean"
    expect_text "$work/out" "5 files" "0 finds"
    expect "lines" "$(wc -l < "$work/out")" 1
}

each_form ()
{
    local name before
    anew
    for name in text key; do
        { echo before; cat "$work/secrets/$name"; echo behind; } | plant $name "as it is"
        for before in '' x xy; do
            { printf %s "$before"; cat "$work/secrets/$name"; printf behind; } | base64 -w 0 | plant $name base64
            { printf %s "$before"; cat "$work/secrets/$name"; printf behind; } | base64 -w 20 | plant $name base64
            { printf %s "$before"; cat "$work/secrets/$name"; } | basenc --base64url | tr -d = | plant $name base64
        done
        for before in '' x xy; do
            { printf %s "$before"; xxd -p -c 256 "$work/secrets/$name"; } | base64 -w 0 | plant $name "base64 of another form"
            { printf %s "$before"; base64 -w 0 "$work/secrets/$name"; } | base64 -w 40 | plant $name "base64 of another form"
        done
        xxd -p "$work/secrets/$name" | plant $name hex
        xxd -p -c 256 -u "$work/secrets/$name" | plant $name hex
        od -An -v -tx1 "$work/secrets/$name" | plant $name hex
        xxd -i "$work/secrets/$name" | plant $name hex
    done
    basenc -w 0 --z85 "$work/secrets/key" | plant key Z85
    python3 -c 'import sys, urllib.parse; print (urllib.parse.quote (sys.argv [1]))' "$text" | plant text percent-encoded
    python3 -c 'import sys, urllib.parse; print (urllib.parse.urlencode ({"a": sys.argv [1]}))' "$text" | plant text percent-encoded
    jq -Rsc '{a: .}' "$work/secrets/text" | plant text JSON-escaped
    jq -Rsc '{a: .}' "$work/secrets/text" | base64 | plant text "base64 of another form"
    python3 -c 'import sys; print ("".join (f"\\u{ord (c):04X}" for c in sys.argv [1]))' "$text" | plant text JSON-escaped
    base64 -w 10 "$work/secrets/key" | jq -Rsc . | plant key "JSON-escaped, base64"
    python3 -c 'import quopri, sys; sys.stdout.buffer.write (quopri.encodestring (b"it is " + b"so " * 20 + sys.argv [1].encode ()))' "$text" | plant text quoted-printable
    all_are_found
}

packed ()
{
    local name
    anew
    for name in text key; do
        { cat "$work/clean/bytes"; gzip -c "$work/secrets/$name"; echo behind; } | plant $name "gzip, as it is"
        { cat "$work/clean/zstd"; zstd -q -1 -c "$work/secrets/$name"; echo behind; } | plant $name "zstd, as it is"
        python3 -c 'import sys, zlib; sys.stdout.buffer.write (b"blob" + zlib.compress (sys.stdin.buffer.read ()))' < "$work/secrets/$name" | plant $name "zlib, as it is"
        tar -cf - -C "$work/secrets" $name | plant $name "as it is"
        { cat "$work/clean/bytes"; tar -czf - -C "$work/secrets" $name; } | zstd -q | plant $name "zstd, gzip, as it is"
        { base64 "$work/secrets/$name"; cat "$work/clean/bytes"; } | gzip | plant $name "gzip, base64"
        cat "$work/clean/bytes" "$work/secrets/$name" | gzip | plant $name "gzip, as it is"
        cat "$work/clean/bytes" "$work/secrets/$name" | zstd -q | plant $name "zstd, as it is"
    done
    all_are_found
}

# The file is read by pieces of 1 MiB
over_a_border ()
{
    local at
    anew
    for at in 1048575 1048560 1048545 2097140; do
        { head -c $at "$work/clean/bytes"; cat "$work/secrets/key"; } | plant key "as it is"
        { head -c $at "$work/clean/bytes"; gzip -c "$work/secrets/key"; } | plant key "gzip, as it is"
        { head -c $at "$work/clean/base64"; base64 "$work/secrets/text"; } | plant text base64
        { head -c $at /dev/zero; cat "$work/secrets/text"; } | zstd -q | plant text "zstd, as it is"
    done
    all_are_found
}

# In rows longer than a page, in the log of one who has not ended
rows_of_databases ()
{
    anew
    cat > "$work/writer.py" <<'END_OF_WRITER'
import os, sqlite3, sys, time
queue = sqlite3.connect(sys.argv[1], isolation_level=None)
queue.executescript("PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA locking_mode = EXCLUSIVE; CREATE TABLE rows (text)")
with open(sys.argv[2], "rb") as file:
    secret = file.read()
for size in range(4000, 4200, 10):       # some lie on both sides of a border
    queue.execute("INSERT INTO rows VALUES (?)", (b"x" * size + secret,))
print("ready", flush=True)
time.sleep(600)
END_OF_WRITER
    background writer python3 "$work/writer.py" "$work/place/queue.db" "$work/secrets/text"
    wait_for 10 grep -q ready "$work/writer.log"
    run_hunt 1 "$work/place"
    expect_text "$work/out" "text in $work/place/queue.db:rows (as it is)"
    background_end writer KILL
}

names_and_links ()
{
    anew
    mkdir "$work/place/below"
    : > "$work/place/below/$(xxd -p -c 256 "$work/secrets/key")"
    run_hunt 1 "$work/place"
    expect_text "$work/out" "key in $work/place/below (hex)"
    rm "$work/place/below"/*
    ln -s "$(basenc -w 0 --base64url "$work/secrets/key")" "$work/place/below/link"
    run_hunt 1 "$work/place"
    expect_text "$work/out" "key in $work/place/below (base64)"
}

# Of the process and of what it has started
processes ()
{
    local pid
    echo "it has $text" > "$work/gone"
    cat > "$work/holder.py" <<'END_OF_HOLDER'
import os, subprocess, sys, time
kept = open(sys.argv[1], "rb")
memory = os.memfd_create("memory")
os.write(memory, kept.read())
os.remove(sys.argv[1])
print("ready", flush=True)
time.sleep(600)
END_OF_HOLDER
    background holder bash -c 'trap "kill \$!; exit" TERM; python3 "$@" & wait' "$work/holder.py" "$work/holder.py" "$work/gone"
    background environment env "TOKEN=$text" bash -c 'echo ready; exec -c sleep 600; :'
    background command env "TOKEN=$text" sleep 600
    wait_for 10 grep -q ready "$work/holder.log"
    wait_for 10 grep -q ready "$work/environment.log"
    pid=$(background_pid holder)
    run_hunt 1 --pid "$pid"
    expect "descriptors with it" "$(grep -c '^text in python3:/proc/[0-9]*/fd/[0-9]* (as it is)$' "$work/out")" 2
    run_hunt 1 --processes
    pid=$(background_pid command)
    expect_text "$work/out" "text in sleep:/proc/$pid/environ (as it is)"
    expect "processes with it" "$(grep -c "^text in .*:/proc/" "$work/out")" 1
    background_end command
    background command sleep 600 "$(basenc --base64url -w 0 "$work/secrets/key")"
    run_hunt 0 --processes
    background_end command
    background command python3 -c 'import time; time.sleep (600)' "$(basenc --base64url -w 0 "$work/secrets/key")"
    pid=$(background_pid command)
    run_hunt 1 --processes
    expect_text "$work/out" "key in python3:/proc/$pid/cmdline (base64)"
}

what_is_allowed ()
{
    anew
    (umask 077; cp "$work/secrets/key" "$work/place/own.key")
    cat > "$work/rules" <<END_OF_RULES
# name  place                   mode    reason
must    key     */place/own.key         0600    it is made there
may     text    */place/input.*         -       the user has written it
END_OF_RULES
    run_hunt 0 --allow "$work/rules" "$work/place"
    chmod 640 "$work/place/own.key"
    run_hunt 1 --allow "$work/rules" "$work/place"
    expect_text "$work/out" "key in $work/place/own.key (as it is)" "not found where it must be: must    key"
    chmod 600 "$work/place/own.key"
    cp "$work/secrets/key" "$work/place/input.key"
    run_hunt 1 --allow "$work/rules" "$work/place"
    expect_text "$work/out" "key in $work/place/input.key"
    rm "$work/place"/*
    run_hunt 1 --allow "$work/rules" "$work/place"
    expect_text "$work/out" "not found where it must be"
    echo "may key *" > "$work/rules"
    run_hunt 1 --allow "$work/rules" "$work/place"
    expect_text "$work/err" "and a reason"
    run_hunt 1 "$work/nothing"
    expect_text "$work/err" "is not there"
    echo -n short > "$work/secrets/short"
    run_hunt 1 "$work/place"
    expect_text "$work/err" "the secret short has 5 bytes"
    rm "$work/secrets/short"
}

# 100 MB from a few KB, and as much from a disk, with room for some 40 MB of bytes
memory_is_bounded ()
{
    anew
    { head -c 100000000 /dev/zero; cat "$work/secrets/key"; } | zstd -q > "$work/place/large.zst"
    truncate -s 100M "$work/place/large"
    cat "$work/secrets/text" >> "$work/place/large"
    (ulimit -v 90000; run_hunt 1 "$work/place")
    expect_text "$work/out" "key in $work/place/large.zst (zstd, as it is)" "text in $work/place/large (as it is)"
}

# What was searched is not searched again for the same secrets; for another one it is, and so is what has changed or had something.
what_is_known ()
{
    anew
    cp "$work/clean/bytes" "$work/place/one"
    run_hunt 0 --known "$work/known" "$work/place"
    cp "$work/secrets/key" "$work/place/two"
    cp "$work/place/one" "$work/place/three"
    for _ in 1 2; do
        run_hunt 1 --known "$work/known" "$work/place"
        expect "leaks" "$(grep -c "^key in $work/place/two" "$work/out")" 1
        [ "$(sed -n 's/.*, \([0-9]*\) KiB.*/\1/p' "$work/out")" -lt 100 ]
    done
    head -c 20 "$work/place/one" > "$work/secrets/another"
    run_hunt 1 --known "$work/known" "$work/place"
    rm "$work/secrets/another"
    expect_text "$work/out" "another in $work/place/one" "another in $work/place/three"
}

check "where nothing is, nothing is found" nothing_where_nothing_is
check "each form is found, wherever it begins" each_form
check "so it is in what is packed, and packed in there" packed
check "and where two pieces meet" over_a_border
check "rows of a database that is open, larger than its pages" rows_of_databases
check "names of files, and what links lead to" names_and_links
check "environments, command lines, and what is open but has no name" processes
check "what is allowed is no leak, with its mode; what must be there is missed" what_is_allowed
check "what had nothing is not searched again for the same secrets" what_is_known
check "large files are read by pieces" memory_is_bounded
tap_end
