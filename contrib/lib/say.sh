# say.sh - how the scripts of contrib/ speak: on standard error, with the script's name in front.
# shellcheck shell=bash

say ()
{
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die ()
{
    say "$*"
    exit 1
}

# Say what failed, show the end of its log, and go: log_die LOG TEXT
log_die ()
{
    say "$2; the end of $1:"
    tail -n 20 -- "$1" | sed 's/^/    /' >&2
    exit 1
}
