# programs.sh - where the programs of this checkout are built: FARM_BUILD when it is set (the tests do), else the checkout
# itself when it is configured there, else its folder build/. Needs say.sh, and top, the checkout.
# shellcheck shell=bash
# shellcheck disable=SC2154

programs_folder ()
{
    if [ -n "${FARM_BUILD:-}" ]; then
        realpath -- "$FARM_BUILD"
    elif [ -f "$top/config.status" ]; then
        printf '%s\n' "$top"
    else
        printf '%s\n' "$top/build"
    fi
}

programs_path ()
{
    local build
    build=$(programs_folder)
    printf '%s\n' "$build/coordinator:$build/worker:$build/farmctl"
}

programs_are_there ()
{
    local build=$1
    [ -x "$build/coordinator/farm-coordinator" ] && [ -x "$build/worker/farm-worker" ] && [ -x "$build/farmctl/farmctl" ]
}

programs_make ()
{
    local build=$1
    cd -- "$top" || return
    [ -f configure ] || autoreconf -fi || return
    cd -- "$build" || return
    [ -f config.status ] || "$top/configure" -q || return
    make -s -j"$(nproc)"
}

# Make what is missing or out of date. What FARM_BUILD names is made by whoever set it. Two that start at once take turns.
programs_build ()
{
    local build log
    build=$(programs_folder)
    log=$build/programs.log
    if [ -n "${FARM_BUILD:-}" ]; then
        programs_are_there "$build" || die "FARM_BUILD is $build, and not all programs are there: run make in it"
        return
    fi
    programs_are_there "$build" || say "building the programs in $build"
    mkdir -p -- "$build"
    # shellcheck disable=SC2094     # 9 is a lock on the folder
    ( flock 9; programs_make "$build" ) > "$log" 2>&1 9< "$build" || log_die "$log" "the programs cannot be built"
    programs_are_there "$build" || die "make in $build went well, but programs are missing there"
}
