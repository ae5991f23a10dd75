# tap.sh - tests in the shell, printed as TAP.
#
#     check "what holds" FUNCTION [ARGUMENT...]      runs it under `set -e` in a subshell; its output is shown when it fails
#     skip "reason"                                  within such a function: it cannot be tried here
#     skip_all "reason"                              the whole file
#     tap_end                                        last: the plan, and the exit status
#
# Functions that ask (is_…, has_…) return 0 or 1 and print nothing; those that insist (expect…) say what they found instead.
# shellcheck shell=bash
set -u
tap_count=0 tap_failed=0
work=$(mktemp -d "${TMPDIR:-/tmp}/archfarm-test.XXXXXX")

skip ()
{
    printf '%s\n' "$*" > "$work/.skip"
    exit 77
}

skip_all ()
{
    echo "1..0 # SKIP $*"
    exit 0
}

tap_diagnose ()
{
    sed 's/^/# /' "$1" | tail -n "${2:-60}"
}

tap_run ()
{
    set -eE
    trap 'echo "line $LINENO of ${FUNCNAME:-the file}: $BASH_COMMAND"' ERR
    "$@"
}

check ()
{
    local name=$1 status
    shift
    rm -f "$work/.skip"
    ( tap_run "$@" ) > "$work/.output" 2>&1 < /dev/null
    status=$?
    tap_count=$((tap_count + 1))
    if [ $status = 0 ]; then
        echo "ok $tap_count - $name"
    elif [ $status = 77 ] && [ -e "$work/.skip" ]; then
        echo "ok $tap_count - $name # SKIP $(cat "$work/.skip")"
    else
        echo "not ok $tap_count - $name"
        tap_diagnose "$work/.output"
        tap_failed=$((tap_failed + 1))
    fi
}

tap_end ()
{
    echo "1..$tap_count"
    [ $tap_failed = 0 ]
    exit
}

# -- insisting ---------------------------------------------------------------------------------------------------------

# expect WHAT FOUND WANTED
expect ()
{
    [ "$2" = "$3" ] && return
    printf '%s\n  found:  %s\n  wanted: %s\n' "$1" "$2" "$3"
    return 1
}

# expect_text FILE TEXT...: each text stands in the file
expect_text ()
{
    local file=$1 text
    shift
    for text in "$@"; do
        grep -qF -- "$text" "$file" && continue
        printf '"%s" does not stand in:\n' "$text"
        sed 's/^/  /' "$file"
        return 1
    done
}

expect_no_text ()
{
    ! grep -F -- "$2" "$1" || { printf '"%s" stands in %s\n' "$2" "$1"; return 1; }
}

# wait_for SECONDS COMMAND...: until it succeeds; it is asked ten times a second
wait_for ()
{
    local limit=$(($1 * ${FARM_PATIENCE:-1}))
    local until=$((SECONDS + limit + 1))
    shift
    until "$@" > "$work/.wait.$BASHPID" 2>&1; do
        [ $SECONDS -lt $until ] || { echo "in $limit s not: $*"; cat "$work/.wait.$BASHPID"; return 1; }
        sleep 0.1
    done
}
