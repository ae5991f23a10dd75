# root.sh - what needs root runs through sudo when we are not root. Needs say.sh.
# shellcheck shell=bash

# as_root COMMAND...; with no terminal sudo must not ask for a password, it fails instead
as_root ()
{
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif ! command -v sudo >/dev/null; then
        say "cannot run \"$1\" as root: there is no sudo; run this as root"
        return 1
    elif [ -t 0 ]; then
        sudo -- "$@"
    else
        sudo -n -- "$@"
    fi
}
