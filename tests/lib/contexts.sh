#!/bin/bash
# contexts.sh - brings real contexts for test_contexts, and prints their folders, with ':' between: a node_modules of well over 10,000 files
# and a Debian root folder. They are kept below FARM_CACHE, so the registry and the archive are asked once.
set -euo pipefail
cache=${FARM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/archfarm}/contexts
packages=(next webpack eslint jest typescript @babel/preset-env date-fns rxjs core-js)
mkdir -p "$cache"

# A folder is made under another name, so that one that is there is whole.
make_modules ()
{
    command -v npm > /dev/null || { echo "npm is not installed: no node_modules" >&2; return 1; }
    rm -rf "$cache/modules.new"
    mkdir "$cache/modules.new"
    echo '{"name": "context", "version": "1.0.0", "private": true}' > "$cache/modules.new/package.json"
    (cd "$cache/modules.new" && npm install --ignore-scripts --no-audit --no-fund "${packages[@]}") >&2
    mv "$cache/modules.new" "$cache/modules"
}

# What is in its /dev is no part of a context.
make_root ()
{
    command -v mmdebstrap > /dev/null || { echo "mmdebstrap is not installed: no Debian root folder" >&2; return 1; }
    rm -rf --one-file-system "$cache/root.new"
    # shellcheck source=/dev/null
    mmdebstrap --variant=standard "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$cache/root.new" >&2
    echo 'dev/*' > "$cache/root.new/.dockerignore"
    mv "$cache/root.new" "$cache/root"
}

found=()
for name in modules root; do
    [ -d "$cache/$name" ] || "make_$name" || continue
    found+=("$cache/$name")
done
[ ${#found[@]} -gt 0 ] || { echo "no real context is to be had here" >&2; exit 1; }
(IFS=:; echo "${found[*]}")
