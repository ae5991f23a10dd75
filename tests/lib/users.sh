# users.sh - people beside the admin, each with a key and settings of their own below $work/NAME. Needs farm.sh.
# shellcheck shell=bash

# as NAME VERB…: farmctl as that user
as ()
{
    FARM_CONFIG=$work/$1/farmctl.conf farmctl "${@:2}"
}

# user_add NAME [OPTION…]: invited by the admin (what was said stands in $work/NAME-invite), and joined
user_add ()
{
    local string
    string=$(farmctl user add "$@" 2> "$work/$1-invite") || return
    mkdir -p "$work/$1"
    as "$1" join "$string" 2> "$work/$1-join"
}
