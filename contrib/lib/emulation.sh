# emulation.sh - the architecture of this host, and binfmt_misc with qemu-user-static for the other one. Needs say.sh, root.sh.
# shellcheck shell=bash

binfmt=/proc/sys/fs/binfmt_misc

host_architecture ()
{
    case $(uname -m) in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) die "this host is $(uname -m): a development farm needs x86_64 or aarch64" ;;
    esac
}

# qemu's name of an architecture
qemu_name ()
{
    case $1 in
        amd64) echo x86_64 ;;
        arm64) echo aarch64 ;;
    esac
}

# F: the kernel holds the interpreter open, so it is found inside of containers too
emulation_is_registered ()
{
    { grep -qx enabled "$binfmt/$1" && grep -q '^flags: .*F' "$binfmt/$1"; } 2>/dev/null
}

# Another farm that starts at the same moment may be faster, so what counts is what is there in the end.
emulation_register ()
{
    local conf=/usr/lib/binfmt.d/$1.conf
    if [ ! -e "$binfmt/register" ]; then
        as_root mount -t binfmt_misc binfmt_misc "$binfmt" || [ -e "$binfmt/register" ] || return
    fi
    emulation_is_registered "$1" && return
    [ -e "$conf" ] || { say "$conf is not there: apt-get install qemu-user-static"; return 1; }
    as_root tee "$binfmt/register" < "$conf" > /dev/null || true
    emulation_is_registered "$1"
}

# emulation_prepare ARCHITECTURE: this host runs its programs afterwards. Registered it stays until the next boot: it is the
# host's, and others may use it by then.
emulation_prepare ()
{
    local entry error
    entry=qemu-$(qemu_name "$1")
    emulation_is_registered "$entry" && return
    if ! error=$(emulation_register "$entry" 2>&1); then
        say "linux/$1 cannot be emulated here: binfmt_misc has no $entry${error:+ ($error)}"
        return 1
    fi
    say "registered $entry with binfmt_misc"
}
