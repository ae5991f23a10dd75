# images.sh - what other tools make of a published image. Needs farm.sh.
# shellcheck shell=bash

# A store of the test's own, with one image and one container at a time
store ()
{
    buildah --root "$work/store" --runroot "$work/store-run" --storage-driver vfs "$@"
}

# store_pull PLATFORM REFERENCE
store_pull ()
{
    store rm -a > /dev/null 2>&1 || true
    store from -q --pull-always --tls-verify=false --platform "$1" --name probe "docker://$2" > /dev/null
}

store_architecture ()
{
    store inspect --type container probe | jq -r .OCIv1.architecture
}

store_label ()
{
    store inspect --type container probe | jq -r --arg name "$1" '.OCIv1.config.Labels[$name]'
}

# store_file PATH: its content in the image
store_file ()
{
    local folder
    folder=$(store mount probe)
    cat "$folder/$1"
    store umount probe > /dev/null
}

store_run ()
{
    store run --isolation chroot probe -- "$@"
}

# -- daemons that pull -------------------------------------------------------------------------------------------------

containerd_start ()
{
    command -v containerd > /dev/null && command -v ctr > /dev/null || skip "containerd is not installed"
    [ -S "$work/containerd.sock" ] && return
    background containerd containerd --root "$work/containerd" --state "$work/containerd-state" --address "$work/containerd.sock"
    wait_for 20 ctr -a "$work/containerd.sock" version
}

# docker_start [OPTION…]: without any its containers have no network
docker_start ()
{
    [ $# -gt 0 ] || set -- --bridge=none
    command -v dockerd > /dev/null && command -v docker > /dev/null || skip "docker is not installed"
    background dockerd dockerd --data-root "$work/docker" --exec-root "$work/docker-run" --pidfile "$work/docker.pid" \
        --host "unix://$work/docker.sock" --iptables=false --ip-forward=false --storage-driver vfs \
        --insecure-registry "$REGISTRY" "$@"
    wait_for 30 docker -H "unix://$work/docker.sock" version
}
