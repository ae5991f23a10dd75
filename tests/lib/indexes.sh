# indexes.sh - the indexes that a repository of the farm's own registry holds, tagged or not. Needs farm.sh.
# shellcheck shell=bash

# indexes_in REPOSITORY: their digests
indexes_in ()
{
    local folder=$farm/registry/docker/registry/v2/repositories/$1/_manifests/revisions/sha256 digest
    for digest in "$folder"/*; do
        [ -d "$digest" ] || continue
        digest=${digest##*/}
        registry_get "$1/manifests/sha256:$digest" | jq -e .manifests > /dev/null && echo "sha256:$digest"
    done
    return 0
}
