#!/bin/bash
# door.sh - what an attempt may pull, and what it need not push.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/registries.sh"
. "$top_srcdir/tests/lib/images.sh"
farm_up

registry_talking_start
farm_trust "$TALKING"

layers ()
{
    local app
    skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$base" "docker://$TALKING/base:1"
    app=$(context layers <<< "FROM $TALKING/base:1
COPY file /file")
    head -c 100000 /dev/urandom > "$app/file"
    mark
    run 0 farmctl submit -q --platform "$native" -t "$TALKING/new/app:1" "$app"
    [ "$(requests POST 'mount=')" -ge 1 ] || { echo "no layer of the base was mounted"; return 1; }
    expect "uploads of the first push: its layer and its config" "$(requests PUT '/blobs/uploads/')" 2
    mark
    run 0 farmctl submit -q --no-result-cache --platform "$native" -t "$TALKING/new/app:2" "$app"
    expect "uploads of an unchanged rebuild" "$(requests PUT '/blobs/uploads/')" 0
    mark
    run 0 farmctl submit -q --platform "$native" -t "$TALKING/new/app:3" --label x=y "$app"
    expect "uploads of a rebuild with another label: its config" "$(requests PUT '/blobs/uploads/')" 1
}
check "layers that the registry has are mounted, or not pushed at all" layers

# Its Dockerfile names one image; that one wants another.
unnamed ()
{
    local app
    store_pull "$native" "$base"
    store config --onbuild "COPY --from=$REGISTRY/tools:1 /bin/sh /tool" probe
    store commit -q --format docker --tls-verify=false probe "docker://$REGISTRY/wants:1" > /dev/null
    skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$base" "docker://$REGISTRY/tools:1"
    app=$(context unnamed <<< "FROM $REGISTRY/wants:1")
    run 5 farmctl submit -q --platform "$native" -t "$REGISTRY/unnamed:1" "$app"
    expect_text "$work/err" "$REGISTRY/tools is no image that the Dockerfile names"
    expect_text "$work/err" "registry/bases"
    expect_no_tag unnamed 1
}
check "an image that the Dockerfile does not name is not pulled" unnamed

# That one wants an image of a registry that the Dockerfile does not name: it would come from there, around the door.
of_another_registry ()
{
    store_pull "$native" "$base"
    store config --onbuild "COPY --from=$TALKING/far:1 /bin/sh /tool" probe
    store commit -q --format docker --tls-verify=false probe "docker://$REGISTRY/wants-elsewhere:1" > /dev/null
    skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$base" "docker://$TALKING/far:1"
    mark
    run 3 farmctl submit -q --platform "$native" -t "$REGISTRY/elsewhere:1" "$(context elsewhere <<< "FROM $REGISTRY/wants-elsewhere:1")"
    expect_text "$work/err" "images of registries that the Dockerfile does not name" "registry/bases"
    expect "what it was asked" "$(requests GET '')" 0
    expect_no_tag elsewhere 1
}
check "nor one of a registry that it does not name" of_another_registry

allowed ()
{
    devfarm stop "worker-$native_name"
    farm_set "worker-$native_name" registry/bases "$REGISTRY/too*,$TALKING/far"
    devfarm start "worker-$native_name"
    run 0 farmctl submit -q --platform "$native" -t "$REGISTRY/unnamed:1" "$work/unnamed"
    has_tag unnamed 1
    mark
    run 0 farmctl submit -q --platform "$native" -t "$REGISTRY/elsewhere:1" "$work/elsewhere"
    has_tag elsewhere 1
    [ "$(requests GET far/manifests)" -ge 1 ] || { echo "the other registry was not asked"; return 1; }
}
check "but where the worker's settings allow it" allowed

quota ()
{
    devfarm stop "worker-$native_name"
    farm_set "worker-$native_name" door/quota 50K
    devfarm start "worker-$native_name"
    head -c 100000 /dev/urandom > "$work/layers/file"
    run 5 farmctl submit -q --platform "$native" -t "$TALKING/new/app:4" "$work/layers"
    expect_text "$work/err" "door/quota"
}
check "a push above the quota fails and names the setting" quota

farm_end
