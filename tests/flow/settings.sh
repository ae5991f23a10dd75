#!/bin/bash
# What --help says of each setting is what the example file and docs/operations.md say: same settings, same defaults. What a
# program cannot work with is refused at its start.
set -u
: "${top_srcdir:?}"

# "control-bind=tcp://*:5570" for each setting, from --help; those without a default end in "="
of_help ()
{
    "$1" --help | sed -n 's/^  --\([a-z-]*\) .* \[\(.*\)\]$/\1=\2/p; t; s/^  --\([a-z-]*\) .*/\1=/p' \
        | sed "s,=.*/var/lib/,=/var/lib/," | sort
}

# The same from a commented-out ZPL file; what it shows for a setting without a default is no default
of_example ()
{
    sed -n 's/^#\( *[a-z-]*\( = .*\)\?\)$/\1/p' "$1" | awk -F ' = ' '
        /^[a-z-]+$/ { section = $1; next }
        { path = /^ / ? section "-" substr ($1, 5) : $1; gsub (/"/, "", $2); print path "=" $2 }' | sort
}

# The same from the rows "| `control/bind` | `tcp://*:5570` | …" below the program's heading
of_document ()
{
    awk -v heading="### Settings of $1" '$0 == heading { on = 1; next } /^##/ { on = 0 } on' "$top_srcdir/docs/operations.md" \
        | sed -n 's/^| `\([a-z/-]*\)` | `\?\([^`|]*[^`| ]\)\?`\? *|.*/\1=\2/p' | awk -F = '{ gsub ("/", "-", $1); print $1 "=" $2 }' | sort
}

# Settings without a default may stand with any value in an example
without_free ()
{
    awk -F = 'NR == FNR { if ($0 ~ /=$/) free [$1] = 1; next } { print ($1 in free) ? $1 "=" : $0 }' "$1" "$2"
}

same ()
{
    number=$((number + 1))
    if difference=$(diff "$1" "$2"); then
        echo "ok $number - $3"
    else
        printf '%s\n' "$difference" | sed 's/^/# /'
        echo "not ok $number - $3"
    fi
}

# refused PROGRAM SETTING VALUE: exit code 2, and the setting is named, in a plain message
refused ()
{
    number=$((number + 1))
    words=$(timeout 20 "$1" "--state=$work/state" "--${2/\//-}=$3" 2>&1)
    if [ $? = 2 ] && [[ $words = "$1: $2 is $3: "* ]]; then echo "ok $number - $1 refuses $2 = $3"
    else printf '%s\n' "$words" | sed 's/^/# /'; echo "not ok $number - $1 refuses $2 = $3"; fi
}

number=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo 1..15
for program in coordinator worker; do
    of_help farm-$program > "$work/help"
    of_example "$top_srcdir/contrib/examples/$program.conf" > "$work/given"
    without_free "$work/help" "$work/given" > "$work/example"
    of_document farm-$program > "$work/document"
    number=$((number + 1))
    if [ "$(wc -l < "$work/help")" -gt 5 ]; then echo "ok $number - farm-$program --help shows its settings"
    else echo "not ok $number - farm-$program --help shows its settings"; fi
    same "$work/help" "$work/example" "contrib/examples/$program.conf has every setting of farm-$program with its default"
    same "$work/help" "$work/document" "docs/operations.md has every setting of farm-$program with its default"
done

for setting in publishers=0 lease/heartbeat-ms=0 lease/duration-ms=5000 lease/duration-ms=7200000 retry/attempts=100 job/timeout-ms=0 \
        registry/timeout-ms=0 queue/limit=0; do
    refused farm-coordinator "${setting%=*}" "${setting#*=}"
done
refused farm-worker slots 0
