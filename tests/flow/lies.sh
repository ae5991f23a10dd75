#!/bin/bash
# lies.sh - images that are not what they say, and how much of them is looked at.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/registries.sh"
farm_up

honest ()
{
    run 0 farmctl submit -q --platform "$native" --verify deep -t "$REGISTRY/honest:1" "$(context honest <<< "FROM %BASE%
RUN echo x > /x")"
    has_tag honest 1
    run 0 farmctl submit --platform "$native" --verify deep -t "$REGISTRY/honest:2" "$work/honest"
    expect_text "$work/err" "unchanged, from build"
}
check "an honest image passes the deepest look, also when it is known" honest

# The native machine's program in an image for the other
foreign_context ()
{
    local folder
    folder=$(context "$1" <<< "FROM scratch
COPY data /data
COPY true /opt/app")
    echo data > "$folder/data"
    cp /bin/true "$folder/true"
    echo "$folder"
}

foreign ()
{
    need_both
    local app
    app=$(foreign_context foreign)
    run 6 farmctl submit -q --platform "$foreign" --emulation allow --verify deep -t "$REGISTRY/lies:1" "$app"
    expect_text "$work/err" "/opt/app is a program for $native_name, and the image is for $foreign"
    expect_no_tag lies 1
    run 0 farmctl submit -q --platform "$foreign" --emulation allow --verify layers -t "$REGISTRY/lies:2" "$app"
    run 6 farmctl submit -q --platform "$foreign" --emulation allow --verify deep -t "$REGISTRY/lies:3" "$app"
    expect_no_tag lies 3
}
check "a program for another platform is found, and named" foreign

wrong_word ()
{
    run 2 farmctl submit -q --verify all -t "$REGISTRY/lies:4" "$work/honest"
    expect_text "$work/err" "--verify is quick, layers or deep"
}
check "another word for --verify is refused" wrong_word

least ()
{
    need_both
    devfarm stop coordinator
    farm_set coordinator verify/least deep
    devfarm start coordinator
    run 6 farmctl submit -q --platform "$foreign" --emulation allow --no-cache -t "$REGISTRY/lies:5" "$work/foreign"
    expect_text "$work/err" "/opt/app is a program for"
    run 0 farmctl submit -q --platform "$native" --verify quick -t "$REGISTRY/honest:3" "$work/honest"
}
check "the coordinator's setting holds for all builds" least

# A registry that changes a byte on its disk
damaged ()
{
    local layer file
    layer=$(registry_get "honest/manifests/3" | jq -r '.manifests[0].digest')
    layer=$(curl -sSf "http://$REGISTRY/v2/honest/manifests/$layer" -H 'Accept: application/vnd.oci.image.manifest.v1+json' | jq -r '.layers[-1].digest')
    file=$(find "$farm" -path "*${layer#sha256:}/data" | head -n 1)
    [ -n "$file" ]
    python3 -c 'import sys; f = open (sys.argv[1], "r+b"); f.seek (20); b = f.read (1); f.seek (20); f.write (bytes ([b[0] ^ 1]))' "$file"
    run 6 farmctl submit -q --platform "$native" -t "$REGISTRY/honest:4" --label made=anew "$work/honest"
    expect_text "$work/err" "the registry's bytes have the digest"
    expect_no_tag honest 4
}
check "what a registry's disk has changed is not published" damaged

farm_end
