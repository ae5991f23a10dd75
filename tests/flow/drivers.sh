#!/bin/bash
# drivers.sh - podman as the builder, in a room and without one; and drivers that there are not.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/registries.sh"
. "$top_srcdir/tests/lib/images.sh"
. "$top_srcdir/tests/lib/agents.sh"
. "$top_srcdir/tests/lib/drivers.sh"
drivers_up

drives podman podman
drives podman-without-room podman --builder-user=worker

refused ()
{
    run 2 farm-worker -c "$work/podman.conf" --builder-driver=pottery
    expect_text "$work/err" "builder/driver is pottery" "buildah, podman and docker"
    run 4 farm-worker doctor -c "$work/podman.conf" --builder-driver=podman --builder-program="$(command -v buildah)"
    expect_text "$work/out" "is no podman" "apt-get install podman"
}
check "a driver that there is not, and a program that is not its" refused

farm_end
