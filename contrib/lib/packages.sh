# packages.sh - Debian's packages: what the programs are built with, what a farm runs, what the checks need. Needs say.sh, root.sh.
# shellcheck shell=bash
# shellcheck disable=SC2034

build_packages=(autoconf automake make gcc libc6-dev pkg-config libzmq3-dev libczmq-dev libsqlite3-dev libcurl4-openssl-dev
    libjansson-dev libsodium-dev libssl-dev libzstd-dev zlib1g-dev libarchive-dev libmicrohttpd-dev libglib2.0-dev tzdata libcmocka-dev)
farm_packages=(buildah runc docker-registry skopeo qemu-user-static jq)
check_packages=(clang shellcheck python3 patch podman containerd docker.io curl rsync git git-lfs openssh-server openssl strace util-linux xxd xz-utils zstd xfsprogs iproute2 nftables prometheus)

package_is_there ()
{
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null)" = installed ]
}

# Debian starts some daemons when they are installed, which nobody asked for here: a registry on port 5000, docker, containerd, prometheus and sshd. Those
# that were there before are left alone.
packages_quieten ()
{
    local package unit
    [ -d /run/systemd/system ] || return 0
    for package in "$@"; do
        for unit in $(dpkg-query -L "$package" | sed -nE 's#^(/usr)?/lib/systemd/system/((docker|containerd|prometheus|ssh)[a-z-]*\.[a-z]+)$#\2#p'); do
            as_root systemctl disable -q --now "$unit" || true
        done
    done
}

# packages_install PACKAGE...: those that are not there; asks nothing
packages_install ()
{
    local package
    local missing=()
    for package in "$@"; do
        package_is_there "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get > /dev/null || die "this is no Debian, so install by hand: ${missing[*]}"
    say "installing ${missing[*]}"
    as_root apt-get -q update < /dev/null >&2 || say "apt-get update failed; going on with the lists that are there"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${missing[@]}" < /dev/null >&2 \
        || die "these packages cannot be installed: ${missing[*]}"
    packages_quieten "${missing[@]}"
}
