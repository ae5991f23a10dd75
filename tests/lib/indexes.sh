# indexes.sh - the indexes that a repository of the farm's own registry holds, tagged or not. Needs farm.sh.
# shellcheck shell=bash

# indexes_in REPOSITORY: their digests, read from the registry's own files
indexes_in ()
{
    local root=$farm/registry/docker/registry/v2 revision digest
    for revision in "$root/repositories/$1"/_manifests/revisions/sha256/*; do
        digest=${revision##*/}
        jq -e .manifests "$root/blobs/sha256/${digest:0:2}/$digest/data" > /dev/null && echo "sha256:$digest"
    done
    return 0
}

# expect_one_index REPOSITORY
expect_one_index ()
{
    local digest
    [ "$(indexes_in "$1" | wc -l)" = 1 ] && return
    echo "indexes in $1:"
    for digest in $(indexes_in "$1"); do
        jq -c . "$farm/registry/docker/registry/v2/blobs/sha256/${digest:7:2}/${digest#sha256:}/data"
    done
    return 1
}
